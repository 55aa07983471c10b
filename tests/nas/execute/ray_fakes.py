"""Evaluators for Ray's workers that do what workers do on bad days."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.model.evaluation import Evaluation, Failed, Request

VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "ASKED_FOR",
)


def _eat() -> None:
    eaten = []
    while True:
        eaten.append(b"x" * (8 << 20))
        time.sleep(0.02)


def make(*, folder: str, payload: Any = None) -> Callable[[Request], Evaluation]:
    """Does what `params["do"]` says, and leaves a mark for each call."""

    def evaluate(request: Request) -> Evaluation:
        what = request.params["do"]
        with Path(folder, str(request.number)).open("a") as file:
            file.write(f"{os.getpid()}\n")
        if what == "die":
            os.kill(os.getpid(), 9)
        if what == "throw":
            raise RuntimeError("no luck")
        if what == "hang":
            time.sleep(600)
        if what == "eat":
            _eat()
        if what == "eat and swallow":
            while True:
                with suppress(MemoryError):
                    _eat()
        if what == "answer nonsense":
            return "nonsense"  # type: ignore[return-value]
        if what == "say variables":
            words = [f"{name}={os.environ.get(name)}" for name in VARIABLES]
            return Failed(stage="worker", reason=" ".join(words), retryable=False)
        if what == "read the space":
            reason = f"{request.space}: {Path(request.space).read_text()}"
            return Failed(stage="worker", reason=reason, retryable=False)
        return Failed(stage="worker", reason=f"did {what} on {payload}", retryable=False)

    return evaluate
