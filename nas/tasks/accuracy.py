"""Accuracy of int8 bytes on raw samples: LiteRT's kernels for ranking, TFLM's interpreter for what is stated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from nas.model.anomaly_score import AnomalyScore, threshold_at
from nas.model.input_quantization import InputScaling
from nas.model.metrics import ANOMALY_METRICS, CLASS_METRICS, METRICS, NUMBER_METRICS, bootstrap_rows, ends
from nas.model.optimism import packed
from nas.model.policy import MetricName
from nas.model.regression import NumberError, NumberScaling, Predictions, TargetScale
from nas.model.trained import Accuracy
from nas.runtimes.interpreter import Engine, Int8Model
from nas.runtimes.litert import LiteRtModel
from nas.runtimes.reference import reference_model
from nas.tasks.by_group import Rows, score_groups
from nas.tasks.dataset import Dataset
from nas.tasks.disturbances import disturbed_in_turn
from nas.tasks.loading.mapped import chunks

Part = Literal["val", "test"]

_PICTURED = 500  # samples
_PICTURED_NUMBERS = 4
_MOST_DISTURBED = 1000  # validation samples: a training is measured in as much time again, at the most


def score(
    outputs: npt.NDArray[np.int8] | npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    *,
    classes: int,
    part: Part,
    engine: Engine,
    metric: MetricName = "accuracy",
) -> Accuracy:
    """Correct answers and confusion; a tie goes to the first class, as in the emitted C."""
    table, correct = _confusion(labels, outputs.argmax(axis=1), classes)
    return Accuracy(
        part=part,
        engine=engine,
        correct=correct,
        total=len(labels),
        confusion=table,
        metric=metric,
        score=None if metric == "accuracy" else CLASS_METRICS[metric].of(table),
    )


def score_anomalies(
    scores: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    *,
    threshold: int,
    part: Part,
    engine: Engine,
    metric: MetricName,
) -> Accuracy:
    """What is told apart at a threshold, and by the metric at all of them; labels are 0 (normal) and 1."""
    table, correct = _confusion(labels, (scores > threshold).astype(np.int64), 2)
    row = ANOMALY_METRICS[metric]
    normal, anomalous = scores[labels == 0], scores[labels == 1]
    return Accuracy(
        part=part,
        engine=engine,
        correct=correct,
        total=len(labels),
        confusion=table,
        metric=metric,
        score=row.of(normal, anomalous),
        interval=row.interval(normal, anomalous),
        threshold=threshold,
    )


def score_numbers(
    predicted: npt.NDArray[np.floating],
    labels: npt.NDArray[np.float64],
    *,
    targets: tuple[TargetScale, ...],
    part: Part,
    engine: Engine,
    metric: MetricName,
    among: npt.NDArray[np.float64] | None = None,
) -> Accuracy:
    """How far predictions are off, by number, in the unit of the data. Shape: (n, k) each.

    `among` are the labels of all samples where these are some of them: errors are then set against those of the
    training mean on all, for some samples may vary less than others.
    """
    row = NUMBER_METRICS[metric]
    means = np.array([one.mean for one in targets])
    errors = predicted.astype(np.float64) - labels
    usual = means - (labels if among is None else among)
    drawn = [
        (row.of(errors[rows], base), row.skill(errors[rows], base))
        for rows in bootstrap_rows(len(labels))
        for base in (usual[rows] if among is None else usual,)
    ]
    values, skills = np.array([one[0] for one in drawn]), np.array([one[1] for one in drawn]).mean(axis=1)
    rmse, mae, r2 = (NUMBER_METRICS[name].of(errors, usual) for name in ("rmse", "mae", "r2"))
    scored = []
    for index, target in enumerate(targets):
        low, high = ends(values[:, index])
        scored.append(
            NumberError(
                name=target.name,
                rmse=float(rmse[index]),
                mae=float(mae[index]),
                r2=float(r2[index]),
                low=low,
                high=high,
            )
        )
    return Accuracy(
        part=part,
        engine=engine,
        correct=0,
        total=len(labels),
        metric=metric,
        score=float(row.skill(errors, usual).mean()),
        interval=ends(skills),
        numbers=tuple(scored),
    )


def _confusion(
    labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int
) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Counts, rows are true classes and columns predicted ones; and how many are correct."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (labels, predicted), 1)
    return tuple(tuple(int(n) for n in row) for row in table), int(np.trace(table))


def measure_accuracy(
    tflite: bytes,
    dataset: Dataset,
    part: Part,
    engine: Engine,
    *,
    threshold: int | None = None,
    detailed: bool = False,
    by_sample: bool = False,
    processes: int = 1,
) -> Accuracy:
    """Accuracy on the raw samples of one part, quantized as the firmware quantizes them.

    Where TFLM's interpreter is not installed, LiteRT answers for it, and the result's `engine` says so.

    Args:
        tflite: The model.
        dataset: The data.
        part: Which of them.
        engine: Which interpreter.
        threshold: Of anomalies, where an earlier call has taken it from the normal validation samples; None takes it
            from these, by the same interpreter.
        detailed: Whether to tell the metric of each group as well, where the data have groups, and of a regression the
            predictions of some samples.
        by_sample: Whether to keep which samples are answered rightly, where answers are classes.
        processes: How many may answer at a time, where TFLM does.
    """
    model = reference_model(tflite, processes)
    # TFLM is asked to load it even where LiteRT answers: a model that it refuses is of no use.
    answering = model if engine in ("tflm", model.engine) else LiteRtModel(tflite)
    judged = _judge(answering, dataset, part, threshold)
    whole = judged.judge(np.arange(len(dataset.labels[part])))
    if by_sample and judged.hits is not None:
        whole = replace(whole, hits=packed(judged.hits))
    if not detailed:
        return whole
    groups = dataset.groups.get(part)
    return replace(
        whole,
        groups=None if groups is None else score_groups(groups, value=judged.value, judge=judged.judge),
        predictions=()
        if judged.predicted is None
        else some_predictions(dataset.info.targets, dataset.labels[part], judged.predicted),
    )


def measure_left_out(trainings: Sequence[tuple[bytes, Dataset]]) -> Accuracy:
    """The accuracy of the answers to all samples, each by a model that was trained without it, by LiteRT's kernels.

    Args:
        trainings: Models, and the data whose validation part each was trained without; not of anomalies.
    """
    judged = [_judge(LiteRtModel(tflite), dataset, "val", None) for tflite, dataset in trainings]
    info = trainings[0][1].info
    labels = np.concatenate([dataset.labels["val"] for _, dataset in trainings])
    predicted = [each.predicted for each in judged if each.predicted is not None]
    if predicted:
        return score_numbers(
            np.concatenate(predicted),
            labels,
            targets=info.targets,
            part="val",
            engine="litert",
            metric=info.metric,
        )
    hits = np.concatenate([each.hits for each in judged if each.hits is not None])
    parts = [each.judge(np.arange(len(data.labels["val"]))) for each, (_, data) in zip(judged, trainings)]
    table = np.sum([part.confusion for part in parts], axis=0).tolist()
    return replace(
        parts[0],
        correct=int(hits.sum()),
        total=len(hits),
        confusion=tuple(map(tuple, table)),
        score=None if info.metric == "accuracy" else CLASS_METRICS[info.metric].of(table),
        hits=packed(hits),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """The answers to the samples of a part.

    Attributes:
        judge: How good those to some samples are, by their indices.
        value: Their metric alone; None where they have none.
        predicted: Of a regression, all predictions in the unit of the data. Shape: (n, k).
        hits: Of classes, whether each answer is right. Shape: (n,).
    """

    judge: Callable[[Rows], Accuracy]
    value: Callable[[Rows], float | None]
    predicted: npt.NDArray[np.float32] | None = None
    hits: npt.NDArray[np.bool_] | None = None


def _judge(model: Int8Model, dataset: Dataset, part: Part, threshold: int | None) -> _Judged:
    info, labels, engine = dataset.info, dataset.labels[part], model.engine
    if info.targets:
        predicted = predictions(model, dataset, part)
        row = NUMBER_METRICS[info.metric]
        means = np.array([one.mean for one in info.targets])

        def numbers(rows: Rows) -> Accuracy:
            return score_numbers(
                predicted[rows],
                labels[rows],
                targets=info.targets,
                part=part,
                engine=engine,
                metric=info.metric,
                among=None if len(rows) == len(labels) else labels,
            )

        return _Judged(
            judge=numbers,
            value=lambda rows: float(row.skill(predicted[rows] - labels[rows], means - labels).mean()),
            predicted=predicted,
        )
    if info.false_alarms is None:
        outputs = _outputs(model, dataset, dataset.samples[part])

        def of(answers: npt.NDArray[np.int8], truth: npt.NDArray[np.int64]) -> Accuracy:
            return score(
                answers,
                truth,
                classes=len(info.class_names),
                part=part,
                engine=engine,
                metric=info.metric,
            )

        if not METRICS[info.metric].robust:
            return _Judged(
                judge=lambda rows: of(outputs[rows], labels[rows]),
                value=lambda rows: of(outputs[rows], labels[rows]).objective,
                hits=outputs.argmax(axis=1) == labels,
            )
        picks, samples = _disturbed(dataset, part)
        answers = _outputs(model, dataset, samples)

        def both(rows: Rows) -> Accuracy:
            taken = np.isin(picks, rows)
            return _mean(of(outputs[rows], labels[rows]), of(answers[taken], labels[picks[taken]]))

        return _Judged(judge=both, value=lambda rows: both(rows).objective)
    scores = anomaly_scores(model, dataset, part)
    if threshold is None:
        usual = scores if part == "val" else anomaly_scores(model, dataset, "val")
        threshold = threshold_at(usual[dataset.labels["val"] == 0], info.false_alarms)
    limit, area = threshold, ANOMALY_METRICS[info.metric]

    def anomalies(rows: Rows) -> Accuracy:
        return score_anomalies(
            scores[rows], labels[rows], threshold=limit, part=part, engine=engine, metric=info.metric
        )

    def told_apart(rows: Rows) -> float | None:
        normal, anomalous = (scores[rows][labels[rows] == kind] for kind in (0, 1))
        return area.of(normal, anomalous) if len(normal) and len(anomalous) else None

    return _Judged(judge=anomalies, value=told_apart)


def judged_samples(dataset: Dataset, part: Part) -> int:
    """How many inferences an accuracy takes."""
    count = len(dataset.labels[part])
    return count + (len(_picks(count, part)) if METRICS[dataset.info.metric].robust else 0)


def _picks(count: int, part: Part) -> Rows:
    """The samples of a part that are disturbed as well: of test data all, of validation data some, always the same."""
    if part == "test" or count <= _MOST_DISTURBED:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:_MOST_DISTURBED])


def _disturbed(dataset: Dataset, part: Part) -> tuple[Rows, npt.NDArray[np.generic]]:
    """Those samples by their indices, and what they are disturbed: the same for all networks."""
    picks = _picks(len(dataset.labels[part]), part)
    rng = np.random.default_rng([*b"disturbed", *part.encode()])
    return picks, disturbed_in_turn(np.asarray(dataset.samples[part][picks]), rng)


def _mean(plain: Accuracy, disturbed: Accuracy) -> Accuracy:
    """Results on samples as they are, scored by the mean of their metric and that of disturbed ones.

    The interval is the mean of both: the two are of the same samples, and rise and fall together.
    """
    if not disturbed.total:
        return plain
    ends = zip(plain.objective_interval(), disturbed.objective_interval(), strict=True)
    low, high = ((one + other) / 2 for one, other in ends)
    return replace(
        plain,
        score=(plain.objective + disturbed.objective) / 2,
        interval=(low, high),
        disturbed=disturbed.objective,
    )


def some_predictions(
    targets: tuple[TargetScale, ...], labels: npt.NDArray[np.float64], predicted: npt.NDArray[np.float32]
) -> tuple[Predictions, ...]:
    """True and predicted numbers of some samples, always the same, for a picture. Shape: (n, k) each."""
    rows = np.sort(np.random.default_rng(0).permutation(len(labels))[:_PICTURED])
    errors = predicted - labels
    return tuple(
        Predictions(
            name=target.name,
            truth=tuple(labels[rows, index].tolist()),
            predicted=tuple(predicted[rows, index].tolist()),
            bias=float(errors[:, index].mean()),
            middle=tuple(np.quantile(errors[:, index], [0.05, 0.95]).tolist()),
        )
        for index, target in enumerate(targets[:_PICTURED_NUMBERS])
    )


def predictions(model: Int8Model, dataset: Dataset, part: Part) -> npt.NDArray[np.float32]:
    """A network's predictions for each sample of a part, in the unit of the data. Shape: (n, k)."""
    output = model.output
    scaling = NumberScaling.fold(dataset.info.targets, scale=output.scale, zero_point=output.zero_point)
    return np.concatenate(
        [scaling.numbers(outputs) for _, outputs in _answers(model, dataset, dataset.samples[part])]
    )


