"""Trip counts of the operators with a memory (SVDF, UNIDIRECTIONAL_SEQUENCE_LSTM, resource variables) and of IF.

Source: tensorflow/lite/micro/kernels (svdf, lstm_eval, read_variable, ...), tflite-micro 90b983c2; arm_svdf_s8,
arm_svdf_state_s16_s8, arm_lstm_unidirectional_s8 and ..._s16, CMSIS-NN 4ab83cc3.
"""

from __future__ import annotations

from collections.abc import Callable

from cost_models.cycles import dense
from cost_models.cycles.counting import copy_at
from cost_models.cycles.matmul import PAIRED, QUADS, kind_of, paired, quads
from cost_models.graph import KernelOptions, Operator, Tensor
from cost_models.summing import ordered_sum

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

_SVDF = (
    "moved_elements",
    "filters",
    "filters*blocks",
    "filters*rest",
    "units",
    "units_of_one_filter",
    "unit_filters",
)
_TRIPLES = ("triples", "triples*depth", "singles", "singles*depth")
_STEPS = ("operator", "samples", "steps", "products")
_STATE = ("pairs_of_state", "odd_state")

FEATURES: dict[str, tuple[str, ...]] = {
    "svdf_int8_dsp": (*_SVDF, *dense.DENSE_DSP),
    "svdf_int8_scalar": (*_SVDF, *dense.DENSE_SCALAR),
    "svdf_int8_mve": (*_SVDF, *dense.DENSE_MVE),
    "svdf_int16_mve": (*_SVDF, "operator", "samples", *_TRIPLES),
    "svdf_int16_dsp": (*_SVDF, "operator", "samples", *PAIRED),
    "svdf_int16_scalar": (*_SVDF, "operator", "samples", *_TRIPLES),
    **{
        f"svdf_reference_{dtype}": (
            "operator",
            "moved_elements",
            "filters",
            "filters*inputs",
            "filters*memory",
            "units",
            "unit_filters",
        )
        for dtype in ("int8", "int16", "float32")
    },
    "lstm_int8_dsp": (*_STEPS, *PAIRED, *_STATE),
    "lstm_int8_scalar": (*_STEPS, *_TRIPLES, *_STATE),
    "lstm_int8_mve": (*_STEPS, *QUADS, *_STATE),
    "lstm_int16_mve": (*_STEPS, *QUADS, *_STATE),
    "lstm_int16_dsp": (*_STEPS, *PAIRED, *_STATE),
    "lstm_int16_scalar": (*_STEPS, "outputs", "macs", *_STATE),
    **{
        f"lstm_reference_{dtype}": ("operator", "steps", "outputs", "macs", "state")
        for dtype in ("int8", "int16", "float32")
    },
    "call_once": ("operator",),
    "var_handle": ("operator",),
    "if": ("operator", "copies", "copy_instructions"),
    "read_variable": ("operator", "copy_instructions"),
    "assign_variable": ("operator", "copy_instructions"),
}


