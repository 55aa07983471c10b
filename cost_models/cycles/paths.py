"""From an operator to the kernel path it takes and that path's trip counts."""

from __future__ import annotations

from collections.abc import Callable

from cost_models.cycles import (
    conv,
    decoding,
    depthwise,
    esp_nn_c,
    espressif,
    matmul,
    moving,
    portable,
    recurrent,
    reference,
    signal,
    simple,
    wide,
)
from cost_models.graph import Operator, Tensor
from cost_models.tflite_schema import DECODE

Trips = tuple[str, tuple[float, ...]]
Counter = Callable[[Operator, tuple[Tensor, ...], str], Trips]


def _per_sample(counter: Counter) -> Counter:
    """A kernel that does for each sample of a batch what it does for one."""

    def count(op: Operator, tensors: tuple[Tensor, ...], isa: str) -> Trips:
        path, trips = counter(op, tensors, isa)
        batch = tensors[op.inputs[0]].shape[0]
        return path, trips if batch == 1 else conv.repeated(FEATURES[path], trips, batch)

    return count


def _of_equal_shapes(counter: Counter) -> Counter:
    """A kernel of two tensors of the same shape; others are broadcast by TFLM's own in every library."""

    def count(op: Operator, tensors: tuple[Tensor, ...], isa: str) -> Trips:
        first, second = (tensors[index].shape for index in op.inputs[:2])
        return (counter if first == second else portable.binary)(op, tensors, isa)

    return count


def _counted(generic: Counter, published: Counter) -> Counter:
    """ESP-NN's generic C where its instructions were counted; elsewhere the kernel as its cycles were published."""

    def count(op: Operator, tensors: tuple[Tensor, ...], isa: str) -> Trips:
        return (generic if isa == "esp_rv32" else published)(op, tensors, isa)

    return count


def _on_int8(counter: Counter, other: Counter | None = None) -> Counter:
    """A kernel of int8 tensors; on another type a path of its own, by which nobody counted it unless `other` says."""

    def count(op: Operator, tensors: tuple[Tensor, ...], isa: str) -> Trips:
        dtype = tensors[op.inputs[0]].dtype
        if dtype == tensors[op.outputs[0]].dtype == "int8":
            return counter(op, tensors, isa)
        return (f"{op.kind.lower()}_{dtype}", ()) if other is None else other(op, tensors, isa)

    return count


def _all_on_int8(counters: dict[str, Counter], others: dict[str, Counter]) -> dict[str, Counter]:
    return {kind: _on_int8(counter, others.get(kind)) for kind, counter in counters.items()}