def anomaly_scores(model: Int8Model, dataset: Dataset, part: Part) -> npt.NDArray[np.int64]:
    """How badly a network rebuilds each sample of a part. Shape: (n,)."""
    port, output = model.input, model.output
    scoring = AnomalyScore.fold(
        scales=(port.scale, output.scale),
        zero_points=(port.zero_point, output.zero_point),
        elements=port.size,
    )
    return np.concatenate(
        [scoring.of(inputs, outputs) for inputs, outputs in _answers(model, dataset, dataset.samples[part])]
    )


def _outputs(model: Int8Model, dataset: Dataset, samples: npt.NDArray[np.generic]) -> npt.NDArray[np.int8]:
    return np.concatenate([outputs for _, outputs in _answers(model, dataset, samples)])


def _answers(
    model: Int8Model, dataset: Dataset, samples: npt.NDArray[np.generic]
) -> Iterator[tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]]:
    """Int8 inputs and outputs, some samples at a time. Shape: (n, *input.shape), (n, outputs)."""
    port = model.input
    scaling = InputScaling.fold(dataset.info.preprocess, scale=port.scale, zero_point=port.zero_point)
    for raw in chunks(samples):
        inputs = scaling.quantize(raw).reshape(len(raw), *port.shape)
        yield inputs, model.run(inputs).reshape(len(raw), -1)
