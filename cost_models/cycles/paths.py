"""From an operator to the kernel path it takes and that path's trip counts."""

from __future__ import annotations

from collections.abc import Callable

from cost_models.cycles import conv, depthwise, espressif, reference, simple
from cost_models.graph import Operator, Tensor

Trips = tuple[str, tuple[float, ...]]
Counter = Callable[[Operator, tuple[Tensor, ...], str], Trips]


def _per_sample(counter: Counter) -> Counter:
    """A kernel that does for each sample of a batch what it does for one."""

    def count(op: Operator, tensors: tuple[Tensor, ...], isa: str) -> Trips:
        path, trips = counter(op, tensors, isa)
        batch = tensors[op.inputs[0]].shape[0]
        return path, trips if batch == 1 else conv.repeated(FEATURES[path], trips, batch)

    return count


_SHARED: dict[str, Counter] = {
    "LOGISTIC": simple.logistic,
    "RELU": simple.relu,
    "RELU6": simple.relu,
    "MEAN": simple.mean,
    "SUM": simple.mean,
    "RESHAPE": simple.reshape,
    "CONCATENATION": simple.concatenation,
}
COUNTERS: dict[str, dict[str, Counter]] = {
    "cmsis_nn": {
        **_SHARED,
        "CONV_2D": conv.conv_2d,
        "DEPTHWISE_CONV_2D": depthwise.depthwise_conv_2d,
        "FULLY_CONNECTED": conv.fully_connected,
        "AVERAGE_POOL_2D": _per_sample(simple.average_pool_2d),
        "MAX_POOL_2D": _per_sample(simple.max_pool_2d),
        "ADD": simple.elementwise,
        "MUL": simple.elementwise,
        "SOFTMAX": simple.softmax,
        "PAD": simple.pad,
    },
    "reference": {
        **_SHARED,
        "CONV_2D": _per_sample(reference.conv_2d),
        "DEPTHWISE_CONV_2D": _per_sample(reference.depthwise_conv_2d),
        "FULLY_CONNECTED": reference.fully_connected,
        "AVERAGE_POOL_2D": _per_sample(reference.average_pool_2d),
        "MAX_POOL_2D": _per_sample(reference.max_pool_2d),
        "ADD": reference.elementwise,
        "MUL": reference.elementwise,
        "SOFTMAX": reference.softmax,
    },
    "esp_nn": {
        **_SHARED,
        "CONV_2D": espressif.conv_2d,
        "DEPTHWISE_CONV_2D": espressif.depthwise_conv_2d,
        "FULLY_CONNECTED": espressif.fully_connected,
        "AVERAGE_POOL_2D": espressif.pool_2d,
        "MAX_POOL_2D": espressif.pool_2d,
        "ADD": espressif.elementwise,
        "MUL": espressif.elementwise,
        "SOFTMAX": espressif.softmax,
        "PAD": simple.pad,
    },
}
FEATURES: dict[str, tuple[str, ...]] = {
    **conv.FEATURES,
    **depthwise.FEATURES,
    **simple.FEATURES,
    **reference.FEATURES,
    **espressif.FEATURES,
}
