"""The content of a bundle where a front end stands between recordings and the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from cost_models.tflite_graph import read_graph
from nas.bundle.operators import Registration, front_end_registrations
from nas.frontend.costs import FrontEndCosts, front_end_costs
from nas.frontend.front_end import FrontEnd
from nas.frontend.signal_graph import ZERO_POINT
from nas.frontend.spec import make_spec, settings_of
from nas.model.input_quantization import InputScaling
from nas.model.trained import FrontEndSpec, TrainedModel
from nas.runtimes.interpreter import Port
from nas.runtimes.reference import reference_engine

if TYPE_CHECKING:
    from cost_models.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndContent:
    """A front end, costed, with the recordings that the self-test replays.

    Attributes:
        spec: The front end.
        costs: What it takes of the target.
        operators: The lines of its resolver.
        tensors: Number of tensors of its graph.
        recordings: Their features are the first golden samples. Shape: (k, clip_samples), or
            (k, clip_samples, channels).
        is_input: Whether its features are the network's int8 input as they are, without another scaling.
    """

    spec: FrontEndSpec
    costs: FrontEndCosts
    operators: tuple[Registration, ...]
    tensors: int
    recordings: NDArray[np.int16]
    is_input: bool

    @property
    def text(self) -> str:
        """The features in words."""
        return settings_of(self.spec).text

    @property
    def units_per_count(self) -> tuple[float, ...]:
        """The unit of a sample by channel, in that of the recordings; empty where samples are counts themselves."""
        units = getattr(settings_of(self.spec), "units_per_count", ())
        return units if any(unit != 1 for unit in units) else ()


def make_front_end_content(
    model: TrainedModel, *, target: Target, port: Port, scaling: InputScaling, raw: NDArray[np.generic]
) -> FrontEndContent | None:
    """Check that a model's front end and its golden recordings fit the network; None without a front end.

    Args:
        model: The finished model.
        target: What it is costed for.
        port: The network's input.
        scaling: From raw samples to int8 inputs.
        raw: The golden samples. Shape: (n, *port.shape).

    Raises:
        UserError: A front end that is not what its settings give, or of another shape than the network's input, or
            recordings that the golden samples are not the features of.
    """
    spec = model.task.frontend
    if spec is None:
        if model.golden_recordings is not None:
            raise UserError(
                "There are golden recordings, but no front end.",
                "Give the task's front end, or no recordings.",
            )
        return None
    if make_spec(settings_of(spec), spec.clip_samples) != spec:
        raise UserError("The front end is not the one that its settings give.", "Make it by make_spec.")
    if spec.features != port.size or model.task.preprocess.raw_type != "uint8":
        shape = " x ".join(map(str, (spec.frames, spec.bands, spec.channels)[: 2 + (spec.channels > 1)]))
        raise UserError(
            f"The front end makes {shape} features, bytes above {ZERO_POINT}; the model's input"
            f" is {port.shape} of raw {model.task.preprocess.raw_type}.",
            "Export the model with the front end that it was trained behind.",
        )
    recordings = _recordings(model, spec)
    _check_features(spec, recordings, raw)
    graph = read_graph(spec.tflite)
    return FrontEndContent(
        spec=spec,
        costs=front_end_costs(spec, target),
        operators=front_end_registrations(operator.kind for operator in graph.operators),
        tensors=len(graph.tensors),
        recordings=recordings,
        is_input=_is_identity(scaling),
    )


def _recordings(model: TrainedModel, spec: FrontEndSpec) -> NDArray[np.int16]:
    recordings = model.golden_recordings
    if recordings is None or not len(recordings):
        raise UserError(
            "The front end has no golden recordings.",
            "Give the recordings whose features the first golden samples are.",
        )
    if recordings.dtype != np.int16 or recordings.shape[1:] != spec.recording_shape:
        raise UserError(
            f"The golden recordings are {recordings.dtype} {recordings.shape}, not int16"
            f" (n, {', '.join(map(str, spec.recording_shape))}).",
            "Give recordings as the sensor has them.",
        )
    if len(recordings) > len(model.golden_inputs):
        raise UserError(
            f"There are {len(recordings)} golden recordings and {len(model.golden_inputs)} golden samples.",
            "Give the features of every recording first among the golden samples.",
        )
    return recordings


def _check_features(spec: FrontEndSpec, recordings: NDArray[np.int16], raw: NDArray[np.generic]) -> None:
    """Golden samples must be what the device makes of the recordings; without TFLM's interpreter none can tell."""
    if reference_engine() != "tflm":
        return
    computed = FrontEnd(settings_of(spec)).raw_features(recordings).reshape(len(recordings), -1)
    for at, (features, sample) in enumerate(zip(computed, raw.reshape(len(raw), -1), strict=False)):
        if not np.array_equal(features, sample):
            raise UserError(
                f"The front end makes other features of golden recording {at} than golden sample {at}.",
                "Give the features of every recording first among the golden samples.",
            )


def _is_identity(scaling: InputScaling) -> bool:
    codes = np.arange(256, dtype=np.uint8)[:, None].repeat(len(scaling.offset), axis=1)
    return bool(np.array_equal(scaling.quantize(codes), codes.astype(np.int16) + ZERO_POINT))
