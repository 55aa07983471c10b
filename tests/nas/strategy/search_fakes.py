"""A search without TensorFlow: a deterministic evaluator, and a driver around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cost_models.budget import parse_budget
from cost_models.costing import CostModel
from cost_models.target_file import load_target
from nas.execute import Executor
from nas.execute.inline import InlineExecutor
from nas.model.evaluation import Evaluated, Evaluation, Rejected, Request
from nas.model.records import TrialRecord
from nas.model.trained import Accuracy
from nas.strategy.driver import Driver
from nas.strategy.engine import SearchEngine
from nas.strategy.plan import Plan
from nas.strategy.screened_sampler import propose_by
from nas.strategy.screening import Board, Screen, survey
from nas.strategy.study import Study, open_storage
from search_spaces.choices import Choices
from search_spaces.space import load_space

SPACE = "ds_cnn"
STEPS = (10, 32, 100)


def make_board(budget: str, target: str) -> Board:
    chip = load_target(target)
    return Board(model=CostModel(chip), budget=parse_budget(budget, chip))


def make_screen(budget: str = "256KB", target: str = "nrf52840", others: Sequence[Board] = ()) -> Screen:
    chip = load_target(target)
    return Screen(
        space=load_space(SPACE),
        input_shape=(8, 8, 1),
        classes=10,
        model=CostModel(chip),
        budget=parse_budget(budget, chip),
        others=others,
    )


class FakeEvaluator:
    """Larger networks are better, up to a point; the same request gets the same answer."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Evaluation:
        self.requests.append(request)
        screened = self.screen(Choices(request.params))
        assert screened.costs is not None
        names = [board.name for board in self.screen.boards]
        boards = {
            name: each.costs
            for name, each in zip(names, screened.boards, strict=True)
            if each.costs is not None and len(names) > 1
        }
        if screened.violations:
            return Rejected(
                digest=screened.digest, violations=screened.violations, costs=screened.costs, boards=boards
            )
        share = 1 - np.exp(-screened.costs.macs / 2e5)
        correct = int(900 * share) + int(screened.digest, 16) % 50 + (20 if request.full else 0)
        accuracy = Accuracy(part="val", engine="litert", correct=correct, total=1000)
        return Evaluated(
            digest=screened.digest,
            accuracy=accuracy,
            tflm_accuracy=accuracy if request.full else None,
            costs=screened.costs,
            boards=boards,
            tflite=screened.digest.encode(),
            seconds={"train": 1.0},
        )


class Heard:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.trials: list[TrialRecord] = []
        self.said: list[str] = []

    def stage(self, text: str, total: int) -> None:
        self.stages.append(text)

    def trial(self, record: TrialRecord) -> None:
        self.trials.append(record)

    def say(self, text: str) -> None:
        self.said.append(text)


def make_driver(
    folder: Path,
    *,
    evaluate: Callable[[Request], Evaluation] | None = None,
    executor: Executor | None = None,
    screen: Screen | None = None,
    trials: int = 12,
    seed: int = 1,
    stop: Callable[[], bool] = lambda: False,
    slots: int = 1,
    url: str | None = None,
    sampler: str = "nas",
    folds: int = 0,
) -> tuple[Driver, dict[str, bytes]]:
    """A driver on `url`, or a journal file in `folder`, as `nas.run.pipeline` makes it."""
    screen = screen or make_screen()
    evaluate = evaluate or FakeEvaluator(screen)
    storage = open_storage(url, folder / "study.journal")
    study = Study(
        storage=storage,
        name="run",
        identity={"seed": seed},
        boards=[board.name for board in screen.boards],
        folds=folds,
    )
    feasible = [
        params
        for board in screen.boards
        for params in survey(screen.on(board), rng=np.random.default_rng(seed), draws=100, wanted=4).feasible
    ]
    models: dict[str, bytes] = {}

    def save(key: str, tflite: bytes) -> None:
        models[key] = tflite

    listener = Heard()
    engine = SearchEngine(screen=screen, steps=STEPS, seed=seed, samples=1000, feasible=feasible)
    propose_by(sampler, study=study, engine=engine, seed=seed, say=listener.say)
    driver = Driver(
        plan=Plan(
            trials=trials,
            steps=STEPS,
            finalists=3,
            space=SPACE,
            seed=seed,
            sparsity=0.0,
            folds=folds,
        ),
        study=study,
        engine=engine,
        executor=executor or InlineExecutor(evaluate, slots),
        save_model=save,
        listener=listener,
        stop=stop,
    )
    return driver, models
