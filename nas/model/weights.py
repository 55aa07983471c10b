"""Float weights of a network, apart from any framework: kept as `.npz`, and taken over by other networks.

A layer takes the weights of a layer of the source of the same kind (convolution, depthwise, dense) and the same shape
of the kernel. Both orders are kept, so that a source of more or fewer layers is taken from before and behind the
difference; of all ways to do so that which takes the most weights, at the earliest layers of the source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nas.model.npz import npz_arrays, npz_bytes
from search_spaces.arch import ArchSpec
from search_spaces.layers import Conv, Dense, DepthwiseConv

Kind = Literal["conv", "depthwise", "dense"]
Array = NDArray[np.float32]

LARGEST_WEIGHTS_BYTES = 32 << 20
"""No network of a microcontroller has as many: larger ones are neither kept nor taken."""

_NORM_ROWS = 4


class WeightsError(ValueError):
    """Weights that cannot be taken; the text says why, of a file called "it"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWeights:
    """The weights of a layer.

    Attributes:
        kind: What it computes.
        kernel: Shape: (height, width, inputs, filters) of a convolution, (height, width, channels, multiplier) of a
            depthwise one, (inputs, units) of a dense one.
        bias: Shape: (outputs,). None without one.
        norm: Gain, offset, mean and variance of the batch norm behind it. Shape: (4, outputs). None without one.
    """

    kind: Kind
    kernel: Array
    bias: Array | None = None
    norm: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """What a network took of other weights before it was trained.

    Attributes:
        source: Digest of the weights.
        layers: Layers that took weights.
        of: Layers of the network that have weights.
        share: Of the network's weights, those that were taken.
    """

    source: str
    layers: int
    of: int
    share: float

    def text(self) -> str:
        """In words."""
        return f"{self.layers} of {self.of} layers, {100 * self.share:.0f} % of the weights"


@dataclass(frozen=True, slots=True, eq=False)
class FloatWeights:
    """The weights of a network, layer by layer in the order in which they run."""

    layers: tuple[LayerWeights, ...]

    def digest(self) -> str:
        """Name of these weights: the same for the same values."""
        return weights_digest(self.to_npz())

    def to_npz(self) -> bytes:
        """As a file, the same bytes for the same weights."""
        arrays: dict[str, Array] = {}
        for index, layer in enumerate(self.layers):
            parts = {"kernel": layer.kernel, "bias": layer.bias, "norm": layer.norm}
            arrays |= {
                f"{index:04}.{layer.kind}.{name}": part for name, part in parts.items() if part is not None
            }
        return npz_bytes(arrays)

    @classmethod
    def from_npz(cls, content: bytes) -> FloatWeights:
        """The inverse of `to_npz`, for a file of unknown origin.

        Raises:
            WeightsError: It is none, or its weights are not finite; the text says why.
        """
        by_layer: dict[tuple[str, Kind], dict[str, Array]] = {}
        try:
            arrays = npz_arrays(content, LARGEST_WEIGHTS_BYTES)
        except ValueError as error:
            raise WeightsError(str(error)) from error
        kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
        for key, array in arrays.items():
            at, word, part = (*key.split("."), "", "")[:3]
            kind = kinds.get(word)
            if (
                kind is None
                or not at.isdecimal()
                or part not in ("kernel", "bias", "norm")
                or array.dtype != np.float32
            ):
                raise WeightsError("it does not hold the weights of a network")
            by_layer.setdefault((at, kind), {})[part] = array
        return cls(checked([_layer(kind, parts) for (_, kind), parts in sorted(by_layer.items())]))

    def pairs(self, spec: ArchSpec) -> list[tuple[int, LayerWeights]]:
        """The layers of a network that take weights, by index, with what they take; see the module."""
        wanted = _kernels(spec)
        mine = [(layer.kind, layer.kernel.shape) for layer in self.layers]
        # The most weights that the layers from `i` and `j` on can take.
        most = np.zeros((len(wanted) + 1, len(mine) + 1))
        for i in range(len(wanted) - 1, -1, -1):
            for j in range(len(mine) - 1, -1, -1):
                most[i, j] = max(most[i + 1, j], most[i, j + 1])
                if wanted[i][1] == mine[j]:
                    most[i, j] = max(most[i, j], most[i + 1, j + 1] + self.layers[j].kernel.size)
        taken, i, j = [], 0, 0
        while i < len(wanted) and j < len(mine):
            if wanted[i][1] == mine[j] and most[i, j] == most[i + 1, j + 1] + self.layers[j].kernel.size:
                taken.append((wanted[i][0], self.layers[j]))
                i, j = i + 1, j + 1
            elif most[i, j] == most[i + 1, j]:
                i += 1
            else:
                j += 1
        return taken

    def taken_by(self, spec: ArchSpec) -> Inherited | None:
        """What a network takes of them; None where it takes nothing."""
        pairs, wanted = self.pairs(spec), _kernels(spec)
        if not pairs:
            return None
        whole = sum(int(np.prod(shape)) for _, (_, shape) in wanted)
        share = sum(layer.kernel.size for _, layer in pairs) / whole
        return Inherited(source=self.digest(), layers=len(pairs), of=len(wanted), share=round(share, 4))


def weights_digest(content: bytes) -> str:
    """The name of weights, from their file."""
    return hashlib.sha256(content).hexdigest()[:16]


def checked(layers: Sequence[LayerWeights]) -> tuple[LayerWeights, ...]:
    """Layers of unknown origin whose shapes fit together and whose values are finite.

    Raises:
        WeightsError: They are not.
    """
    if not layers:
        raise WeightsError("it holds no weights of convolutions or dense layers")
    for layer in layers:
        if not all(
            np.isfinite(part).all() for part in (layer.kernel, layer.bias, layer.norm) if part is not None
        ):
            raise WeightsError("it holds weights that are not finite")
    return tuple(layers)


def outputs_of(kind: Kind, kernel: Array) -> int:
    """How many channels a kernel makes."""
    return int(kernel.shape[2] * kernel.shape[3] if kind == "depthwise" else kernel.shape[-1])


def _layer(kind: Kind, parts: Mapping[str, Array]) -> LayerWeights:
    kernel = parts.get("kernel")
    if kernel is None or kernel.ndim != (2 if kind == "dense" else 4) or not kernel.size:
        raise WeightsError("it does not hold the weights of a network")
    outputs = outputs_of(kind, kernel)
    for name, shape in (("bias", (outputs,)), ("norm", (_NORM_ROWS, outputs))):
        if name in parts and parts[name].shape != shape:
            raise WeightsError("it does not hold the weights of a network")
    return LayerWeights(kind=kind, kernel=kernel, bias=parts.get("bias"), norm=parts.get("norm"))


def _kernels(spec: ArchSpec) -> list[tuple[int, tuple[Kind, tuple[int, ...]]]]:
    """The layers of a network that have weights: index, kind and shape of the kernel."""
    found: list[tuple[int, tuple[Kind, tuple[int, ...]]]] = []
    for index, layer in enumerate(spec.layers):
        channels = spec.shape_of(layer.inputs[0])[-1]
        match layer:
            case Conv():
                found.append((index, ("conv", (*layer.kernel, channels, layer.filters))))
            case DepthwiseConv():
                found.append((index, ("depthwise", (*layer.kernel, channels, layer.multiplier))))
            case Dense():
                found.append((index, ("dense", (channels, layer.units))))
    return found


def inherited_from_json(content: Any) -> Inherited | None:
    """The inverse of `dataclasses.asdict`."""
    return None if content is None else Inherited(**content)