def svdf(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_svdf_s8` and `arm_svdf_state_s16_s8`: products by the features, by the memory, and sums over the rank."""
    source, time = tensors[op.inputs[0]], tensors[op.inputs[2]]
    if source.dtype == "float32":
        return reference_svdf(op, tensors, isa)
    if not isinstance(op.options, KernelOptions):
        return f"svdf_{time.dtype}_other", ()
    batch, depth = source.shape
    filters, memory = time.shape
    rank = op.options["rank"]
    units = batch * filters // max(rank, 1)
    step = (4 if time.dtype == "int8" else 2) if isa == "dsp" else 1
    around = (
        batch * filters * memory - 1,
        batch * filters,
        batch * filters * (memory // step),
        batch * filters * (memory % step),
        units,
        units if rank == 1 else 0,
        0 if rank == 1 else units * rank,
    )
    kind = kind_of(isa)
    path = f"svdf_{time.dtype}_{kind}"
    if kind == "mve":
        if time.dtype == "int8":
            return path, (*around, *dense.dense_mve(filters, depth, batch))
        return path, (*around, 1, batch, *_triples(filters, (depth + 15) >> 4, batch))
    if time.dtype == "int8":
        count: Callable[[int, int, int, bool], tuple[float, ...]] = (
            dense.dense_dsp if kind == "dsp" else dense.dense_scalar
        )
        return path, (*around, *count(filters, depth, batch, False))
    if kind == "dsp":
        return path, (*around, 1, batch, *paired(filters, depth, batch))
    return path, (*around, 1, batch, *_triples(filters, depth, batch))


def _triples(channels: int, depth: int, calls: int) -> tuple[float, ...]:
    """A vector by matrix product of three channels at once."""
    triples, singles = channels // 3 * calls, channels % 3 * calls
    return (triples, triples * depth, singles, singles * depth)


def reference_svdf(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's own: one multiply-accumulate a step."""
    source, _, time = (tensors[index] for index in op.inputs[:3])
    if not isinstance(op.options, KernelOptions):
        return "svdf_reference_other", ()
    batch, depth = source.shape
    filters, memory = time.shape
    rank = max(op.options["rank"], 1)
    visited = batch * filters
    return f"svdf_reference_{time.dtype}", (
        1,
        visited * memory - 1,
        visited,
        visited * depth,
        visited * memory,
        visited // rank,
        visited,
    )


def lstm(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`arm_lstm_unidirectional_s8` and `..._s16`: for each step four gates of two products each, and the state."""
    source = tensors[op.inputs[0]]
    if source.dtype == "float32":
        return reference_lstm(op, tensors, isa)
    if not isinstance(op.options, KernelOptions):
        return f"lstm_{source.dtype}_other", ()
    batch, time, depth, units = _sizes(op, tensors)
    visits = batch * time
    # The first step has no state yet, and leaves its products out.
    again = batch * (time - 1)
    # With time in front all samples go through a step together, else one after the other.
    steps, states = (time, batch * units) if op.options["time_major"] else (visits, units)
    around = (1, batch, steps, 4 * (visits + again))
    state = (steps * (states >> 1), steps * (states & 1))
    kind = kind_of(isa)
    path = f"lstm_{source.dtype}_{kind}"
    if kind == "mve":
        state = (steps * ((states + 3) >> 2), steps * (states & 3))
    if kind == "scalar" and source.dtype == "int16":
        return path, (
            *around,
            4 * units * (visits + again),
            4 * units * (visits * depth + again * units),
            *state,
        )
    products = [(depth, 4 * visits), (units, 4 * again)]
    if kind == "mve":
        lanes = 16 if source.dtype == "int8" else 8
        parts = [quads(units, columns, calls, lanes) for columns, calls in products]
    else:
        count = paired if kind == "dsp" else _triples
        parts = [count(units, columns, calls) for columns, calls in products]
    return path, (*around, *map(ordered_sum, zip(*parts, strict=True)), *state)


def reference_lstm(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """TFLM's own: one multiply-accumulate a step."""
    batch, time, depth, units = _sizes(op, tensors)
    together = isinstance(op.options, KernelOptions) and op.options["time_major"]
    outputs = 4 * batch * time * units
    return f"lstm_reference_{tensors[op.inputs[0]].dtype}", (
        1,
        time if together else batch * time,
        2 * outputs,
        outputs * (depth + units),
        batch * time * units,
    )


def _sizes(op: Operator, tensors: Tensors) -> tuple[int, int, int, int]:
    """Samples, steps of time, inputs of a step and units."""
    first, second, depth = tensors[op.inputs[0]].shape
    units = tensors[op.outputs[0]].shape[-1]
    if isinstance(op.options, KernelOptions) and op.options["time_major"]:
        return second, first, depth, units
    return first, second, depth, units


def once(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """CALL_ONCE after the first inference, VAR_HANDLE: a look and no more."""
    return op.kind.lower(), (1,)


def branch(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """IF without its branches: a copy of each tensor that goes in and of each that comes out."""
    copied = [tensors[index] for index in (*op.inputs[1:], *op.outputs)]
    return "if", (1, len(copied), ordered_sum([copy_at(tensor.size_bytes, 0, 0, isa) for tensor in copied]))


def variable(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """READ_VARIABLE and ASSIGN_VARIABLE: a copy of the whole value."""
    value = tensors[op.outputs[0] if op.kind == "READ_VARIABLE" else op.inputs[1]]
    return op.kind.lower(), (1, copy_at(value.size_bytes, 0, 0, isa))