_OTHER_TYPES: dict[str, Counter] = {
    **dict.fromkeys(("ADD", "MUL"), portable.binary),
    **dict.fromkeys(("RELU", "RELU6", "LOGISTIC"), portable.flat),
    **dict.fromkeys(("MEAN", "SUM"), portable.odometer),
    **dict.fromkeys(("PAD", "PADV2"), moving.pad),
    "SOFTMAX": portable.by_row,
    "CONV_2D": _per_sample(wide.reference_conv),
    "DEPTHWISE_CONV_2D": _per_sample(wide.reference_depthwise),
    "FULLY_CONNECTED": wide.reference_dense,
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _per_sample(wide.reference_pool)),
}
_OTHER_TYPES_CMSIS_NN: dict[str, Counter] = {
    **_OTHER_TYPES,
    **dict.fromkeys(("ADD", "MUL"), _of_equal_shapes(wide.elementwise)),
    "CONV_2D": _per_sample(wide.conv_2d),
    "DEPTHWISE_CONV_2D": _per_sample(wide.depthwise_conv_2d),
    "FULLY_CONNECTED": wide.fully_connected,
    "AVERAGE_POOL_2D": _per_sample(wide.average_pool_2d),
    "MAX_POOL_2D": _per_sample(wide.max_pool_2d),
}
_SHARED: dict[str, Counter] = {
    "TRANSPOSE_CONV": matmul.reference_transpose_conv,
    "BATCH_MATMUL": matmul.reference_batch_matmul,
    "SVDF": recurrent.reference_svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": recurrent.reference_lstm,
    **dict.fromkeys(("CALL_ONCE", "VAR_HANDLE"), recurrent.once),
    **dict.fromkeys(("READ_VARIABLE", "ASSIGN_VARIABLE"), recurrent.variable),
    "IF": recurrent.branch,
    **portable.COUNTERS,
    **signal.COUNTERS,
    DECODE: decoding.decode,
    "L2_POOL_2D": _per_sample(wide.reference_pool),
    "RESHAPE": simple.reshape,
    "CONCATENATION": simple.concatenation,
}
_SHARED_INT8: dict[str, Counter] = {
    "LOGISTIC": simple.logistic,
    "RELU": simple.relu,
    "RELU6": simple.relu,
    "MEAN": simple.mean,
    "SUM": simple.mean,
}
COUNTERS: dict[str, dict[str, Counter]] = {
    "cmsis_nn": {
        **_SHARED,
        **portable.CMSIS_NN,
        "TRANSPOSE_CONV": matmul.transpose_conv,
        "BATCH_MATMUL": matmul.batch_matmul,
        "SVDF": recurrent.svdf,
        "UNIDIRECTIONAL_SEQUENCE_LSTM": recurrent.lstm,
        **_all_on_int8(
            {
                **_SHARED_INT8,
                "CONV_2D": conv.conv_2d,
                "DEPTHWISE_CONV_2D": depthwise.depthwise_conv_2d,
                "FULLY_CONNECTED": conv.fully_connected,
                "AVERAGE_POOL_2D": _per_sample(simple.average_pool_2d),
                "MAX_POOL_2D": _per_sample(simple.max_pool_2d),
                "ADD": _of_equal_shapes(simple.elementwise),
                "MUL": _of_equal_shapes(simple.elementwise),
                "SOFTMAX": simple.softmax,
                "PAD": simple.pad,
                "PADV2": simple.pad,
            },
            _OTHER_TYPES_CMSIS_NN,
        ),
    },
    "reference": {
        **_SHARED,
        **_all_on_int8(
            {
                **_SHARED_INT8,
                "CONV_2D": _per_sample(reference.conv_2d),
                "DEPTHWISE_CONV_2D": _per_sample(reference.depthwise_conv_2d),
                "FULLY_CONNECTED": reference.fully_connected,
                "AVERAGE_POOL_2D": _per_sample(reference.average_pool_2d),
                "MAX_POOL_2D": _per_sample(reference.max_pool_2d),
                "ADD": _of_equal_shapes(reference.elementwise),
                "MUL": _of_equal_shapes(reference.elementwise),
                "SOFTMAX": reference.softmax,
                "PAD": moving.pad,
                "PADV2": moving.pad,
            },
            _OTHER_TYPES,
        ),
    },
    "esp_nn": {
        **_SHARED,
        **_all_on_int8(
            {
                **_SHARED_INT8,
                "CONV_2D": _counted(_per_sample(esp_nn_c.conv_2d), espressif.conv_2d),
                "DEPTHWISE_CONV_2D": _counted(
                    _per_sample(esp_nn_c.depthwise_conv_2d), espressif.depthwise_conv_2d
                ),
                "FULLY_CONNECTED": _counted(esp_nn_c.fully_connected, espressif.fully_connected),
                "AVERAGE_POOL_2D": _counted(_per_sample(esp_nn_c.pool_2d), espressif.pool_2d),
                "MAX_POOL_2D": _counted(_per_sample(esp_nn_c.pool_2d), espressif.pool_2d),
                "ADD": _of_equal_shapes(_counted(esp_nn_c.elementwise, espressif.elementwise)),
                "MUL": _of_equal_shapes(_counted(esp_nn_c.elementwise, espressif.elementwise)),
                "SOFTMAX": _counted(esp_nn_c.softmax, espressif.softmax),
                "PAD": moving.pad,
                "PADV2": moving.pad,
            },
            _OTHER_TYPES,
        ),
    },
}
FEATURES: dict[str, tuple[str, ...]] = {
    **conv.FEATURES,
    **depthwise.FEATURES,
    **simple.FEATURES,
    **reference.FEATURES,
    **espressif.FEATURES,
    **esp_nn_c.FEATURES,
    **portable.FEATURES,
    **matmul.FEATURES,
    **recurrent.FEATURES,
    **wide.FEATURES,
    **signal.FEATURES,
    **decoding.FEATURES,
}
