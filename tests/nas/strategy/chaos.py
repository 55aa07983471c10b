"""A search in a process of its own, to be killed at any moment.

    python chaos.py FOLDER SEED TRIALS KILLS [FILE_BYTES]

Forks a driver, kills it after a random while, forks the next one on the same folder, and lets the last one end.
Prints how many of the kills met a driver at work. Without kills this is the undisturbed run.
FILE_BYTES is the size of a file at which its disk is full.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

from nas.model.evaluation import Evaluation, Failed, Request
from nas.run.folder import RunFolder
from tests.nas.strategy.search_fakes import FakeEvaluator, make_driver, make_screen

SCREEN = make_screen("12KB")


def drive(folder: RunFolder, seed: int, trials: int) -> None:
    """What `nas-run --resume` does, with an evaluator that writes a line for each call."""
    with folder.locked():
        _drive(folder, seed, trials)


def _drive(folder: RunFolder, seed: int, trials: int) -> None:
    evaluate = FakeEvaluator(SCREEN)

    def logged(request: Request) -> Evaluation:
        time.sleep(0.06)  # so long that the search outlasts all kills
        evaluation = evaluate(request)
        assert not isinstance(evaluation, Failed)
        with (folder.path / "calls").open("a") as file:
            file.write(f"{evaluation.digest} {request.steps}\n")
        return evaluation

    driver, _ = make_driver(folder.path, evaluate=logged, screen=SCREEN, trials=trials, seed=seed)
    driver.save_model = folder.save_model
    driver.search()
    driver.train_finalists()


def main() -> None:
    folder = RunFolder(path=Path(sys.argv[1]))
    seed, trials, kills = (int(word) for word in sys.argv[2:5])
    for word in sys.argv[5:]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(word), int(word)))
    (folder.path / "models").mkdir(parents=True, exist_ok=True)
    dice = random.Random(seed)
    met = 0
    while True:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                drive(folder, seed, trials)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        if met < kills:
            time.sleep(dice.uniform(0.0, 0.5))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            met += 1
        else:
            print(met)
            sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main()
