"""manifest.json: what a bundle says of itself, with a schema; nothing in it depends on when or where it was made."""

from __future__ import annotations

import json
import math
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cost_models.duty_cycle import Duty, make_duty
from cost_models.errors import UserError
from cost_models.reading import read_bounded
from cost_models.target import Target
from nas.bundle.layout import Role
from nas.frontend.spectrum import Spacing
from nas.model.policy import MetricName
from nas.model.trained import FrontEndKind

MANIFEST_NAME = "manifest.json"
LARGEST_MANIFEST_BYTES = 4 << 20


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileEntry(_Strict):
    """One file of the bundle."""

    path: str
    role: Role
    bytes: int
    sha256: str


class TaskEntry(_Strict):
    """The task that the model was trained for."""

    name: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    source: str
    licence: str
    samples: dict[str, int]


class InputEntry(_Strict):
    """The input tensor and how a raw sample becomes it: `round((raw - offset) * multiplier) + zero_point`."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int
    raw_type: Literal["uint8", "int16", "float32"]
    raw_offset: tuple[float, ...]
    raw_scale: tuple[float, ...]
    offset: tuple[float, ...]
    multiplier: tuple[float, ...]


class OutputEntry(_Strict):
    """The output tensor; real value = (q - zero_point) * scale."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int


class TargetEntry(_Strict):
    """The chip that the costs were computed for."""

    name: str
    title: str
    core: str
    kernels: str
    clock_hz: int


class RuntimeEntry(_Strict):
    """The versions that the exact figures belong to."""

    tflite_micro: str
    tflite_micro_date: str
    cmsis_nn: str | None


class LimitEntry(_Strict):
    """One limit of the budget."""

    resource: str
    limit: float


class DutyEntry(_Strict):
    """One inference in each period, sleep between; see `cost_models.duty_cycle.Duty`."""

    period_us: float
    battery_mah: float | None = None

    @classmethod
    def of(cls, duty: Duty) -> DutyEntry:
        """A duty's entry."""
        return cls(period_us=duty.period_us, battery_mah=duty.charge_mah)

    def on(self, target: Target) -> Duty:
        """The duty on a target.

        Raises:
            ValueError: It has no positive period or charge.
        """
        if not (
            0 < self.period_us < math.inf and (self.battery_mah is None or 0 < self.battery_mah < math.inf)
        ):
            raise ValueError("a period or charge that is not above 0")
        return make_duty(target, period_us=self.period_us, charge_mah=self.battery_mah)


class CostsEntry(_Strict):
    """See `cost_models.costing.Costs`; null where the target has no calibration."""

    ops: int
    macs: int
    sram_bytes: int
    arena_used_bytes: int
    flash_bytes: int
    model_bytes: int
    code_bytes: int
    code_low_bytes: int
    code_high_bytes: int
    instructions: int | None
    cycles: int | None
    cycles_low: int | None
    cycles_high: int | None
    latency_us: float | None
    energy_uj: float | None
    uncounted: tuple[str, ...] = ()


class NpuEstimateEntry(_Strict):
    """See `nas.runtimes.npu.Estimate`: the compiler's own figures."""

    clock_hz: int
    sram_bytes: int
    off_chip_flash_bytes: int
    npu_cycles: int
    total_cycles: int
    inference_us: float


class NpuEntry(_Strict):
    """The model as compiled for an NPU: what the array holds, where `costs` are those of the int8 model on the core.

    `arena_bytes` and `model_bytes` are exact, `estimate` is the compiler's.
    """

    accelerator: str
    system_config: str
    memory_mode: str
    compiler: str
    int8_sha256: str
    arena_bytes: int
    model_bytes: int
    npu_operators: int
    core_operators: int
    estimate: NpuEstimateEntry


class LogMelEntry(_Strict):
    """See `nas.frontend.settings.LogMelSettings`."""

    sample_rate: int
    window_ms: float
    hop_ms: float
    bands: int
    low_hz: float
    high_hz: float
    pcan: bool
    noise_subtraction: bool
    steps_per_neper: int | None


