"""LiteRT without delegates: TFLM's answers but for a rare last bit, at a twentieth of the time."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.lean import lean
from nas.runtimes.interpreter import Engine, InterpreterError, check_inputs, read_port

# An int8 output of LiteRT against TFLM's: 51 models of all operators, 64 random samples each, differ by 1 at most.
LARGEST_DIFFERENCE = 1


class LiteRtError(InterpreterError):
    """LiteRT refused a model or failed to run it."""


class LiteRtModel:
    """An int8 model loaded into LiteRT, with one input and one output.

    Args:
        tflite: The flatbuffer.
        as_is: Whether it is made for LiteRT already.

    Raises:
        UserError: More than one input or output, or other than int8.
        LiteRtError: LiteRT refuses the model.
    """

    engine: Engine = "litert"

    def __init__(self, tflite: bytes, *, as_is: bool = False) -> None:
        self._interpreter = _load(tflite, as_is)
        source = self._interpreter.get_input_details()[0]
        sink = self._interpreter.get_output_details()[0]
        self._source, self._sink = source["index"], sink["index"]
        self.input, self.output = read_port(source, "input"), read_port(sink, "output")

    def run(self, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
        """Outputs of int8 inputs. Shape: (n, *input.shape) -> (n, *output.shape)."""
        check_inputs(inputs, self.input)
        outputs = np.empty((len(inputs), *self.output.shape), np.int8)
        for index in range(len(inputs)):
            try:
                self._interpreter.set_tensor(self._source, inputs[index : index + 1])
                self._interpreter.invoke()
                outputs[index] = self._interpreter.get_tensor(self._sink)[0]
            except (RuntimeError, ValueError) as error:
                raise LiteRtError(f"LiteRT failed to run the model: {error}") from error
        return outputs


def _load(tflite: bytes, as_is: bool) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            # LiteRT wants the zero points that TFLM does without; what is computed is the same.
            model_content=tflite if as_is else lean(tflite, litert=True),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            num_threads=1,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError, struct.error) as error:
        raise LiteRtError(f"LiteRT refuses the model: {error}") from error
    return interpreter
