"""The graph of a log-mel front end, from 16-bit samples of one frame to one int8 feature a band.

    window -> fft auto scale -> rfft -> energy -> filter bank -> square root
           [-> spectral subtraction] [-> PCAN] -> log -> quantize

The spectrum beyond the bands is not set to zero as TFLM's example does: no band has a weight there. The logarithm's
scale is the output's, so that the last step only moves the zero point and saturates, exactly.

Source: signal/micro/kernels and tensorflow/lite/micro/examples/micro_speech/audio_preprocessor.py, tflite-micro
90b983c2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.graph import NoOptions, Operator, OpGraph, SignalOptions, Tensor
from cost_models.tflite_schema import TENSOR_TYPES
from cost_models.tflite_writer import write_model
from nas.frontend.filter_bank import WEIGHT_BITS, gain_table, hann_window
from nas.frontend.settings import (
    GAIN_BITS,
    GAIN_OFFSET,
    GAIN_STRENGTH,
    LEAST_REMAINING,
    ODD_SMOOTHING,
    SMOOTHING,
    SMOOTHING_BITS,
    SUBTRACTION_BITS,
    LogMelSettings,
)

ZERO_POINT = -128
"""Of the output: silence is the lowest value."""

_RATIO_BITS = 12  # fractional bits of PCAN's ratio of signal and noise (kPcanSnrBits)


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


def log_mel(settings: LogMelSettings) -> FrontEndModel:
    """The model of one frame: samples in, features out. Shape: (window_samples,) int16 -> (bands,) int8."""
    parts = _Parts()
    window, bands, correction = settings.window_samples, settings.bands, settings.correction_bits

    def energies() -> int:
        return parts.tensor((bands,), "uint32")

    samples = parts.tensor((window,), "int16")
    frame = parts.tensor((window,), "int16")
    parts.add("SignalWindow", [samples, parts.constant(hann_window(window))], [frame], shift=WEIGHT_BITS)
    scaled, shift = parts.tensor((window,), "int16"), parts.tensor((), "int32")
    parts.add("SignalFftAutoScale", [frame], [scaled, shift])
    spectrum = parts.tensor((settings.fft_length + 2,), "int16")
    parts.add(
        "SignalRfft", [scaled], [spectrum], T=TENSOR_TYPES.index("int16"), fft_length=settings.fft_length
    )
    power = parts.tensor((settings.fft_length // 2 + 1,), "uint32")
    bank = settings.filter_bank()
    parts.add("SignalEnergy", [spectrum], [power], end_index=bank.end, start_index=bank.first)
    sums = parts.tensor((bands,), "uint64")
    lists = (bank.weights, bank.unweights, bank.starts, bank.places, bank.widths)
    parts.add("SignalFilterBank", [power, *map(parts.constant, lists)], [sums], num_channels=bands)
    levels = energies()
    parts.add("SignalFilterBankSquareRoot", [sums, shift], [levels])

    if settings.noise_subtraction or settings.pcan:
        remaining, noise = energies(), energies()
        parts.add("SignalFilterBankSpectralSubtraction", [levels], [remaining, noise], **_subtraction(bands))
        if settings.noise_subtraction:
            levels = remaining
    if settings.pcan:
        gains = gain_table(
            strength=GAIN_STRENGTH,
            offset=GAIN_OFFSET,
            input_bits=SMOOTHING_BITS - correction,
            gain_bits=GAIN_BITS,
        )
        adapted = energies()
        parts.add(
            "SignalPCAN",
            [levels, noise, parts.constant(gains)],
            [adapted],
            snr_shift=GAIN_BITS - correction - _RATIO_BITS,
        )
        levels = adapted

    steps = settings.log_scale
    logs = parts.tensor((bands,), "int16", quantization=(1 / steps, 0))
    parts.add("SignalFilterBankLog", [levels], [logs], input_correction_bits=correction, output_scale=steps)
    features = parts.tensor((bands,), "int8", quantization=(1 / steps, ZERO_POINT))
    parts.add("QUANTIZE", [logs], [features])
    graph = parts.graph(samples, features)
    return FrontEndModel(
        tflite=write_model(graph, parts.constants, parts.quantization),
        graph=graph,
        scale=float(np.float32(1 / steps)),
    )


def _subtraction(bands: int) -> dict[str, int]:
    one = 1 << SUBTRACTION_BITS
    smoothing, odd = int(SMOOTHING * one), int(ODD_SMOOTHING * one)
    return {
        "alternate_one_minus_smoothing": one - odd,
        "alternate_smoothing": odd,
        "clamping": 0,
        "min_signal_remaining": int(LEAST_REMAINING * one),
        "num_channels": bands,
        "one_minus_smoothing": one - smoothing,
        "smoothing": smoothing,
        "smoothing_bits": SMOOTHING_BITS,
        "spectral_subtraction_bits": SUBTRACTION_BITS,
    }


class _Parts:
    """Tensors and operators as they come together."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._operators: list[Operator] = []
        self.constants: dict[int, bytes] = {}
        self.quantization: dict[int, tuple[float, int]] = {}

    def tensor(
        self, shape: tuple[int, ...], dtype: str, *, quantization: tuple[float, int] | None = None
    ) -> int:
        """The index of a new activation."""
        index = len(self._tensors)
        scales = 0 if quantization is None else 1
        self._tensors.append(Tensor(shape=shape, dtype=dtype, scales=scales, zero_points=scales))
        if quantization is not None:
            self.quantization[index] = quantization
        return index

    def constant(self, values: NDArray[np.int16]) -> int:
        """The index of a new constant."""
        index = len(self._tensors)
        self._tensors.append(Tensor(shape=values.shape, dtype="int16", data_bytes=values.nbytes))
        self.constants[index] = values.astype("<i2").tobytes()
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

    def graph(self, source: int, result: int) -> OpGraph:
        """All of it."""
        return OpGraph(
            tensors=tuple(self._tensors),
            operators=tuple(self._operators),
            inputs=(source,),
            outputs=(result,),
        )
