"""Mutated .tflite files, through the library call behind `nas-cost`; some of those accepted through TFLM itself."""

from __future__ import annotations

import functools
import math
import os
import random
import signal
from pathlib import Path

from cost_models.costing import CostModel
from cost_models.errors import UserError
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph, read_model
from tests.fuzz.campaign import CASE_SECONDS, FaultError, cut_or_spliced, mutated

DATA = Path(__file__).parents[1] / "data"
_TARGETS = ("nrf52840", "corstone300", "rp2040", "esp32s3")
_LARGEST = 60_000
_WEIGHTS = 64  # bytes of a constant from which it holds weights, whose values cost nothing
_ARENA_BYTES = 8 << 20


class Models:
    """Byte flips where the structure lies, truncation and splices.

    Args:
        oracle_share: Of the accepted files, how many TFLM's interpreter is asked about.
    """

    name = "models"

    def __init__(self, oracle_share: float = 0.0) -> None:
        self._oracle_share = oracle_share
        self._costs = [CostModel(load_target(name)) for name in _TARGETS]

    def case(self, rng: random.Random) -> bytes:
        corpus = _corpus()
        data, places = rng.choice(corpus)
        if rng.random() < 0.05:
            return cut_or_spliced(data, rng.choice(corpus)[0], rng)
        return mutated(data, rng, places)

    def run(self, case: bytes, folder: Path) -> str:
        graph = read_graph(case)
        answered = 0
        for model in self._costs:
            try:
                costs = model.explain(graph, file_bytes=len(case)).costs
            except UserError:
                continue
            answered += 1
            for name in costs.__slots__:
                value = getattr(costs, name)
                if isinstance(value, int | float) and not 0 <= value < math.inf:
                    raise FaultError(f"{name} is {value} on {model.target.name}")
        if not answered:
            raise UserError("No target has costs for it.")
        if self._oracle_share and random.Random(case).random() < self._oracle_share:
            return f"accepted, {_in_tflm(case)}"
        return "accepted"


@functools.cache
def _corpus() -> list[tuple[bytes, list[int]]]:
    """Files with the places that are worth a change."""
    found = []
    for path in sorted(DATA.rglob("*.tflite")):
        data = path.read_bytes()
        if len(data) > _LARGEST:
            continue
        try:
            model = read_model(data)
        except UserError:
            continue
        weights = bytearray(len(data))
        for start, length in model.data:
            if length >= _WEIGHTS:
                weights[start : start + length] = b"\1" * length
        found.append((data, [at for at, taken in enumerate(weights) if not taken]))
    return found


def _in_tflm(data: bytes) -> str:
    """What TFLM's interpreter does with it, in a process that it may end.

    The interpreter of the wheel parses the file in Python first, more than TFLM does, and has a smaller arena than
    some mutants ask for: neither is a refusal by TFLM.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        signal.alarm(CASE_SECONDS)
        os._exit(_invoke(data))
    os.close(writing)
    text = b""
    while chunk := os.read(reading, 65536):
        text += chunk
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "not done within the time" if os.WTERMSIG(status) == signal.SIGALRM else "crashed TFLM"
    if os.WEXITSTATUS(status) == 0:
        return "ran in TFLM"
    if os.WEXITSTATUS(status) == 2:
        return "not parsed by the wheel"
    return "too large for the wheel" if b"Failed to resize buffer" in text else "refused by TFLM"


def _invoke(data: bytes) -> int:
    import numpy as np
    from tflite_micro import runtime

    try:
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=_ARENA_BYTES)
        details = interpreter.get_input_details(0)
        interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
        interpreter.invoke()
    except RuntimeError:
        return 1
    except BaseException:
        return 2
    return 0
