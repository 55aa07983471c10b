"""The interpreter whose answers are stated: TFLM's own, and LiteRT without delegates where there is no wheel of it."""

from __future__ import annotations

from nas.runtimes.interpreter import Engine, Int8Model

# TFLM's wheel is for Linux on x86-64 alone.
NOT_BY_TFLM = (
    "TFLM's interpreter is not installed on this machine: LiteRT without delegates answered in its place. That TFLM"
    " answers the same to the bit was not verified"
)


def reference_engine() -> Engine:
    """Which interpreter `reference_model` takes on this machine."""
    try:
        from tflite_micro import runtime  # noqa: F401
    except ImportError:
        return "litert"
    return "tflm"


def reference_model(tflite: bytes, processes: int = 1) -> Int8Model:
    """An int8 model in the interpreter of this machine whose answers count.

    Args:
        tflite: The flatbuffer.
        processes: How many may answer at a time, where that is TFLM's.

    Raises:
        UserError: More than one input or output, or other than int8.
        InterpreterError: The interpreter refuses the model.
    """
    if reference_engine() == "tflm":
        from nas.runtimes.several import SeveralTflmModels

        return SeveralTflmModels(tflite, processes)
    from nas.runtimes.litert import LiteRtModel

    return LiteRtModel(tflite)
