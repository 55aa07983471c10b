"""A benchmark that answers for any network with real noise, learned from the recorded networks."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.bench.table import STEPS, TABLES, BenchTask, params_of, screen_of
from nas.strategy.encoding import Encoder
from nas.strategy.screening import Screened
from search_spaces.choices import Choices

Array = npt.NDArray[np.float64]
_FOLDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of a training.

    Attributes:
        val_error: Validation error, as a search sees it.
        test_error: Test error of the same model.
        seconds: CPU time that it takes.
    """

    val_error: float
    test_error: float
    seconds: float


def read_table(task: BenchTask, folder: Path = TABLES) -> list[dict[str, str]]:
    """The task's rows of the record; none where its space has no table yet."""
    path = folder / task.table
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["task"] == task.name]


class Truth:
    """A surrogate benchmark of one task.

    The logarithm of the error at each fidelity is the mean of three regressions of different kinds (boosted trees,
    support vectors, a linear one), none of the kind that the search itself uses. To it comes the deviation of one
    recorded network, drawn by network and seed: what the regressions, fitted without that network, were off by at
    all fidelities at once. So neighbours differ by as much as real ones do, short trainings mislead as much, and
    an optimist is punished on the test part.

    Source: Zela et al., Surrogate NAS Benchmarks, ICLR 2022, arXiv:2008.09777.
    """

    def __init__(self, task: BenchTask, rows: Sequence[Mapping[str, str]]) -> None:
        self.task = task
        self.screen = screen_of(task)
        self.encoder = Encoder(self.screen)
        networks: dict[tuple[str, str], dict[int, Mapping[str, str]]] = {}
        for row in rows:
            networks.setdefault((row["network"], row["seed"]), {})[int(row["steps"])] = row
        whole = {key: by for key, by in networks.items() if set(by) == set(STEPS)}
        self.networks = len({network for network, _ in whole})
        groups = np.array([int(network) for network, _ in whole])
        firsts = [by[STEPS[0]] for by in whole.values()]
        screened = [self._screened(row) for row in firsts]
        inputs = np.array([self._inputs(one, params) for one, params in screened])
        errors = np.array([self._errors(by) for by in whole.values()])
        self._models = [_fit(inputs, errors[:, k]) for k in range(errors.shape[1])]
        self.predicted = _left_out(inputs, errors, groups)
        self.errors = errors
        self._deviations = errors - self.predicted
        work = np.array([_work(one, params, steps) for (one, params) in screened for steps in STEPS])
        took = np.array([float(by[steps]["seconds"]) for by in whole.values() for steps in STEPS])
        from scipy.optimize import nnls

        # Relative errors count alike for short and long trainings.
        self._rates = nnls(work / took[:, None], np.ones(len(took)))[0]
        self._pace = np.log(took / (work @ self._rates)).reshape(-1, len(STEPS))
        self._cache: dict[str, Array] = {}

    def _screened(self, row: Mapping[str, str]) -> tuple[Screened, dict[str, Any]]:
        params = params_of(row, self.screen)
        return self.screen(Choices(params)), params

    def _inputs(self, screened: Screened, params: Mapping[str, Any]) -> Array:
        return np.concatenate([self.encoder.graph(screened), self.encoder.choices(params)])

    def _errors(self, by: Mapping[int, Mapping[str, str]]) -> list[float]:
        task = self.task
        errors = [1 - int(by[steps]["val_correct"]) / task.val for steps in STEPS]
        errors.append(1 - int(by[STEPS[-1]]["test_correct"]) / task.test)
        return [float(np.log(max(error, 0.5 / task.val))) for error in errors]

    def answer(self, screened: Screened, params: Mapping[str, Any], steps: int, seed: int) -> Answer:
        """The result of training a network, the same for the same seed."""
        rung = STEPS.index(steps)
        mean = self._cache.get(screened.digest)
        if mean is None:
            inputs = self._inputs(screened, params)
            mean = self._cache[screened.digest] = np.array([model(inputs) for model in self._models])
        word = hashlib.sha256(f"{seed}:{screened.digest}".encode()).digest()
        draw = int.from_bytes(word[:4], "little") % len(self._deviations)
        error = np.minimum(np.exp(mean + self._deviations[draw]), 1 - 1 / self.task.classes)
        pace = np.exp(self._pace[int.from_bytes(word[4:8], "little") % len(self._pace), rung])
        return Answer(
            val_error=round(float(error[rung]) * self.task.val) / self.task.val,
            test_error=float(error[-1]),
            seconds=float(np.array(_work(screened, params, steps)) @ self._rates * pace),
        )


