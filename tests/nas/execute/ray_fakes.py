"""Evaluators for Ray's workers that do what workers do on bad days."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.outcome import Failed, Outcome, Request


def make(*, folder: str, payload: Any = None) -> Callable[[Request], Outcome]:
    """Does what `params["do"]` says, and leaves a mark for each call."""

    def evaluate(request: Request) -> Outcome:
        what = request.params["do"]
        with Path(folder, str(request.number)).open("a") as file:
            file.write(f"{os.getpid()}\n")
        if what == "die":
            os.kill(os.getpid(), 9)
        if what == "throw":
            raise RuntimeError("no luck")
        if what == "hang":
            time.sleep(600)
        return Failed(stage="worker", reason=f"did {what} on {payload}", retryable=False)

    return evaluate
