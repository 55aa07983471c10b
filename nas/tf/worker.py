"""One trial in a worker: build, train, prune, quantize, cost again from the bytes, measure int8 accuracy."""

from __future__ import annotations

import gc
import hashlib
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

import nas.tf  # chooses Keras 2 before TensorFlow is imported  # noqa: F401
from cost_models.budget import Budget, Violation
from cost_models.costing import Costs
from cost_models.errors import UserError
from cost_models.target import Target
from cost_models.tflite_graph import read_graph
from nas.frontend.costs import cost_model
from nas.model.evaluation import Evaluated, Evaluation, Failed, Rejected, Request, Stage
from nas.model.metrics import ANOMALY_METRICS, plain_metric
from nas.model.quantization import Quantization
from nas.model.weights import LARGEST_WEIGHTS_BYTES, FloatWeights
from nas.runtimes.reference import reference_engine
from nas.strategy.screening import FRONT_END, Board, network_digest
from nas.tasks.accuracy import (
    judged_samples,
    measure_accuracy,
    measure_left_out,
    score,
    score_numbers,
)
from nas.tasks.dataset import Dataset
from nas.tasks.folds import make_folds
from nas.tasks.loading.mapped import chunks
from nas.tf.build import build
from nas.tf.compression import STEPS, CompressionStep, Training
from nas.tf.convert import Ranges, convert
from nas.tf.disturbance import make_schedule
from nas.tf.quantization import Climb, climb, least_gap
from nas.tf.quantization.aware import train_aware
from nas.tf.quantization.folded import Folded, predict
from nas.tf.representative import Representative
from nas.tf.train import TrainingData, train
from nas.tf.weights import give, weights_of
from search_spaces.arch import ArchSpec
from search_spaces.choices import Choices
from search_spaces.space import Candidate, candidate, load_space

_CURVE_POINTS = 48
_TFLM_MACS = 4_000_000_000  # over all validation samples, about 10 s of TFLM's interpreter
_LEAST_TIME = 0.2  # of the time that training under int8's rounding takes, for which it is begun


class _StageError(Exception):
    def __init__(self, stage: Stage, reason: str) -> None:
        super().__init__(reason)
        self.stage: Stage = stage
        self.reason = reason


