from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.budget import parse_budget
from cost_models.errors import UserError
from cost_models.target_file import load_target
from nas.frontend.costs import front_end_costs
from nas.frontend.front_end import FrontEnd
from nas.frontend.spec import settings_of
from nas.run.config import RunConfig
from nas.run.limits import less_front_end
from nas.run.stored_model import _features
from nas.tasks import load_task
from nas.tasks.loading import audio_features
from nas.tasks.loading.audio_augment import varied
from nas.tasks.loading.audio_clip import ClipTally, audible, padded
from nas.tasks.loading.audio_file import Recording, inspect, read
from nas.tasks.loading.progress import told
from nas.tasks.options import TaskOptions

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("tflite_micro")

RNG = np.random.default_rng(0)
TONES = {"low": 300.0, "high": 1500.0}


def tone(hertz: float, rate: int = 8000, seconds: float = 0.5) -> Any:
    time = np.arange(round(rate * seconds)) / rate
    return 0.3 * np.sin(2 * np.pi * hertz * time) + RNG.normal(size=len(time)) * 0.01


def write(path: Path, samples: Any, rate: int = 8000, **kwargs: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **kwargs)


def heap(root: Path, count: int = 10, **kwargs: Any) -> Path:
    for name, hertz in TONES.items():
        for index in range(count):
            write(root / name / f"s{index % 5}_{index}.wav", tone(hertz, **kwargs), kwargs.get("rate", 8000))
    return root


def load(root: Path, **options: Any) -> Any:
    return load_task(f"audio:{root}", TaskOptions(**({"augment": 0} | options)))


def test_folders_of_recordings_become_features_that_the_chip_makes(tmp_path: Path) -> None:
    data = load(heap(tmp_path / "tones"))
    spec = data.info.frontend
    assert data.info.input_shape == (24, 24, 1) == (spec.frames, spec.bands, 1)
    assert data.info.class_names == ("high", "low")
    assert {part: len(rows) for part, rows in data.samples.items()} == {"train": 12, "val": 4, "test": 4}
    assert data.info.preprocess.raw_type == "uint8"
    assert data.info.preprocess.scale == (1 / 255,)
    assert data.input_range == (0.0, 1.0)
    band = {
        name: data.samples["train"][data.labels["train"] == i].mean((0, 1, 3)).argmax()
        for i, name in enumerate(data.info.class_names)
    }
    assert band["low"] < band["high"]
    golden = data.golden_recordings
    assert golden.shape == (2, spec.clip_samples)
    codes = FrontEnd(settings_of(spec)).features(golden).astype(int) + 128
    rows = data.samples["test"].reshape(4, -1).tolist()
    assert all(row in rows for row in codes.reshape(2, -1).tolist()), "they are recordings of the test part"
    assert (_features(golden, data)[..., 0] == codes).all()
    assert data.report.lines()[0].startswith(
        "features of 24 frames, 24 bands, uint8; 12 train, 4 val, 4 test"
    )
    assert any(
        note.startswith("Recordings of one speaker or machine may be in several") for note in data.notes
    )
    again = load(tmp_path / "tones")
    assert again.digest() == data.digest()


def test_speakers_stay_in_one_part_by_a_pattern_or_the_names_of_speech_commands(tmp_path: Path) -> None:
    data = load(heap(tmp_path / "a"), group="^(s[0-9])_")
    assert any("5 groups, 0 of them in more than one part" in line for line in data.report.lines())
    root = tmp_path / "b"
    for name, hertz in TONES.items():
        for index in range(10):
            write(root / name / f"{index % 5:08x}_nohash_{index}.wav", tone(hertz))
    assert "Speakers are told by the files' names (SPEAKER_nohash_N)." in load(root).notes


