"""Chooses the golden samples: those that together notice the most single weights that are changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.lean import lean
from cost_models.tflite_graph import read_graph
from nas.model.input_quantization import InputScaling
from nas.model.trained import GoldenShare, Preprocess
from nas.runtimes.litert import LiteRtModel

MOST, FEWEST = 16, 8
_RAW_BYTES = 256 << 10  # of all samples: the test build must fit into flash, too
_REAL = 4  # that many are test samples as they are, drawn without a look at the weights
_FLIP = 0x7F
_TRIED = 300
# Multiply-accumulates that the choice may take, about 2 s; an inference costs some hundred thousand more than its own.
_WORK, _OVERHEAD = 20_000_000_000, 300_000
_BISECTIONS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """The samples that a bundle's self-test replays.

    Attributes:
        samples: Raw samples. Shape: (n, *input_shape).
        share: How many changed weights they notice; None where the model has no weights that could be changed.
    """

    samples: NDArray[np.generic]
    share: GoldenShare | None


def choose_golden(tflite: bytes, test: NDArray[np.generic], preprocess: Preprocess, seed: int) -> Golden:
    """Samples that answer otherwise when a weight of the model is another.

    Some are test samples. The others are chosen one by one from test samples, mixtures of two on the border between
    their classes, and noise, for the weights that those before did not notice. The share is measured with other
    weights than the choice was made with. LiteRT answers, which is TFLM but for a rare last bit.

    Args:
        tflite: The lean int8 model.
        test: Raw test samples. Shape: (n, *input_shape).
        preprocess: The task's scaling of raw samples.
        seed: The same seed chooses the same samples.
    """
    rng = np.random.default_rng([seed, *b"golden"])
    count = _count(test[0].nbytes)
    model = _Flippable(tflite)
    scaling = InputScaling.fold(preprocess, scale=model.port.scale, zero_point=model.port.zero_point)
    base = test[np.sort(rng.choice(len(test), min(_REAL, len(test)), replace=False))]
    if len(model.weights) < 2:
        return Golden(samples=base, share=None)
    runs = _WORK // (read_graph(tflite).macs + _OVERHEAD)
    size = 96 if runs > 10_000 else 48 if runs > 3_000 else 24

    order = rng.permutation(model.weights)
    held_out = order[: min(_TRIED, len(order) // 2)]
    for_choice = order[len(held_out) :][: int(np.clip(runs // 12, 60, 1500))]
    pool = _candidates(test, size, model, scaling, rng)
    first = scaling.quantize(base)
    known = model.run(first)
    unseen = [at for at in for_choice if not model.noticed(at, first, known)]
    inputs = scaling.quantize(pool)
    known = model.run(inputs)
    rows = [model.differs(at, inputs, known) for at in unseen[: max(30, int(runs * 0.45) // size)]]
    picks = _greedy(np.array(rows, bool).reshape(-1, len(pool)), count - len(base))
    samples = np.concatenate([base, pool[picks]])
    chosen = scaling.quantize(samples)
    known = model.run(chosen)
    noticed = sum(model.noticed(at, chosen, known) for at in held_out)
    return Golden(samples=samples, share=GoldenShare(noticed=noticed, tried=len(held_out)))


def _count(sample_bytes: int) -> int:
    """Number of golden samples of a size."""
    return int(np.clip(_RAW_BYTES // max(sample_bytes, 1), FEWEST, MOST))


class _Flippable:
    """A model whose weights can be changed one at a time.

    Args:
        tflite: The int8 model.
    """

    def __init__(self, tflite: bytes) -> None:
        self._bytes = lean(tflite, litert=True)
        self._model = LiteRtModel(self._bytes, as_is=True)
        self.port = self._model.input
        self.weights = _weight_bytes(self._bytes)

    def run(self, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
        return self._model.run(inputs.reshape(-1, *self.port.shape)).reshape(len(inputs), -1)

    def differs(self, at: int, inputs: NDArray[np.int8], known: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Which inputs are answered otherwise than is known with one weight changed."""
        answers = self._changed(at).run(inputs.reshape(-1, *self.port.shape)).reshape(len(inputs), -1)
        return np.asarray((answers != known).any(axis=1))

    def noticed(self, at: int, inputs: NDArray[np.int8], known: NDArray[np.int8]) -> bool:
        """Whether any input is; no more are run than that takes."""
        changed = self._changed(at)
        rows = inputs.reshape(-1, 1, *self.port.shape)
        return any(
            (changed.run(row).ravel() != answer).any() for row, answer in zip(rows, known, strict=True)
        )

    def _changed(self, at: int) -> LiteRtModel:
        data = bytearray(self._bytes)
        data[at] ^= _FLIP
        return LiteRtModel(bytes(data), as_is=True)


