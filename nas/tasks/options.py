"""What users say of their data besides where they are; a task reads the options that name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cost_models.errors import UserError, did_you_mean
from nas.model.config_key import facts_of, key

Missing = Literal["refuse", "drop", "interpolate"]
InputKind = Literal["auto", "features", "signals", "images", "channels-first"]


_TABLES = ("timeseries",)
_AUDIO = ("audio",)
_SIGNALS = ("npz", *_TABLES, *_AUDIO)
_LABELLED = ("npz", "images", *_TABLES, *_AUDIO)
FrontEndName = Literal["log_mel", "pcan", "micro_speech", "spectrum", "search"]
SEARCH = "search"  # the front end is a choice of the search
_AUGMENT = 8  # versions of a training recording besides itself
AUDIO_FRONT_ENDS = (
    "log_mel",
    "pcan",
    "micro_speech",
    SEARCH,
)  # they make waveforms of an array a task of audio


class TaskOptions(BaseModel):
    """Options of tasks; each is a flag and a key of a job file, and part of what makes a search itself.

    Attributes:
        image_size: Side of the pictures in pixels; None keeps or chooses one.
        grayscale: Whether pictures in colour are made grey.
        input_kind: What the axes of arrays are.
        label: Column of labels in tables; a file of them; "folder" for class folders; None finds them.
        group: Column of groups, which no split parts; "folder" for the first folder; "none"; None finds one.
        time: Column of times; "none"; None finds one.
        channels: Columns of channels with commas between them, in their order; None takes all columns of numbers.
        missing: What to do about missing values, gaps in time and times that do not rise.
        window: Length of a window in rows ("64") or seconds ("2.5s"); None where each file is one sample.
        hop: From one window to the next, in the same way; None for half a window.
        label_share: Share of the rows of a window that have its label, at least.
        sample_rate: In Hz: of tables without times; with times, and of audio, what they are resampled to.
        clip: Length of a recording of audio, as "1s" or "800ms".
        augment: Versions of each training recording of audio besides itself.
        front_end: What makes the features of signals; None takes pcan for audio, and nothing else has features.
        frame: Length of a frame of a spectrum in rows or seconds; None for the window.
        frame_hop: From one frame to the next, in the same way; None for half a frame.
        bands: How many features a frame has; of a spectrum, of each channel.
        band_limits: Where the lowest band begins and the highest ends, as "300-5000" in Hz.
        rotate: Triples of channels by name, or by number from 0, that training turns: "x,y,z/u,v,w".
        jitter: Noise on training signals, as a share of a channel's deviation.
        flip: Whether training mirrors half of the pictures, left to right.
        normal: The class of normal samples; a network learns these alone, and all others are anomalies.
        false_alarms: Share of normal validation samples that may be taken for anomalies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    image_size: int | None = key(
        None,
        "side of pictures, for images:FOLDER",
        metavar="PIXELS",
        example=48,
        default="their own where they are all alike and at most 96, else 48",
        tasks=("images",),
        ge=4,
        le=512,
    )
    grayscale: bool = key(False, "make pictures in colour grey, for images:FOLDER", tasks=("images",))
    input_kind: InputKind = key(
        "auto",
        "axes of npz arrays: features, signals, images or channels-first",
        metavar="KIND",
        default="auto, and said",
        tasks=("npz",),
    )
    label: str | None = key(
        None,
        "column of labels in tables, a file of labels, or folder for class folders",
        metavar="COLUMN",
        example="activity",
        default="found, and said",
        tasks=_TABLES,
    )
    group: str | None = key(
        None,
        "persons, machines or recordings that no split parts: a column of tables; folder; a pattern of audio files'"
        " names with one group, such as '^([a-z]+)_'; or none",
        metavar="COLUMN",
        example="person",
        default="found, and said",
        tasks=(*_TABLES, *_AUDIO),
    )
    time: str | None = key(
        None,
        "column of times; or none",
        metavar="COLUMN",
        example="timestamp",
        default="found, and said",
        tasks=_TABLES,
    )
    channels: str | None = key(
        None,
        "columns that are the channels, in this order, with commas between them",
        metavar="COLUMNS",
        example="acc_x,acc_y,acc_z",
        default="all other columns of numbers",
        tasks=_TABLES,
    )
    missing: Missing = key(
        "refuse",
        "missing values, gaps and times that do not rise: refuse, drop or interpolate",
        metavar="HOW",
        tasks=_TABLES,
    )
    window: str | None = key(
        None,
        "length of a window of a recording: rows, or time such as 2.5s or 500ms",
        metavar="LENGTH",
        example="2.5s",
        default="whole recordings",
        tasks=_TABLES,
    )
    hop: str | None = key(
        None,
        "from one window to the next, in the same way",
        metavar="LENGTH",
        example="64",
        default="half a window",
        tasks=_TABLES,
    )
    label_share: float = key(
        1.0,
        "a window is of the label that at least this share of its rows have; others are left out",
        metavar="SHARE",
        tasks=_TABLES,
        gt=0.5,
        le=1.0,
    )
    sample_rate: float | None = key(
        None,
        "of recordings without times and of arrays; others are resampled to it",
        metavar="HZ",
        example=50.0,
        default="that of the times; of audio the lowest, at most 16000",
        tasks=_SIGNALS,
        gt=0,
        le=1e7,
    )
    clip: str | None = key(
        None,
        "length of a recording of audio, cut or padded: 1s or 800ms",
        metavar="LENGTH",
        example="1s",
        default="their own where it is one, else 1s",
        tasks=("npz", *_AUDIO),
    )
    augment: int = key(
        _AUGMENT,
        "versions of each training recording of audio with another speed, level, place and noise",
        metavar="N",
        tasks=("npz", *_AUDIO),
        ge=0,
        le=100,
    )
    front_end: FrontEndName | None = key(
        None,
        "features made on the chip: of audio, also of waveforms in an npz, log_mel, pcan, which adapts to the level,"
        " micro_speech, which subtracts noise as well, or search, which chooses among five; of vibration, motion and"
        " audio spectrum",
        metavar="NAME",
        example="spectrum",
        default="pcan of audio, else none",
        tasks=_SIGNALS,
    )
    frame: str | None = key(
        None,
        "length of a frame of --front-end spectrum: rows, or time such as 500ms",
        metavar="LENGTH",
        example="128",
        default="the window, at most 2048 rows",
        tasks=("npz", *_TABLES),
    )
    frame_hop: str | None = key(
        None,
        "from one frame to the next, in the same way",
        metavar="LENGTH",
        example="64",
        default="half a frame",
        tasks=("npz", *_TABLES),
    )
    bands: int | None = key(
        None,
        "bands of the features: of audio on the mel scale; of spectrum of each channel, evenly spaced",
        metavar="N",
        example=40,
        default="of audio 40 at 16000 Hz, 24 at 8000 Hz; of other signals 16",
        tasks=_SIGNALS,
        ge=4,
        le=128,
    )
    band_limits: str | None = key(
        None,
        "where the lowest band begins and the highest ends, in Hz",
        metavar="LOW-HIGH",
        example="300-5000",
        default="of audio 125 to 7500 Hz or what the rate holds; of other signals all but the mean",
        tasks=_SIGNALS,
    )
    rotate: str | None = key(
        None,
        "axes x,y,z of sensors on one body, which training turns together; several with / between them",
        metavar="AXES",
        example="acc_x,acc_y,acc_z/gyro_x,gyro_y,gyro_z",
        default="none",
        tasks=("npz", *_TABLES),
    )
    jitter: float = key(
        0.0,
        "noise that training adds to signals, as a share of a channel's deviation",
        metavar="SHARE",
        tasks=("npz", *_TABLES),
        ge=0,
        le=1,
    )
    flip: bool = key(
        False,
        "mirror half of the training pictures, left to right: for things that look alike from both sides",
        tasks=("images", "npz"),
    )
    normal: str | None = key(
        None,
        "find anomalies: learn from training samples of this class alone",
        metavar="CLASS",
        example="healthy",
        default="tell classes",
        tasks=_LABELLED,
    )
    false_alarms: float = key(
        0.01,
        "share of normal validation samples above the threshold of anomalies",
        metavar="SHARE",
        tasks=_LABELLED,
        gt=0,
        le=0.5,
    )

    @property
    def wants_numbers(self) -> bool:
        """Whether the metric asks for numbers to be predicted, whatever the labels look like."""
        return False

    @property
    def trains_on_validation(self) -> bool:
        """Whether a network will be trained on validation samples too."""
        return False