def _work(screened: Screened, params: Mapping[str, Any], steps: int) -> tuple[float, ...]:
    """Terms of the training time: start, graph, steps, steps by layer, steps by multiplications of the wide network."""
    costs = screened.costs
    assert costs is not None
    ratio = float(params.get("prune_ratio", 0.0))
    macs = costs.macs / (1 - ratio) ** 2
    graphs = costs.ops * (2 if ratio else 1)
    return 1.0, graphs, steps, steps * costs.ops, steps * macs / 1e6


def _fit(inputs: Array, target: Array) -> Any:
    """The mean of three regressions, as a function of one row."""
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.svm import SVR

    centre, spread = inputs.mean(0), inputs.std(0)
    scale = np.where(spread > 1e-9, 1 / np.maximum(spread, 1e-9), 0.0)
    rows = (inputs - centre) * scale
    level = target.mean()
    width = target.std() or 1.0
    trees = GradientBoostingRegressor(
        n_estimators=150, max_depth=3, learning_rate=0.06, subsample=0.7, random_state=0
    ).fit(rows, target)
    ridge = RidgeCV(np.logspace(0, 4, 13)).fit(rows, target)
    vectors = SVR(C=2.0, gamma=0.4 / rows.shape[1], epsilon=0.1).fit(rows, (target - level) / width)
    boosted = _flat(trees)
    support, weights, gamma = vectors.support_vectors_, vectors.dual_coef_[0], 0.4 / rows.shape[1]
    shift = float(vectors.intercept_[0])

    def predict(row: Array) -> float:
        at = (row - centre) * scale
        near = np.exp(-gamma * ((support - at) ** 2).sum(1))
        return (
            float(
                boosted(at) + at @ ridge.coef_ + ridge.intercept_ + level + width * (near @ weights + shift)
            )
            / 3
        )

    return predict


def _flat(trees: Any) -> Any:
    """Boosted trees as a function of one row, all trees at a time: forty times as fast as one call of theirs."""
    one_by_one = [tree.tree_ for tree in trees.estimators_[:, 0]]
    size = max(tree.node_count for tree in one_by_one)
    places = np.arange(size)
    feature, threshold, value = (np.zeros((len(one_by_one), size), kind) for kind in (np.int64, float, float))
    left, right = (np.tile(places, (len(one_by_one), 1)) for _ in range(2))
    for k, tree in enumerate(one_by_one):
        inner = tree.children_left >= 0  # a leaf leads to itself
        n = tree.node_count
        feature[k, :n] = np.where(inner, tree.feature, 0)
        threshold[k, :n] = tree.threshold
        left[k, :n] = np.where(inner, tree.children_left, places[:n])
        right[k, :n] = np.where(inner, tree.children_right, places[:n])
        value[k, :n] = tree.value[:, 0, 0]
    depth = max(tree.max_depth for tree in one_by_one)
    base = float(trees.init_.constant_[0, 0])
    rows = np.arange(len(one_by_one))

    def predict(row: Array) -> float:
        node = np.zeros(len(one_by_one), np.int64)
        single = row.astype(np.float32)  # as the trees were grown
        for _ in range(depth):
            less = single[feature[rows, node]] <= threshold[rows, node]
            node = np.where(less, left[rows, node], right[rows, node])
        return base + float(trees.learning_rate * value[rows, node].sum())

    return predict


def _left_out(inputs: Array, errors: Array, groups: npt.NDArray[np.int64]) -> Array:
    """Each network's errors as predicted without it, at any seed."""
    fold = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % _FOLDS
    predicted = np.zeros_like(errors)
    for held_out in range(_FOLDS):
        held = fold == held_out
        if not held.any():
            continue
        for k in range(errors.shape[1]):
            model = _fit(inputs[~held], errors[~held, k])
            predicted[held, k] = [model(row) for row in inputs[held]]
    return predicted