class SpectrumEntry(_Strict):
    """See `nas.frontend.spectrum.SpectrumSettings`."""

    sample_rate: int
    window_ms: float
    hop_ms: float
    bands: int
    low_hz: float
    high_hz: float
    channels: int
    spacing: Spacing
    steps_per_neper: int | None
    units_per_count: tuple[float, ...]


SETTINGS: dict[FrontEndKind, type[LogMelEntry | SpectrumEntry]] = {
    "log_mel": LogMelEntry,
    "spectrum": SpectrumEntry,
}


class FrameEntry(_Strict):
    """Work of one frame of a front end, predicted; null where the target has no calibration.

    `busy_share` is the share of the chip's time that frames take, one a hop.
    """

    instructions: int | None
    cycles: int | None
    cycles_low: int | None
    cycles_high: int | None
    latency_us: float | None
    energy_uj: float | None
    busy_share: float | None


class FrontEndEntry(_Strict):
    """What makes the network's raw samples of recordings: a graph that TFLM runs once a hop, for each channel.

    `arena_bytes`, `buffer_bytes` and `model_bytes` are exact, `code_bytes` (its kernels) is predicted. None of them
    is in `costs`: it shares the arena with the network, which adds the `sram_bytes` of `costs` to the `arena_bytes`
    that the front end would take by itself. Bundles of before its cycles were known have no `frame`.
    """

    kind: FrontEndKind
    settings: LogMelEntry | SpectrumEntry
    sample_rate: int
    clip_samples: int = Field(ge=1, lt=1 << 31)
    window_samples: int
    hop_samples: int
    frames: int
    bands: int
    channels: int = Field(1, ge=1, le=64)
    recordings: int
    arena_bytes: int
    buffer_bytes: int
    model_bytes: int
    code_bytes: int
    model_sha256: str
    frame: FrameEntry | None = None


class AnomalyEntry(_Strict):
    """How a sample is found to be an anomaly: where its score lies above the threshold.

    The score of input x that the network rebuilds as y is `sum((a * (x - zx) - b * (y - zy)) ** 2) >> shift` over the
    int8 elements, with a and b the multipliers and zx and zy the zero points; a score of 1 is a mean squared error of
    `unit` in the network's real units. `false_alarms` is the share of normal validation samples that may lie above it.
    """

    false_alarms: float = Field(gt=0, le=0.5)
    threshold: int = Field(ge=0, lt=1 << 32)
    input_multiplier: int
    output_multiplier: int
    shift: int
    unit: float


class NumberEntry(_Strict):
    """A number that is predicted, in the unit of the data: `offset + multiplier * q`, in float32, of its output q.

    The network learned `(number - mean) / deviation`, with mean and standard deviation of the training samples.
    """

    name: str
    mean: float
    deviation: float = Field(gt=0)
    multiplier: float
    offset: float


class NumberErrorEntry(_Strict):
    """How far predictions of a number are off, in its unit; low and high are the 95 % interval of the metric."""

    name: str
    rmse: float = Field(ge=0)
    mae: float = Field(ge=0)
    r2: float
    low: float
    high: float


class GroupEntry(_Strict):
    """The searched metric of one group of samples; low and high are its 95 % interval."""

    name: str
    samples: int = Field(gt=0)
    score: float
    low: float
    high: float
    numbers: tuple[NumberErrorEntry, ...] = ()


class GroupsEntry(_Strict):
    """The metric by group, the worst first; of many groups the worst and the best."""

    measured: int = Field(ge=0)
    left_out: int = Field(ge=0)
    groups: tuple[GroupEntry, ...]


class AccuracyEntry(_Strict):
    """Accuracy of the int8 bytes; low and high are the 95 % Wilson interval.

    Of numbers, `value` and `score` are the skill: one less the error as a share of that of the training mean.

    `score` is the value of `metric`, by which the model was searched, where that is not the accuracy; `interval` holds
    the ends of its 95 % interval where the confusion matrix does not give it. Of anomalies, the confusion matrix is
    that at the threshold. Of a robust metric `disturbed` is the half that disturbed samples have; the rest is of
    samples as they are.
    """

    part: Literal["val", "test"]
    engine: Literal["tflm", "litert"]
    correct: int
    total: int
    value: float
    low: float
    high: float
    confusion: tuple[tuple[int, ...], ...]
    metric: MetricName = "accuracy"
    score: float | None = None
    interval: tuple[float, float] | None = None
    numbers: tuple[NumberErrorEntry, ...] = ()
    groups: GroupsEntry | None = None
    disturbed: float | None = None


