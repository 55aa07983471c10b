"""What an accuracy hides is said: chance, classes that are never answered, gaps between the parts."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from nas.model.quality import chance_level, is_near_chance, near_chance_text, quality_warnings
from nas.model.trained import Accuracy


def accuracy(table: object, part: Literal["val", "test"] = "test") -> Accuracy:
    counts = np.asarray(table)
    return Accuracy(
        part=part,
        engine="tflm",
        correct=int(np.trace(counts)),
        total=int(counts.sum()),
        confusion=tuple(tuple(int(n) for n in row) for row in counts),
    )


def even(classes: int, each: int, value: float) -> np.ndarray:
    """A confusion matrix of classes that are equally common and equally well recognized."""
    table = np.diag([round(each * value)] * classes)
    for row in range(classes):
        for miss in range(each - table[row, row]):
            table[row, (row + 1 + miss % (classes - 1)) % classes] += 1
    return table


@pytest.mark.parametrize(
    ("table", "near"),
    [
        (even(10, 36, 0.136), True),
        (even(10, 36, 0.10), True),
        (even(10, 36, 0.30), False),
        (even(10, 36, 0.97), False),
        (even(2, 100, 0.52), True),
        (even(2, 100, 0.75), False),
        (even(2, 4, 0.75), False),
        ([[98, 0], [2, 0]], True),  # one class, whatever the sample
        ([[97, 1], [0, 2]], False),  # a rare class that is recognized
        ([[50, 0, 0], [50, 0, 0], [50, 0, 0]], True),
        ([[30, 0], [0, 0]], False),  # one class only: cannot be told
    ],
)
def test_a_model_near_chance_is_told_from_one_that_has_learned(table: object, near: bool) -> None:
    assert is_near_chance(accuracy(table)) is near


def test_without_a_confusion_matrix_chance_is_not_known() -> None:
    bare = Accuracy(part="test", engine="tflm", correct=1, total=10)
    assert chance_level(bare) is None
    assert not is_near_chance(bare)
    assert quality_warnings([bare], ["a", "b"]) == ()
    assert quality_warnings([], ["a", "b"]) == ()


def test_a_model_near_chance_is_said_with_its_interval() -> None:
    (line,) = quality_warnings([accuracy(even(10, 36, 0.139))], list("abcdefghij"))
    assert line == near_chance_text(accuracy(even(10, 36, 0.139)))
    assert line == (
        "The 13.9 % accuracy on test data (95 % interval 10.7 % to 17.8 %) is near chance: answers that ignore the"
        " sample would reach 10.0 %."
    )


def test_a_class_that_is_never_predicted_is_named() -> None:
    lines = quality_warnings([accuracy([[110, 0, 0], [1, 108, 0], [1, 0, 0]])], ["a", "b", "rare"])
    assert lines == ("Never predicted on test data, so its recall is 0: rare (1 sample).",)


def test_a_class_that_is_only_predicted_wrongly_is_named() -> None:
    lines = quality_warnings([accuracy([[110, 0, 2], [1, 108, 0], [9, 0, 0]])], ["a", "b", "c"])
    assert lines == ("Never recognized on test data (recall 0): c (9 samples).",)


def test_a_class_of_few_samples_and_a_missing_class_are_named() -> None:
    lines = quality_warnings([accuracy([[50, 0, 0], [0, 2, 0], [0, 0, 0]])], ["a", "b", "c"])
    assert lines == (
        "Too few test samples to tell the recall of b (2 samples).",
        "The test part has no sample of c: its accuracy does not cover it.",
    )


def test_many_classes_are_counted_and_not_all_named() -> None:
    table = np.zeros((9, 9), int)
    table[0, 0], table[1, 1] = 500, 500
    table[2:, 0] = 6
    (line,) = quality_warnings([accuracy(table)], list("abcdefghi"))
    assert line.endswith(
        "c (6 samples), d (6 samples), e (6 samples), f (6 samples), g (6 samples) and 2 more."
    )


@pytest.mark.parametrize(
    ("val", "test", "said"), [(0.95, 0.80, True), (0.95, 0.94, False), (0.80, 0.95, True)]
)
def test_a_gap_between_validation_and_test_is_said(val: float, test: float, said: bool) -> None:
    lines = quality_warnings(
        [accuracy(even(2, 100, val), "val"), accuracy(even(2, 100, test), "test")], ["a", "b"]
    )
    assert bool(lines) is said
    if said:
        assert lines[0].startswith(
            f"Validation and test accuracy differ by 15.0 points ({val * 100:.1f} % and {test * 100:.1f} %)"
        )


def test_a_gap_between_two_models_says_nothing_of_the_parts() -> None:
    validation = Accuracy(part="val", engine="tflm", correct=700, total=1000)
    test = Accuracy(part="test", engine="tflm", correct=900, total=1000)
    assert quality_warnings([validation, test], ["a", "b"])
    assert quality_warnings([validation, test], ["a", "b"], one_model=False) == ()


def test_few_samples_explain_a_gap() -> None:
    lines = quality_warnings(
        [accuracy(even(2, 8, 1.0), "val"), accuracy(even(2, 8, 0.875), "test")], ["a", "b"]
    )
    assert lines == ()