def test_the_lists_of_speech_commands_are_the_parts(tmp_path: Path) -> None:
    root = heap(tmp_path / "sc")
    write(root / "_background_noise_" / "hum.wav", tone(50.0, seconds=3.0))
    (root / "validation_list.txt").write_text("low/s0_0.wav\nhigh/s0_0.wav\n")
    (root / "testing_list.txt").write_text("low/s1_1.wav\nhigh/s1_1.wav\nlow/gone.wav\n")
    data = load(root)
    assert {part: len(rows) for part, rows in data.samples.items()} == {"train": 16, "val": 2, "test": 2}
    assert data.info.class_names == ("high", "low")
    notes = " ".join(data.notes)
    assert "The parts are those of validation_list.txt and testing_list.txt." in notes
    assert "Not there: 1 file of the lists, low/gone.wav." in notes
    assert "Not a class: _background_noise_." in notes
    assert "outside of class folders" not in notes
    loud = load(root, augment=2)
    assert len(loud.samples["train"]) == 48
    assert "Mixed into versions of training recordings: 1 recording of background noise." in loud.notes


@pytest.mark.parametrize(
    ("save", "note"),
    [
        (lambda p: write(p, tone(300.0, rate=44_100), 44_100), "Resampled to 8,000 Hz: 1 of 44,100 Hz."),
        (
            lambda p: write(p, np.stack([tone(300.0)] * 2, 1)),
            "Mixed to one channel: 1 recording.",
        ),
        (
            lambda p: write(p, tone(300.0), subtype="FLOAT"),
            "Rounded to 16 bits: 1 recording of other depths.",
        ),
        (lambda p: write(p, tone(300.0) * 9, subtype="FLOAT"), "cut to it: samples of 1 recording."),
        (lambda p: write(p, np.zeros(4000)), "Nothing but zeros: 1 recording."),
        (lambda p: write(p, tone(300.0, seconds=1.2)), "longer ones (1) are cut to their loudest stretch"),
    ],
)
def test_what_is_done_to_a_recording_is_said(save: Callable[[Path], None], note: str, tmp_path: Path) -> None:
    root = heap(tmp_path / "tones")
    save(root / "low" / "odd.wav")
    assert any(note in each for each in load(root).notes), load(root).notes


@pytest.mark.parametrize("name", ["a.flac", "b.ogg", "c.aiff"])
def test_other_formats_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write(path, tone(300.0))
    info = inspect(path)
    samples = read(path, info, 8000).samples
    assert samples.dtype == np.int16
    assert len(samples) == 4000
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() == 150