class GoldenShareEntry(_Strict):
    """The share of weights, changed one at a time (exclusive or 0x7f), that change an answer to the golden samples."""

    noticed: int
    tried: int


class Manifest(_Strict):
    """The whole manifest; `exporter` is the version of mcu-nas whose sources these are."""

    schema_version: Literal[1] = Field(1, alias="schema")
    exporter: str | None = None
    format: str
    name: str
    model_sha256: str
    task: TaskEntry
    input: InputEntry
    output: OutputEntry
    operators: tuple[str, ...]
    target: TargetEntry
    runtime: RuntimeEntry
    budget: tuple[LimitEntry, ...]
    duty_cycle: DutyEntry | None = None
    costs: CostsEntry
    npu: NpuEntry | None = None
    frontend: FrontEndEntry | None = None
    anomaly: AnomalyEntry | None = None
    numbers: tuple[NumberEntry, ...] = ()
    accuracies: tuple[AccuracyEntry, ...]
    golden_count: int
    golden_share: GoldenShareEntry | None = None
    engine: Literal["tflm", "litert"] = "tflm"  # which interpreter answered the golden vectors
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any]
    files: tuple[FileEntry, ...]

    def to_json(self) -> str:
        """The file's text: sorted keys, the same for the same bundle."""
        data = self.model_dump(mode="json", by_alias=True, exclude=self._left_out())
        return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    def _left_out(self) -> dict[str, Any]:
        """The parts that are empty and so not written: bundles from before there were any keep their bytes."""
        kinds = {name: True for name in ("frontend", "anomaly", "duty_cycle") if getattr(self, name) is None}
        if not self.numbers:
            kinds["numbers"] = True
        bare = {
            at: {name for name in ("interval", "numbers", "groups") if not getattr(entry, name)}
            for at, entry in enumerate(self.accuracies)
        }
        return kinds | {"accuracies": bare}

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that the sources know: none of a model that tells anomalies or numbers."""
        return () if self.anomaly else self.task.class_names

    @property
    def arena_bytes(self) -> int:
        """The arena that the header states for the target: the network's, and what a front end takes of it."""
        own = self.npu.arena_bytes if self.npu else self.costs.sram_bytes
        return own + (self.frontend.arena_bytes if self.frontend else 0)

    @property
    def emitted_bytes(self) -> int:
        """Length of the model that the array holds."""
        return self.npu.model_bytes if self.npu else self.costs.model_bytes

    def int8_path(self) -> str:
        """The file with the int8 model that costs and golden vectors are of."""
        return self.paths("int8_model" if self.npu else "model")[0]

    def paths(self, role: Role) -> tuple[str, ...]:
        """Paths of the files of one role."""
        return tuple(entry.path for entry in self.files if entry.role == role)


def exporter_version() -> str:
    """The version of mcu-nas that exports and checks here."""
    try:
        return metadata.version("mcu-nas")
    except metadata.PackageNotFoundError:
        return "unknown"


def read_manifest(folder: Path) -> Manifest:
    """A bundle's manifest.

    Raises:
        ValueError: There is none, or it breaks the schema; the text says where.
    """
    return parse_manifest(read_manifest_bytes(folder))


def read_manifest_bytes(folder: Path) -> bytes:
    """The bytes of a bundle's manifest.

    Raises:
        ValueError: There is none that can be read.
    """
    try:
        return read_bounded(
            folder / MANIFEST_NAME, LARGEST_MANIFEST_BYTES, follow_links=False, called=MANIFEST_NAME
        )
    except UserError as error:
        raise ValueError(error.message.rstrip(".")) from error


def parse_manifest(text: str | bytes) -> Manifest:
    """A manifest's text, parsed.

    Raises:
        ValueError: It breaks the schema; the text says where.
    """
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200] or "the file"
        raise ValueError(f"{MANIFEST_NAME}: {where}: {first['msg']}") from error