def make_options(given: Mapping[str, object]) -> TaskOptions:
    """Options by keyword.

    Raises:
        UserError: An unknown one, or a value out of range.
    """
    try:
        return TaskOptions.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise UserError(
                f"{name} is not an option of a task.", did_you_mean(name, TaskOptions.model_fields)
            ) from None
        raise UserError(f"{name} is {first['input']!r}.", f"{first['msg']}.") from None


def least_classes(options: TaskOptions) -> int:
    """How many classes the data hold at the least: with `normal`, that one."""
    return 2 if options.normal is None else 1


def check_options(options: TaskOptions, task: str, *, own: bool = False) -> None:
    """Refuses options that the task does not read.

    Args:
        options: What was given.
        task: The task's name, without its argument.
        own: Whether it is the user's own: one may take what all tasks of labelled samples do.

    Raises:
        UserError: An option is of no use to it.
    """
    for name, field in TaskOptions.model_fields.items():
        tasks = facts_of(field).tasks
        taken = task in tasks or (own and tasks == _LABELLED)
        if getattr(options, name) != field.default and not taken:
            flag = f"--{name.replace('_', '-')}"
            raise UserError(
                f"{flag} is of no use to the task {task}.", f"It is for {' and '.join(map(_written, tasks))}."
            )
    sounds = task in _AUDIO or (task == "npz" and options.front_end in AUDIO_FRONT_ENDS)
    if not sounds and options.front_end not in (None, "spectrum"):
        raise UserError(
            f"--front-end {options.front_end} is for audio:FOLDER and npz:PATH.",
            "Vibration and motion take --front-end spectrum.",
        )
    for name in ("frame", "frame_hop", *(() if task in _AUDIO else ("bands", "band_limits"))):
        if getattr(options, name) is not None and options.front_end is None:
            raise UserError(
                f"--{name.replace('_', '-')} is of no use without a front end.", "Add --front-end spectrum."
            )
    if task == "npz":
        _check_arrays(options, sounds=sounds)
    for name in ("rotate", "jitter", "flip"):
        if getattr(options, name) and (options.front_end is not None or options.normal is not None):
            raise UserError(
                f"--{name} is of no use to features and anomalies.",
                "It disturbs samples that a network for classes or numbers is given as they are.",
            )
    if task == "npz" and options.sample_rate is not None and options.front_end is None:
        raise UserError(
            "--sample-rate is of no use to arrays without a front end.", "Add --front-end spectrum."
        )
    if options.normal is None and options.false_alarms != TaskOptions.model_fields["false_alarms"].default:
        raise UserError(
            "--false-alarms is of no use without anomalies.",
            "Name the class of normal samples: --normal CLASS.",
        )


