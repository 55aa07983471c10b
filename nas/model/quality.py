"""What an accuracy hides: a model near chance, classes that are never answered, a gap between the parts.

All of it is computed from the accuracies and their confusion matrices alone, so that terminal, report and model
card say the same of the same model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas.model.metrics import ANOMALY_METRICS, CLASS_METRICS, METRICS, NUMBER_METRICS
from nas.model.statistics import wilson
from nas.model.trained import Accuracy
from nas.model.words import listed

_NO_SKILL = 0.1  # share of the way from chance to perfect below which a model has learned nothing
_NO_NUMBER_SKILL = (
    0.02  # of predicted numbers: an error so little below that of their mean is none that was learned
)
_UNPROVEN_SKILL = 0.25  # the same where the interval reaches down to chance
_LEAST_GAP = 0.02  # between validation and test, in points of accuracy
_FEW_SAMPLES = 5  # of a class, from which no recall can be told
_NAMED = 5  # classes that a line names


def chance_level(accuracy: Accuracy) -> float | None:
    """The accuracy of answers that are given as often, but have nothing to do with the samples.

    A model that always answers one class is at its chance level, however common that class is. None where this
    cannot be told: without a confusion matrix, or with samples of a single class.
    """
    table, total = accuracy.confusion, accuracy.total
    true = [sum(row) for row in table]
    if sum(count > 0 for count in true) < 2:
        return None
    answered = [sum(column) for column in zip(*table, strict=True)]
    agreed: int = sum(a * b for a, b in zip(true, answered, strict=True))
    return agreed / (total * total)


def is_near_chance(accuracy: Accuracy) -> bool:
    """Whether a model does hardly better than answers that ignore the sample."""
    if accuracy.metric in ANOMALY_METRICS:
        low, _ = accuracy.objective_interval()
        skill = 2 * accuracy.objective - 1  # chance is 0.5
        return skill < _NO_SKILL or (low <= 0.5 and skill < _UNPROVEN_SKILL)
    if accuracy.numbers:
        low, _ = accuracy.objective_interval()
        return accuracy.objective < _NO_NUMBER_SKILL or (low <= 0 and accuracy.objective < _UNPROVEN_SKILL)
    chance = chance_level(accuracy)
    if chance is None:
        return False
    low, _ = wilson(accuracy.correct, accuracy.total)
    skill = (accuracy.value - chance) / (1 - chance) if chance < 1 else 0.0
    return skill < _NO_SKILL or (low <= chance and skill < _UNPROVEN_SKILL)


def near_chance_text(accuracy: Accuracy) -> str:
    """The accuracy beside its chance level, with the interval, for a warning or a refusal."""
    if (row := ANOMALY_METRICS.get(accuracy.metric)) is not None:
        low, high = accuracy.objective_interval()
        return (
            f"The {row.label} of {accuracy.objective:.3f} on {_part(accuracy)} data (95 % interval {low:.3f} to"
            f" {high:.3f}) is near chance: scores that ignore the sample would reach 0.5."
        )
    if (number := NUMBER_METRICS.get(accuracy.metric)) is not None:
        low, high = accuracy.objective_interval()
        return (
            f"The predictions on {_part(accuracy)} data are hardly better than always answering the training mean:"
            f" {number.label} {_percent(accuracy.objective)} (95 % interval {_percent(low)} to {_percent(high)}), where"
            " the mean has 0 %."
        )
    low, high = wilson(accuracy.correct, accuracy.total)
    return (
        f"The {_percent(accuracy.value)} accuracy on {_part(accuracy)} data (95 % interval {_percent(low)} to"
        f" {_percent(high)}) is near chance: answers that ignore the sample would reach"
        f" {_percent(chance_level(accuracy) or 0.0)}."
    )


def quality_warnings(
    accuracies: Sequence[Accuracy], class_names: Sequence[str], *, one_model: bool = True
) -> tuple[str, ...]:
    """Plain lines on what the accuracies of one model hide; empty where they hide nothing.

    Args:
        accuracies: Of the same int8 bytes; of a part measured by several engines, TFLM's counts.
        class_names: Names by index.
        one_model: Whether validation and test results are of the same bytes, so that a gap says something of the parts.
    """
    by_part = {a.part: a for a in sorted(accuracies, key=lambda a: a.engine == "tflm")}
    test, validation = by_part.get("test"), by_part.get("val")
    stated = test or validation
    if stated is None or not (class_names or stated.numbers):  # without classes there is nothing to confuse
        return ()
    lines = [near_chance_text(stated)] if is_near_chance(stated) else []
    lines += _class_lines(stated, class_names)
    for part in (validation, test):
        if part is not None and part.confusion:
            absent = [name for name, row in zip(class_names, part.confusion, strict=True) if not sum(row)]
            if absent:
                lines.append(
                    f"The {_part(part)} part has no sample of {listed(absent, _NAMED)}: its accuracy does not cover"
                    f" {'it' if len(absent) == 1 else 'them'}."
                )
    if one_model and test is not None and validation is not None:
        lines += _gap_line(validation, test)
    return tuple(lines)


def _class_lines(accuracy: Accuracy, class_names: Sequence[str]) -> list[str]:
    table = accuracy.confusion
    if not table:
        return []
    true = [sum(row) for row in table]
    answered = [sum(column) for column in zip(*table, strict=True)]
    part = _part(accuracy)
    labels = [f"{class_names[i]} ({_samples(count)})" for i, count in enumerate(true)]
    lines = []
    never = [label for i, label in enumerate(labels) if true[i] and not answered[i]]
    if never:
        lines.append(f"Never predicted on {part} data, so its recall is 0: {listed(never, _NAMED)}.")
    lost = [label for i, label in enumerate(labels) if true[i] and answered[i] and not table[i][i]]
    if lost:
        lines.append(f"Never recognized on {part} data (recall 0): {listed(lost, _NAMED)}.")
    few = [label for i, label in enumerate(labels) if 0 < true[i] < _FEW_SAMPLES and table[i][i]]
    if few:
        lines.append(f"Too few {part} samples to tell the recall of {listed(few, _NAMED)}.")
    return lines


def _gap_line(validation: Accuracy, test: Accuracy) -> list[str]:
    """A line when the two accuracies differ by more than their samples explain.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10.
    """
    if (row := METRICS[test.metric]) and test.metric not in CLASS_METRICS:
        return _area_gap_line(row.label, validation, test)
    gap = abs(validation.value - test.value)
    upper, lower = sorted((validation, test), key=lambda a: -a.value)
    upper_low, _ = wilson(upper.correct, upper.total)
    _, lower_high = wilson(lower.correct, lower.total)
    explained = math.hypot(upper.value - upper_low, lower_high - lower.value)
    if gap < _LEAST_GAP or gap <= explained:
        return []
    return [
        f"Validation and test accuracy differ by {gap * 100:.1f} points ({_percent(validation.value)} and"
        f" {_percent(test.value)}), more than their numbers of samples explain: the parts differ,"
        " or the choice fits the validation part."
    ]


def _area_gap_line(label: str, validation: Accuracy, test: Accuracy) -> list[str]:
    upper, lower = sorted((validation, test), key=lambda a: -a.objective)
    gap = upper.objective - lower.objective
    explained = math.hypot(
        upper.objective - upper.objective_interval()[0], lower.objective_interval()[1] - lower.objective
    )
    lines = []
    if gap >= _LEAST_GAP and gap > explained:
        lines.append(
            f"The {label} of validation and test data differ by {gap:.3f} ({validation.objective:.3f} and"
            f" {test.objective:.3f}), more than their numbers of samples explain: the parts differ, or the choice fits"
            " the validation part."
        )
    if not validation.confusion:
        return lines
    (rate, low, _), (usual, _, high) = (_false_alarms(accuracy) for accuracy in (test, validation))
    if rate - usual > math.hypot(rate - low, high - usual):  # Newcombe's interval of the difference, as above
        lines.append(
            f"Of normal test samples {_percent(rate)} are false alarms, of validation samples"
            f" {_percent(usual)}: what is normal differs between the parts, and the threshold does not hold."
        )
    return lines


def _false_alarms(accuracy: Accuracy) -> tuple[float, float, float]:
    """The share of normal samples taken for anomalies, with its 95 % interval."""
    alarms, normal = accuracy.confusion[0][1], sum(accuracy.confusion[0])
    return (alarms / normal if normal else 0.0, *wilson(alarms, normal))


def _part(accuracy: Accuracy) -> str:
    return "validation" if accuracy.part == "val" else accuracy.part


def _samples(count: int) -> str:
    return f"{count} sample{'' if count == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
