"""TFLM's interpreter in several processes: it keeps Python's lock while it runs, so threads would only take turns."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import IO

import numpy as np
from numpy.typing import NDArray

from nas.runtimes.interpreter import Engine, InterpreterError, check_inputs
from nas.runtimes.tflm import TflmModel

_TIMED = 16  # inputs whose time says what the others take
_WORTH_SECONDS = 1.0  # of inferences for each process, which takes a tenth of it to start
_MOST = 32  # processes, each with an arena
_SIZE_BYTES = 8


def processes_for(workers: int | None) -> int:
    """How many processes a run of so many workers measures with: as many, and no more than this machine has cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, workers or cores)


class SeveralTflmModels:
    """A `TflmModel` that answers many inputs by several processes, to the same bytes.

    Args:
        tflite: The flatbuffer.
        processes: How many, this one included; fewer where there is not a second of work for each.

    Raises:
        UserError: More than one input or output, or other than int8.
        TflmError: TFLM refuses the model.
    """

    engine: Engine = "tflm"

    def __init__(self, tflite: bytes, processes: int) -> None:
        self._tflite = tflite
        self._model = TflmModel(tflite)
        self._processes = min(processes, _MOST)
        self.input, self.output = self._model.input, self._model.output

    def run(self, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
        """Outputs of int8 inputs. Shape: (n, *input.shape) -> (n, *output.shape)."""
        check_inputs(inputs, self.input)
        timed, left = inputs[:_TIMED], inputs[_TIMED:]
        began = time.perf_counter()
        answers = [self._model.run(timed)]
        seconds = (time.perf_counter() - began) / max(len(timed), 1) * len(left)
        processes = max(1, min(self._processes, int(seconds / _WORTH_SECONDS)))
        own, *others = np.array_split(left, processes)
        with ExitStack() as stack:
            helpers = [stack.enter_context(_Helper()) for _ in others]
            for helper, part in zip(helpers, others, strict=True):
                helper.ask(self._tflite, part)
            answers.append(self._model.run(own))
            for helper, part in zip(helpers, others, strict=True):
                answer = helper.answer(len(part) * self.output.size)
                # Where a process was ended, by want of memory say, this one does its part.
                done = self._model.run(part) if answer is None else np.frombuffer(answer, np.int8)
                answers.append(done.reshape(len(part), *self.output.shape))
        return np.concatenate(answers)


class _Helper:
    """Another process that answers one block of inputs, ended on leaving.

    It is a program of its own: a fork would copy threads' locks, and multiprocessing would run the user's script again.
    """

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C is this process's to answer
        )

    def __enter__(self) -> _Helper:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def ask(self, tflite: bytes, inputs: NDArray[np.int8]) -> None:
        """Gives it a model and its inputs."""
        stream = self._process.stdin
        assert stream is not None
        try:
            for part in (tflite, np.ascontiguousarray(inputs).tobytes()):
                stream.write(len(part).to_bytes(_SIZE_BYTES, "little"))
                stream.write(part)
            stream.close()
        except BrokenPipeError:  # then it has no answer either
            return

    def answer(self, size: int) -> bytes | None:
        """The outputs, so many bytes; None where it has ended without them."""
        stream = self._process.stdout
        assert stream is not None
        outputs = stream.read()
        return outputs if len(outputs) == size else None


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Answers what another process asks: a model and its inputs, each behind its number of bytes."""
    tflite, inputs = (asked.read(int.from_bytes(asked.read(_SIZE_BYTES), "little")) for _ in range(2))
    model = TflmModel(tflite)
    block = np.frombuffer(inputs, np.int8).reshape(-1, *model.input.shape)
    answers.write(model.run(block).tobytes())
    answers.flush()


if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except (InterpreterError, BrokenPipeError):
        sys.exit(1)