def _weight_bytes(tflite: bytes) -> NDArray[np.int64]:
    """Where the int8 constants of a model lie in its file."""
    from ai_edge_litert import schema_py_generated as schema

    start = np.frombuffer(tflite, np.uint8).__array_interface__["data"][0]
    model = schema.Model.GetRootAs(tflite, 0)
    graph = model.Subgraphs(0)
    spans = set()
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        buffer = model.Buffers(tensor.Buffer())
        if tensor.Type() == schema.TensorType.INT8 and buffer.DataLength():
            at = buffer.DataAsNumpy().__array_interface__["data"][0] - start
            spans.add((at, buffer.DataLength()))
    ranges = [np.arange(at, at + length) for at, length in sorted(spans)]
    return np.concatenate(ranges) if ranges else np.empty(0, np.int64)


def _candidates(
    test: NDArray[np.generic],
    size: int,
    model: _Flippable,
    scaling: InputScaling,
    rng: np.random.Generator,
) -> NDArray[np.generic]:
    """A third test samples, a third mixtures on the border between two classes, the rest noise and noisy samples."""
    third = size // 3
    real = test[rng.choice(len(test), third)]
    first, second = (test[rng.choice(len(test), 2 * third)].astype(np.float64) for _ in range(2))
    share = (slice(None), *[None] * (test.ndim - 1))

    def mixed(low: NDArray[np.float64]) -> NDArray[np.generic]:
        return _as_raw(first * (1 - low[share]) + second * low[share], test)

    low, high = np.zeros(len(first)), np.ones(len(first))
    answer = model.run(scaling.quantize(mixed(low))).argmax(axis=1)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        same = model.run(scaling.quantize(mixed(middle))).argmax(axis=1) == answer
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    border = mixed(low)
    scores = np.sort(model.run(scaling.quantize(border)).astype(np.int16), axis=1)
    margin = scores[:, -1] - scores[:, -2] if scores.shape[1] > 1 else scores[:, 0]
    border = border[np.argsort(margin, kind="stable")[:third]]
    left = size - 2 * third
    noise = rng.uniform(float(test.min()), float(test.max()), (left, *test.shape[1:]))
    noise[::2] = (noise[::2] + test[rng.choice(len(test), len(noise[::2]))].astype(np.float64)) / 2
    return np.concatenate([real, border, _as_raw(noise, test)])


def _as_raw(values: NDArray[np.float64], like: NDArray[np.generic]) -> NDArray[np.generic]:
    return (np.rint(values) if like.dtype.kind in "iu" else values).astype(like.dtype)


def _greedy(seen: NDArray[np.bool_], count: int) -> list[int]:
    """The columns that together are true in the most rows; among equals those that are true in the most rows alone."""
    picks: list[int] = []
    left = np.ones(len(seen), bool)
    totals = seen.sum(axis=0) / (len(seen) + 1)
    for _ in range(min(count, seen.shape[1])):
        gains = seen[left].sum(axis=0) + totals
        gains[picks] = -1
        picks.append(int(gains.argmax()))
        left &= ~seen[:, picks[-1]]
    return picks