def test_resampling_keeps_what_is_heard_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    time = np.arange(44_100) / 44_100
    write(path, 0.3 * np.sin(2 * np.pi * 440 * time) + 0.3 * np.sin(2 * np.pi * 9000 * time), 44_100)
    samples = read(path, inspect(path), 8000).samples
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert len(samples) == 8000
    assert spectrum.argmax() == 440
    rest = np.delete(spectrum, np.arange(430, 451))
    assert rest.max() < spectrum.max() / 300, "9 kHz does not come back as 1 kHz"


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_recording_that_a_stream_wrote_says_no_length_and_is_taken(size: int, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(300.0))
    data = bytearray((tmp_path / "a.wav").read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = size.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    if size:  # of none libsndfile reads none
        assert inspect(tmp_path / "a.wav").samples == 4000


def test_clips_keep_the_loudest_stretch_and_put_short_ones_in_the_middle() -> None:
    tally = ClipTally(clip=1.0)
    long = Recording(samples=np.array([1, 1, 90, 90, 1, 1, 1], np.int16), clipped=0)
    assert audible(long.samples, 3).tolist() in ([1, 90, 90], [90, 90, 1])
    short = np.array([5, 6], np.int16)
    assert padded(short, 5).tolist() == [0, 5, 6, 0, 0]
    tally.add(long, 3)
    tally.add(Recording(samples=short, clipped=1), 5)
    tally.merge(tally.counts())
    square = np.repeat(np.array([32767, -32767], np.int16), 2)
    for times, flat in ((1, 0), (2, 1)):
        loud = ClipTally(clip=1.0)
        loud.add(Recording(samples=np.tile(np.repeat(square, times), 9), clipped=0), 99)
        assert loud.flat == flat
    assert tally.counts() == {"cut": 2, "padded": 2, "silent": 0, "clipped": 2, "flat": 0, "count": 4}


def test_features_are_made_once_and_kept_by_what_they_are_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCU_NAS_CACHE", str(tmp_path / "cache"))
    root = heap(tmp_path / "tones")
    heard: list[tuple[str, int, int]] = []
    with told(lambda *said: heard.append(said)):
        first = load(root, augment=1)
    assert heard[-1] == ("making features of recordings", 20, 20)
    (kept,) = (tmp_path / "cache").iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["facts.json", "test.npy", "train.npy", "val.npy"]

    def never(*_: object) -> None:
        raise AssertionError("made again")

    with monkeypatch.context() as patched:
        patched.setattr(audio_features._Maker, "make", never)
        again = load(root, augment=1)
        assert (again.digest(), again.notes) == (first.digest(), first.notes)
        with pytest.raises(AssertionError, match="made again"):
            load(root, augment=1, bands=10)
        write(root / "low" / "s0_0.wav", tone(300.0))
        with pytest.raises(AssertionError, match="made again"):
            load(root, augment=1)
    assert len(list((tmp_path / "cache").iterdir())) == 1, "what was begun is gone"
    (kept / "train.npy").unlink()
    (kept / "train.npy").write_bytes(b"cut")
    write(root / "low" / "s0_0.wav", tone(300.0))
    assert load(root, augment=1).digest() != first.digest()
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MCU_NAS_CACHE", str(tmp_path / "file"))
    assert load(root, augment=1).info.samples["train"] == 24, "without a folder nothing is kept"


def test_validation_recordings_that_are_trained_on_are_there_as_often_as_training_recordings(
    tmp_path: Path,
) -> None:
    root = heap(tmp_path / "tones")
    plain = load(root, augment=2)
    given = RunConfig(task=f"audio:{root}", augment=2, final_on="all")
    more = load_task(given.task, given)
    assert plain.validation_versions is None
    assert more.validation_versions is not None
    count = plain.info.samples["val"]
    versions = more.validation_versions.reshape(count, 3, *plain.info.input_shape)
    assert (versions[:, 0] == plain.samples["val"]).all()
    assert (versions[:, 1] != versions[:, 2]).any()
    assert more.digest() == plain.digest(), "what is searched on is the same"
    samples, labels = more.all_for_training()
    assert len(samples) == len(labels) == plain.info.samples["train"] + 3 * count
    assert (labels[plain.info.samples["train"] :] == np.repeat(plain.labels["val"], 3)).all()
    samples, labels = plain.all_for_training()
    assert len(samples) == len(labels) == plain.info.samples["train"] + count


@pytest.mark.slow
def test_several_processes_make_the_features_that_one_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = heap(tmp_path / "tones")
    write(root / "_background_noise_" / "hum.wav", tone(50.0, seconds=3.0))
    monkeypatch.setenv("MCU_NAS_CACHE", str(tmp_path / "one"))
    one = load(root, augment=2)
    monkeypatch.setenv("MCU_NAS_CACHE", str(tmp_path / "two"))
    monkeypatch.setattr(audio_features, "_MANY", 4)
    monkeypatch.setattr(audio_features, "_BLOCK", 5)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    two = load(root, augment=2)
    assert (one.digest(), one.notes) == (two.digest(), two.notes)
    write(root / "low" / "s0_0.wav", np.full(4000, np.nan), subtype="FLOAT")
    with pytest.raises(UserError, match=r"s0_0\.wav holds samples that are NaN or infinite\."):
        load(root, augment=2)
    assert len(list((tmp_path / "two").iterdir())) == 1


def test_versions_differ_and_repeat_by_their_seed() -> None:
    samples = np.rint(tone(300.0) * 20_000).astype(np.int16)
    one, two, other = (varied(samples, 8000, [], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (8000,)
    assert (one == two).all()
    assert (one != other).any()
    hum = np.full(20_000, 1000, np.int16)
    assert varied(samples, 8000, [hum], np.random.default_rng(3)).dtype == np.int16
    assert varied(np.zeros(10, np.int16), 100, [np.zeros(5, np.int16)], np.random.default_rng(0)).shape == (
        100,
    )


def test_the_front_end_takes_its_part_of_the_limits(tmp_path: Path) -> None:
    spec = load(heap(tmp_path / "tones")).info.frontend
    target = load_target("nrf52840")
    whole = parse_budget("sram=32KB,flash=128KB", target)
    left = less_front_end(parse_budget("sram=32KB,flash=128KB,latency=20ms", target), target, spec)
    assert (whole.limit("sram"), whole.limit("flash")) == (32_768, 131_072)
    sram, flash = left.limit("sram"), left.limit("flash")
    assert sram is not None
    assert flash is not None
    assert 4_000 < 32_768 - sram < 8_000
    assert 20_000 < 131_072 - flash < 30_000
    assert "off the limits: what is left is the network's." in left.notes[-1]
    assert spec is not None
    frame = front_end_costs(spec, target)
    assert frame.frame.latency_us is not None
    assert left.limit("latency") == pytest.approx(20_000 - frame.frame.latency_us)
    assert 0.02 < (frame.busy_share or 0) < 0.1
    assert left.notes[-1].endswith("The limit of latency holds for front end and network together.")
    by_upper_end = less_front_end(parse_budget("latency=20ms", target, certain=True), target, spec)
    assert frame.frame.latency_high_us is not None
    assert by_upper_end.limit("latency") == pytest.approx(20_000 - frame.frame.latency_high_us)
    with pytest.raises(UserError, match=r"The front end alone takes 1 ms of latency; the limit is 0.5 ms"):
        less_front_end(parse_budget("latency=500us", target), target, spec)
    with pytest.raises(UserError, match=r"The front end alone takes .* of sram; the limit is 4,096 B"):
        less_front_end(parse_budget("sram=4KB", target), target, spec)


def mp3(root: Path) -> None:
    (root / "mid").mkdir()
    (root / "mid" / "a.mp3").write_bytes(b"x")


MISTAKES: dict[str, tuple[Callable[[Path], object], dict[str, Any], str]] = {
    "text in a .wav": (
        lambda r: (r / "low" / "x.wav").write_text("hello"),
        {},
        "x.wav is not a readable recording",
    ),
    "an empty recording": (
        lambda r: write(r / "low" / "x.wav", np.zeros(0)),
        {},
        "x.wav holds no sample. Remove it.",
    ),
    "two bad ones": (
        lambda r: [(r / "low" / f"x{i}.wav").write_bytes(b"") for i in range(2)],
        {},
        "2 of 22 recordings of",
    ),
    "NaN": (
        lambda r: write(r / "low" / "x.wav", np.full(4000, np.nan), subtype="FLOAT"),
        {},
        "x.wav holds samples that are NaN or infinite.",
    ),
    "a download that broke off": (
        lambda r: (r / "low" / "x.wav").write_bytes((r / "low" / "s0_0.wav").read_bytes()[:5000]),
        {},
        "x.wav is cut: its head says 8,044 B, and it has 5,000 B.",
    ),
    "floats that are counts": (
        lambda r: write(r / "low" / "x.wav", 20_000 * tone(300.0), subtype="FLOAT"),
        {},
        " times full scale. The full scale of floats is 1",
    ),
    "lists that name nothing": (
        lambda r: (
            [
                (r / name).write_text(f"no/{name}.wav\n")
                for name in ("validation_list.txt", "testing_list.txt")
            ]
            and None
        ),
        {},
        "leave no recording to val. They name files as CLASS/NAME.wav",
    ),
    "one in both lists": (
        lambda r: (
            [
                (r / name).write_text("low/s0_0.wav\nhigh/s0_0.wav\n")
                for name in ("validation_list.txt", "testing_list.txt")
            ]
            and None
        ),
        {},
        "name high/s0_0.wav, low/s0_0.wav. A recording can be in one part only.",
    ),
    "a bracket that may be empty": (lambda r: None, {"group": "s[0-9](_1)?"}, "does not match"),
    "a class of mp3": (
        mp3,
        {},
        "holds no recording (1 .mp3). Give it recordings (WAV, FLAC, OGG, AIFF), or remove them.",
    ),
    "an empty class": (lambda r: (r / "mid").mkdir(), {}, "holds no recording: it is empty."),
    "deeper": (
        lambda r: write(r / "low" / "sub" / "a.wav", tone(300.0)),
        {},
        "lies deeper than its class folder",
    ),
    "no pattern": (lambda r: None, {"group": "("}, "--group '(' is not a pattern"),
    "no group in it": (lambda r: None, {"group": "abc"}, "has 0 groups. Put one part in brackets"),
    "no match": (lambda r: None, {"group": "^(q)"}, "does not match"),
    "too few speakers": (lambda r: None, {"group": "^(s)[0-9]_"}, "1 group is too few to hold out 20%"),
    "no length": (
        lambda r: None,
        {"clip": "1"},
        "--clip 1 is not a length. Write seconds or milliseconds, such as 1s or 800ms.",
    ),
    "a long clip": (lambda r: None, {"clip": "90s"}, "--clip 90s is out of range. Write 50ms to 60s."),
    "a fraction of a hertz": (
        lambda r: None,
        {"sample_rate": 8000.5},
        "--sample-rate 8000.5 is not a whole number.",
    ),
    "too slow": (lambda r: None, {"sample_rate": 500.0}, "A sample rate of 500 Hz is not one of"),
    "many bands": (lambda r: None, {"bands": 120}, "has no place in the spectrum"),
}


@pytest.mark.parametrize("name", list(MISTAKES))
def test_a_mistake_is_one_sentence_with_a_hint(name: str, tmp_path: Path) -> None:
    change, options, text = MISTAKES[name]
    root = heap(tmp_path / "tones")
    change(root)
    with pytest.raises(UserError) as caught:
        load(root, **options)
    assert text in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("", "The task audio needs a folder. Write audio:FOLDER, with one folder for each class."),
        ("no/such", "There is no folder no/such. Check the path after audio:."),
    ],
)
def test_no_folder_is_one_sentence(argument: str, text: str) -> None:
    with pytest.raises(UserError) as caught:
        load_task(f"audio:{argument}")
    assert str(caught.value) == text


def test_versions_of_a_long_recording_hold_what_is_heard_in_it(tmp_path: Path) -> None:
    root = heap(tmp_path / "tones")
    for name, hertz in TONES.items():
        for index in range(10):
            early = np.concatenate([tone(hertz), np.zeros(40_000)])
            write(root / name / f"long_{index}.wav", early)
    data = load(root, augment=2, clip="500ms", front_end="log_mel")
    train, labels = data.samples["train"][..., 0], data.labels["train"]
    assert len(train) == 72
    for row, label in zip(train, labels, strict=True):
        assert (row.max(0).argmax() > 8) == (data.info.class_names[label] == "high")


def test_lists_may_name_classes_of_several_words(tmp_path: Path) -> None:
    root = heap(tmp_path / "sc")
    (root / "low").rename(root / "low hum")
    (root / "validation_list.txt").write_text("low hum/s0_0.wav\nhigh/s0_0.wav\n")
    (root / "testing_list.txt").write_text("low hum/s1_1.wav\nhigh/s1_1.wav\n")
    data = load(root)
    assert {part: len(rows) for part, rows in data.samples.items()} == {"train": 16, "val": 2, "test": 2}


def test_lists_may_be_written_on_windows(tmp_path: Path) -> None:
    root = heap(tmp_path / "sc")
    (root / "validation_list.txt").write_bytes(b"\xef\xbb\xbflow\\s0_0.wav\r\nhigh\\s0_0.wav\r\n")
    (root / "testing_list.txt").write_bytes(b"low/s1_1.wav\r\nhigh/s1_1.wav\r\n")
    data = load(root)
    assert {part: len(rows) for part, rows in data.samples.items()} == {"train": 16, "val": 2, "test": 2}
    assert "Not there" not in " ".join(data.notes)


def test_no_sample_is_the_one_that_tflm_takes_for_a_small_number(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, np.full(100, -32768, np.int16), subtype="PCM_16")
    assert read(path, inspect(path), 8000).samples.min() == -32767


def test_background_noise_is_found_in_any_folder_of_the_training_part(tmp_path: Path) -> None:
    root = tmp_path / "sc"
    for part in ("training", "test"):
        heap(root / part)
    write(root / "training" / "_background_noise_" / "hum.wav", tone(50.0))
    (root / "training" / "_background_noise_" / "._hum.wav").write_bytes(b"x")
    assert (
        "Mixed into versions of training recordings: 1 recording of background noise."
        in load(root, augment=1).notes
    )