def _check_arrays(options: TaskOptions, *, sounds: bool) -> None:
    """Refuses options of audio for other arrays, and those of other signals for waveforms."""
    what, hint = "arrays without a front end of audio", "Waveforms take --front-end pcan."
    others: dict[str, object] = {"clip": None, "augment": _AUGMENT}
    if sounds:
        what, hint = (
            "waveforms",
            "A front end of audio has frames of its own, and takes (recordings, samples).",
        )
        others = {"frame": None, "frame_hop": None, "input_kind": "auto"}
    for name, usual in others.items():
        if getattr(options, name) != usual:
            raise UserError(f"--{name.replace('_', '-')} is of no use to {what}.", hint)


def parse_limits(text: str) -> tuple[float, float]:
    """Hz of "300-5000".

    Raises:
        UserError: It is none.
    """
    low, dash, high = text.partition("-")
    try:
        limits = float(low), float(high)
    except ValueError:
        dash, limits = "", (0.0, 0.0)
    if not dash or not 0 <= limits[0] < limits[1] < 1e7:
        raise UserError(f"--band-limits {text} are none.", "Write Hz like 300-5000.")
    return limits


def _written(task: str) -> str:
    return f"{task}:{'PATH' if task in ('npz', *_TABLES) else 'FOLDER'}"
