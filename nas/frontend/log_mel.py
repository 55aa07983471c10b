"""The graph of a log-mel front end, from 16-bit samples of one frame to one int8 feature a band.

    window -> fft auto scale -> rfft -> energy -> filter bank -> square root
           [-> spectral subtraction] [-> PCAN] -> log -> quantize

Source: signal/micro/kernels and tensorflow/lite/micro/examples/micro_speech/audio_preprocessor.py, tflite-micro
90b983c2.
"""

from __future__ import annotations

from nas.frontend.filter_bank import gain_table
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
from nas.frontend.signal_graph import FrontEndModel, GraphParts

_RATIO_BITS = 12  # fractional bits of PCAN's ratio of signal and noise (kPcanSnrBits)


def log_mel(settings: LogMelSettings) -> FrontEndModel:
    """The model of one frame: samples in, features out. Shape: (window_samples,) int16 -> (bands,) int8."""
    parts = GraphParts()
    bands, correction = settings.bands, settings.correction_bits

    def energies() -> int:
        return parts.tensor((bands,), "uint32")

    samples, levels = parts.amplitudes(settings)
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
    return parts.finished(samples, levels, correction_bits=correction, steps=settings.log_scale)


def _subtraction(bands: int) -> dict[str, int]:
    unit = 1 << SUBTRACTION_BITS
    smoothing, odd = int(SMOOTHING * unit), int(ODD_SMOOTHING * unit)
    return {
        "alternate_one_minus_smoothing": unit - odd,
        "alternate_smoothing": odd,
        "clamping": 0,
        "min_signal_remaining": int(LEAST_REMAINING * unit),
        "num_channels": bands,
        "one_minus_smoothing": unit - smoothing,
        "smoothing": smoothing,
        "smoothing_bits": SMOOTHING_BITS,
        "spectral_subtraction_bits": SUBTRACTION_BITS,
    }