class Evaluator:
    """Evaluates requests on one task and its boards; keeps the data set as tensors between them.

    Args:
        dataset: The task's data.
        boards: For the costs read back from the bytes, with the limits.
        front_end: What makes the data, where that is searched.
        behind: Of data whose front end is searched, the boards behind each that may be chosen.
        init: Weights that networks begin with where a request says so.
    """

    def __init__(
        self,
        *,
        dataset: Dataset,
        boards: Sequence[Board],
        front_end: str | None = None,
        behind: Mapping[str, Sequence[Board]] | None = None,
        init: FloatWeights | None = None,
    ) -> None:
        _configure()
        tf.get_logger().setLevel("ERROR")
        self._dataset = dataset
        self._boards = list(boards)
        self._front_end = front_end
        self._behind = dict(behind or {})
        self._evaluators: dict[str, Evaluator] = {}
        self._init = init
        # What quantization costs is told from samples as they are.
        self._plain = replace(dataset, info=replace(dataset.info, metric=plain_metric(dataset.info.metric)))
        self._outputs = dataset.info.outputs
        self._rebuilds = dataset.info.false_alarms is not None
        self._targets = dataset.info.targets
        self._representative = Representative(dataset)
        self._training: dict[tuple[int, ...], TrainingData] = {}

    def __call__(self, request: Request) -> Evaluation:
        """The evaluation of one request; what goes wrong in a trial comes back as `Failed`."""
        if self._behind:
            return self._of(str(request.params[FRONT_END]))(request)
        seconds: dict[str, float] = {}
        try:
            if request.folds:
                return self._cross_validate(request, seconds)
            return self._evaluate(request, seconds)
        except _StageError as error:
            trace = "".join(traceback.format_exception(error.__cause__ or error))
            return Failed(stage=error.stage, reason=error.reason, retryable=False, trace=trace)
        finally:
            tf_keras.backend.clear_session()
            gc.collect()

    def _of(self, front_end: str) -> Evaluator:
        """The evaluator of networks behind a front end."""
        if front_end not in self._evaluators:
            self._evaluators[front_end] = Evaluator(
                dataset=self._dataset.behind[front_end],
                boards=self._behind[front_end],
                front_end=front_end,
                init=self._init,
            )
        return self._evaluators[front_end]

    def _cross_validate(self, request: Request, seconds: dict[str, float]) -> Evaluation:
        """The network trained once without each fold, and the answers to all samples, each left out of its training."""
        folds = make_folds(self._dataset, request.folds)
        until = None if request.train_seconds is None else time.time() + request.train_seconds
        trained: list[tuple[Evaluated, Dataset]] = []
        for fold in range(folds.count):
            data = folds.left_out(fold)
            one = Evaluator(dataset=data, boards=self._boards, front_end=self._front_end)
            left = None if until is None else max(0.0, until - time.time()) / (folds.count - fold)
            ended = one._evaluate(replace(request, train_seconds=left), seconds)
            tf_keras.backend.clear_session()
            if not isinstance(ended, Evaluated):
                return ended
            trained.append((ended, data))
        with _stage("evaluate", seconds):
            accuracy = measure_left_out([(ended.tflite, data) for ended, data in trained])
        cut = [ended.cut_at for ended, _ in trained if ended.cut_at is not None]
        return replace(
            trained[0][0],
            accuracy=accuracy,
            tflm_accuracy=None,
            seconds=seconds,
            cut_at=min(cut, default=None),
            curve=(),
            quantization=None,
            weights=None,
        )

    def _evaluate(self, request: Request, seconds: dict[str, float]) -> Evaluation:
        proposed = candidate(
            load_space(request.space),
            Choices(request.params),
            input_shape=self._dataset.info.input_shape,
            classes=self._outputs,
        )
        if self._front_end is not None:
            proposed = replace(proposed, front_end=self._front_end)
        digest = network_digest(proposed)
        # The same network gets the same seed in any trial, on any worker, in any run of this seed.
        rng = np.random.default_rng([request.seed, int(digest, 16) & 0xFFFFFFFF, request.steps])
        begun = time.time()
        data = self._data(proposed.wide, on_all=request.on_all)
        model, losses = self._train(proposed, request, data, rng, seconds)
        steps = min(len(losses), request.steps)
        weights = weights_of(model, proposed.narrow).to_npz() if request.full else None
        with _stage("quantize", seconds):
            tflite, quantization = self._quantize(model, proposed.narrow, request, data, rng, begun)
        with _stage("cost", seconds):
            costs, boards, violations = self._judge(tflite)
        if violations:
            return Rejected(digest=digest, violations=violations, costs=costs, boards=boards)
        with _stage("evaluate", seconds):
            accuracy = measure_accuracy(tflite, self._dataset, "val", "litert", by_sample=request.full)
            # TFLM's kernels here are those that are made to be read; what is chosen is measured by them in any case.
            quick = costs.macs * judged_samples(self._dataset, "val") <= _TFLM_MACS
            once = not request.on_all and not request.folds
            by_tflm = request.full and once and quick and reference_engine() == "tflm"
            tflm = measure_accuracy(tflite, self._dataset, "val", "tflm", by_sample=True) if by_tflm else None
        return Evaluated(
            digest=digest,
            accuracy=accuracy,
            tflm_accuracy=tflm,
            costs=costs,
            boards=boards,
            tflite=tflite,
            seconds=seconds,
            cut_at=steps if steps < request.steps else None,
            curve=_curve(losses),
            quantization=quantization,
            weights=weights if weights is not None and len(weights) <= LARGEST_WEIGHTS_BYTES else None,
        )

    def _quantize(
        self,
        model: tf_keras.Model,
        spec: ArchSpec,
        request: Request,
        data: TrainingData,
        rng: np.random.Generator,
        begun: float,
    ) -> tuple[bytes, Quantization | None]:
        """The int8 bytes; of a final candidate by the ladder, with its account."""
        representative = self._representative.inputs(spec, rng)
        if not request.full:
            return convert(model, representative), None
        info, labels = self._dataset.info, self._dataset.labels["val"]
        trained = time.time() - begun
        recipe = request.recipe
        steps = max(1, round(request.steps * recipe.aware_share))
        until = None if request.train_seconds is None else begun + request.train_seconds

        def aware(folded: Folded, ranges: Ranges) -> Folded | None:
            # Rounding about doubles what a step takes.
            needed = 2 * trained * recipe.aware_share
            if until is not None and until - time.time() < _LEAST_TIME * needed:
                return None
            rate = recipe.peak_rate * recipe.aware_rate
            schedule = make_schedule(self._dataset, spec, recipe, steps=steps, rate=rate)
            return train_aware(folded, ranges, data, schedule, rng=rng, until=until)[0]

        float_metric = self._float_metric(model, spec)
        return climb(
            Climb(
                model=model,
                spec=spec,
                representative=representative,
                judge=lambda tflite: measure_accuracy(tflite, self._plain, "val", "litert").objective,
                float_metric=float_metric,
                least_gap=least_gap(float_metric, len(labels), numbers=bool(self._targets)),
                fixed_input=info.preprocess.raw_type == "uint8",
                classifier=not self._rebuilds and not self._targets,
                aware=aware,
            )
        )

    def _judge(self, tflite: bytes) -> tuple[Costs, dict[str, Costs], tuple[Violation, ...]]:
        """Costs on the first board that has some, those of each of several, and what the closest board's limits lack.

        Raises:
            UserError: No board has costs for the model.
        """
        graph = read_graph(tflite)
        judged = [board.judge(graph, file_bytes=len(tflite)) for board in self._boards]
        known = {
            board.name: verdict.costs
            for board, verdict in zip(self._boards, judged, strict=True)
            if verdict.costs is not None
        }
        if not known:
            raise UserError(str(judged[0].refused))
        closest = min(judged, key=lambda verdict: verdict.excess)
        return next(iter(known.values())), known if len(judged) > 1 else {}, closest.violations

    def _float_metric(self, model: tf_keras.Model, spec: ArchSpec) -> float:
        """The metric of the float network on validation data."""
        info, labels = self._dataset.info, self._dataset.labels["val"]
        parts = []
        for raw in chunks(self._dataset.samples["val"]):
            inputs = self._dataset.inputs(raw).reshape(len(raw), *spec.input_shape)
            outputs = predict(model, inputs)
            if self._rebuilds:
                outputs = np.square(outputs - inputs.reshape(outputs.shape)).mean(axis=1)
            parts.append(outputs)
        answers = np.concatenate(parts)
        if self._targets:
            predicted = answers * [one.deviation for one in self._targets] + [
                one.mean for one in self._targets
            ]
            return score_numbers(
                predicted, labels, targets=self._targets, part="val", engine="litert", metric=info.metric
            ).objective
        if self._rebuilds:
            return ANOMALY_METRICS[info.metric].of(answers[labels == 0], answers[labels == 1])
        return score(
            answers, labels, classes=self._outputs, part="val", engine="litert", metric=info.metric
        ).objective

    def _train(
        self,
        proposed: Candidate,
        request: Request,
        data: TrainingData,
        rng: np.random.Generator,
        seconds: dict[str, float],
    ) -> tuple[tf_keras.Model, npt.NDArray[np.float32]]:
        """The trained network, and the loss of each of its training steps."""
        recipe = request.recipe
        clock = _Clock(request.train_seconds, request.steps)
        with _stage("build", seconds):
            model = build(proposed.wide, seed=_weight_seed(request.seed, proposed.wide))
            if request.init is not None:
                give(model, proposed.wide, self._given(request.init))
        losses: list[npt.NDArray[np.float32]] = []
        for step, steps in _phases(proposed, request):
            training = Training(model=model)
            if step is not None:
                with _stage("prune", seconds):
                    training = step.begin(model, proposed, request, steps)
            rate = recipe.peak_rate * (1.0 if step is None else step.rate(request))
            with _stage("train", seconds):
                done = train(
                    training.model,
                    data,
                    make_schedule(self._dataset, proposed.wide, recipe, steps=steps, rate=rate),
                    rng=rng,
                    before_step=training.before_step,
                    until=clock.until(steps),
                )
            clock.count(steps)
            losses.append(done)
            with _stage("prune", seconds):
                model = training.end(training.model)
        if not all(np.isfinite(weights).all() for weights in model.get_weights()):
            raise _StageError("train", "the training diverged: weights are not finite")
        return model, np.concatenate(losses)

    def _given(self, digest: str) -> FloatWeights:
        if self._init is None or self._init.digest() != digest:
            raise ValueError(f"the weights {digest} are not here")
        return self._init

    def _data(self, spec: ArchSpec, *, on_all: bool) -> TrainingData:
        """The training samples, kept for the next network; those of a training on all samples are for one alone."""
        if on_all:
            return self._as_tensors(spec, *self._dataset.all_for_training())
        if spec.input_shape not in self._training:
            self._training[spec.input_shape] = self._as_tensors(
                spec, self._dataset.samples["train"], self._dataset.labels["train"]
            )
        return self._training[spec.input_shape]

    def _as_tensors(
        self, spec: ArchSpec, samples: npt.NDArray[np.generic], labels: npt.NDArray[Any]
    ) -> TrainingData:
        return TrainingData(
            samples,
            self._scaled(labels),
            classes=0 if self._targets else self._outputs,
            class_weights=self._dataset.class_weights(),
            preprocess=self._dataset.info.preprocess,
            input_range=self._dataset.input_range,
            shape=spec.input_shape,
            rebuilds=self._rebuilds,
        )

    def _scaled(self, labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Labels as the network puts them out: numbers without mean, of deviation 1."""
        if not self._targets:
            return labels
        means, deviations = ([getattr(one, name) for one in self._targets] for name in ("mean", "deviation"))
        return np.asarray((labels - means) / deviations, np.float32)


class _Clock:
    """Shares the time that is left among the phases of a training, by their steps.

    Args:
        seconds: Until the training must have ended; None for as long as it takes.
        steps: Of all phases.
    """

    def __init__(self, seconds: float | None, steps: int) -> None:
        self._begun = time.time()
        self._seconds = seconds
        self._steps = steps
        self._past = 0

    def until(self, steps: int) -> float | None:
        """`time.time()` at which a phase of so many steps that begins now must end."""
        if self._seconds is None:
            return None
        return self._begun + self._seconds * min(self._past + steps, self._steps) / self._steps

    def count(self, steps: int) -> None:
        """A phase of so many steps is over."""
        self._past += steps


def _curve(losses: npt.NDArray[np.float32]) -> tuple[float, ...]:
    """Means of equal parts of the training, for a picture."""
    parts = np.array_split(losses.astype(np.float64), min(_CURVE_POINTS, len(losses)))
    return tuple(round(float(part.mean()), 4) for part in parts)


def _phases(proposed: Candidate, request: Request) -> list[tuple[CompressionStep | None, int]]:
    """The phases of a training in their order: what begins each, and its steps."""
    left, phases = request.steps, []
    for step in reversed(STEPS):
        if steps := step.steps(proposed, request, left):
            phases.append((step, steps))
            left = max(1, left - steps)
    return [(None, left), *reversed(phases)]


def _configure() -> None:
    """Sets TensorFlow up for trainings side by side."""
    # oneDNN's batch norm takes longer with a ReLU fused into it than both take apart: 11.7 ms a step, and 7.0 ms.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    try:
        # One thread: workers share a machine, and sums in one order repeat bit for bit.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        # TensorFlow has started already, in a process that did more before: then its environment decides.
        return


def _weight_seed(seed: int, spec: ArchSpec) -> int:
    return int(hashlib.sha256(f"{seed}:{spec.digest()}".encode()).hexdigest()[:7], 16)


@contextmanager
def _stage(stage: Stage, seconds: dict[str, float]) -> Iterator[None]:
    """Times a stage, and names it when something in it fails."""
    started = time.perf_counter()
    try:
        yield
    except (_StageError, MemoryError):
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        first = lines[0][:300] if lines else ""
        raise _StageError(stage, f"{type(error).__name__}: {first}") from error
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - started


def make_evaluator(
    *,
    dataset: Dataset,
    target: Target,
    budget: Budget,
    others: Sequence[tuple[Target, Budget]] = (),
    front_ends: Mapping[str, Sequence[tuple[Target, Budget, Mapping[str, float]]]] | None = None,
    init: FloatWeights | None = None,
) -> Evaluator:
    """The factory that executors name.

    Args:
        dataset: The task's data.
        target: The chip.
        budget: The limits.
        others: Further boards with their limits.
        front_ends: Of data whose front end is searched, by its name: each board, what is left of its limits, and what
            the front end takes there.
        init: Weights that networks begin with where a request says so.
    """
    spec = None if front_ends else dataset.info.frontend
    return Evaluator(
        dataset=dataset,
        boards=[
            Board(model=cost_model(chip, spec), budget=limits) for chip, limits in ((target, budget), *others)
        ],
        behind={
            name: [
                Board(model=cost_model(chip, dataset.behind[name].info.frontend), budget=limits, taken=taken)
                for chip, limits, taken in boards
            ]
            for name, boards in (front_ends or {}).items()
        },
        init=init,
    )
