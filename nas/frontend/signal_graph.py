"""Graphs of TFLM's signal operators: what the front ends of all kinds have in common.

Source: signal/micro/kernels, tflite-micro 90b983c2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.graph import NoOptions, Operator, OpGraph, SignalOptions, Tensor
from cost_models.tflite_schema import TENSOR_TYPES
from cost_models.tflite_writer import write_model
from nas.frontend.filter_bank import WEIGHT_BITS, hann_window
from nas.frontend.frames import FrameSettings

ZERO_POINT = -128
"""Zero point of the output: silence is the lowest value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndModel:
    """A front end as the chip runs it.

    Attributes:
        tflite: The flatbuffer.
        graph: Its structure, which the cost models count.
        scale: Of the int8 output, in nepers of a band's amplitude; its zero point is `ZERO_POINT`.
    """

    tflite: bytes
    graph: OpGraph
    scale: float


class GraphParts:
    """Tensors and operators as they come together."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._operators: list[Operator] = []
        self._constants: dict[int, bytes] = {}
        self._quantization: dict[int, tuple[float, int]] = {}

    def tensor(
        self, shape: tuple[int, ...], dtype: str, *, quantization: tuple[float, int] | None = None
    ) -> int:
        """The index of a new activation."""
        index = len(self._tensors)
        scales = 0 if quantization is None else 1
        self._tensors.append(Tensor(shape=shape, dtype=dtype, scales=scales, zero_points=scales))
        if quantization is not None:
            self._quantization[index] = quantization
        return index

    def constant(self, values: NDArray[np.int16]) -> int:
        """The index of a new constant."""
        index = len(self._tensors)
        self._tensors.append(Tensor(shape=values.shape, dtype="int16", data_bytes=values.nbytes))
        self._constants[index] = values.astype("<i2").tobytes()
        return index

    def add(self, kind: str, inputs: list[int], outputs: list[int], **options: int) -> None:
        """Another operator."""
        signal = SignalOptions(values=tuple(sorted(options.items())))
        self._operators.append(
            Operator(
                kind=kind,
                inputs=tuple(inputs),
                outputs=tuple(outputs),
                options=NoOptions() if kind == "QUANTIZE" else signal,
            )
        )

    def amplitudes(self, settings: FrameSettings) -> tuple[int, int]:
        """The tensors of a frame's samples and of its bands' amplitudes: the first six operators.

            window -> fft auto scale -> rfft -> energy -> filter bank -> square root

        The spectrum beyond the bands is not set to zero as TFLM's example does: no band has a weight there.
        """
        window, length, bands = settings.window_samples, settings.fft_length, settings.bands
        samples, frame = self.tensor((window,), "int16"), self.tensor((window,), "int16")
        self.add("SignalWindow", [samples, self.constant(hann_window(window))], [frame], shift=WEIGHT_BITS)
        scaled, shift = self.tensor((window,), "int16"), self.tensor((), "int32")
        self.add("SignalFftAutoScale", [frame], [scaled, shift])
        spectrum = self.tensor((length + 2,), "int16")
        self.add("SignalRfft", [scaled], [spectrum], T=TENSOR_TYPES.index("int16"), fft_length=length)
        power = self.tensor((length // 2 + 1,), "uint32")
        bank = settings.filter_bank()
        self.add("SignalEnergy", [spectrum], [power], end_index=bank.end, start_index=bank.first)
        sums = self.tensor((bands,), "uint64")
        lists = (bank.weights, bank.unweights, bank.starts, bank.places, bank.widths)
        self.add("SignalFilterBank", [power, *map(self.constant, lists)], [sums], num_channels=bands)
        levels = self.tensor((bands,), "uint32")
        self.add("SignalFilterBankSquareRoot", [sums, shift], [levels])
        return samples, levels

    def finished(self, samples: int, levels: int, *, correction_bits: int, steps: int) -> FrontEndModel:
        """The model whose output are logarithms of `levels`.

        The logarithm's scale is the output's, so that the last step only moves the zero point and saturates, exactly.
        """
        shape = self._tensors[levels].shape
        logs = self.tensor(shape, "int16", quantization=(1 / steps, 0))
        self.add(
            "SignalFilterBankLog", [levels], [logs], input_correction_bits=correction_bits, output_scale=steps
        )
        features = self.tensor(shape, "int8", quantization=(1 / steps, ZERO_POINT))
        self.add("QUANTIZE", [logs], [features])
        graph = OpGraph(
            tensors=tuple(self._tensors),
            operators=tuple(self._operators),
            inputs=(samples,),
            outputs=(features,),
        )
        return FrontEndModel(
            tflite=write_model(graph, self._constants, self._quantization),
            graph=graph,
            scale=float(np.float32(1 / steps)),
        )
