"""Models whose weights hold few values, as training with clusters makes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cost_models.compressed import compressible, one_table
from cost_models.tflite_graph import read_model

Bytes = npt.NDArray[np.int8]


def with_few_values(data: bytes, change: Callable[[Bytes], Bytes]) -> bytes:
    """A model with other values in its weights: what training with clusters would have made."""
    model = read_model(data)
    out = bytearray(data)
    for index in compressible(model.graph, one_table(1)):
        start, size = model.data[index]
        weights = np.frombuffer(data[start : start + size], np.int8).reshape(model.graph.tensors[index].shape)
        out[start : start + size] = change(weights).astype(np.int8).tobytes()
    return bytes(out)


def in_steps(levels: int) -> Callable[[Bytes], Bytes]:
    step = 254 / (levels - 1)
    return lambda weights: np.clip(np.round(np.round(weights / step) * step), -127, 127)
