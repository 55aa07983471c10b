"""TFLM's own interpreter on this machine: what the chip will compute, byte for byte."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.runtimes.interpreter import Engine, InterpreterError, Port, check_inputs, read_port

__all__ = ["Port", "TflmError", "TflmModel"]

# The wheel is a 64-bit build whose arena is larger than a chip's, so its size says nothing: it only has to do.
FIRST_ARENA_BYTES = 4 << 20
LARGEST_ARENA_BYTES = 1 << 30


class TflmError(InterpreterError):
    """TFLM's interpreter refused a model or failed to run it."""


class TflmModel:
    """An int8 model loaded into TFLM's interpreter, with one input and one output.

    Args:
        tflite: The flatbuffer.

    Raises:
        UserError: More than one input or output, or other than int8.
        TflmError: TFLM refuses the model.
    """

    engine: Engine = "tflm"

    def __init__(self, tflite: bytes) -> None:
        self._interpreter = load_interpreter(tflite)
        self.input = read_port(self._interpreter.get_input_details(0), "input")
        self.output = read_port(self._interpreter.get_output_details(0), "output")

    def run(self, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
        """Outputs of int8 inputs. Shape: (n, *input.shape) -> (n, *output.shape)."""
        check_inputs(inputs, self.input)
        outputs = np.empty((len(inputs), *self.output.shape), np.int8)
        for index in range(len(inputs)):
            try:
                self._interpreter.set_input(np.ascontiguousarray(inputs[index : index + 1]), 0)
                self._interpreter.invoke()
                outputs[index] = self._interpreter.get_output(0)[0]
            except RuntimeError as error:
                raise TflmError(f"TFLM failed to run the model: {error}") from error
        return outputs


def load_interpreter(tflite: bytes) -> Any:
    """TFLM's interpreter of a model, its tensors allocated.

    Raises:
        TflmError: TFLM refuses the model.
    """
    from tflite_micro import runtime

    arena_bytes = FIRST_ARENA_BYTES
    while True:
        try:
            return runtime.Interpreter.from_bytes(tflite, arena_size=arena_bytes)
        except RuntimeError as error:
            # TFLM does not say why it failed, and a missing kernel fails at every size.
            arena_bytes *= 16
            if arena_bytes > LARGEST_ARENA_BYTES:
                raise TflmError(f"TFLM refuses the model: {error}") from error
        except (struct.error, ValueError, IndexError, TypeError) as error:
            raise TflmError(f"The model is not a readable flatbuffer: {error}") from error
