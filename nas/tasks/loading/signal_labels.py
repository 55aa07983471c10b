"""Labels of recordings as people write them: words or numbers, which become class names in a sensible order."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cost_models.errors import UserError
from nas.model.words import listed
from nas.tasks.loading.labels import check_class_names

_WHOLE = re.compile(r"([+-]?\d+)(\.0*)?")
_FRACTION = re.compile(r"[+-]?\d*[.,]\d+([eE][+-]?\d+)?")
_MOST = 1000
_NAMED = 5


def spelt(word: str) -> str:
    """A label as it is named: 1, 1.0 and 01 are one."""
    match = _WHOLE.fullmatch(word)
    return str(int(match[1])) if match else word


def class_order(words: Sequence[str], name: str, *, least: int = 2) -> tuple[list[int], tuple[str, ...]]:
    """The class of each word, and the names of the classes: numbers by size, words by the alphabet.

    Args:
        words: The labels.
        name: The task, for messages.
        least: How many classes there are at the least.

    Raises:
        UserError: Too few labels, or what `check_words` refuses.
    """
    check_words(words, name)
    if len(words) < least:
        raise UserError(
            f"{name}: there is one label only ({listed(list(words), 1) or 'none'}).",
            "A classifier needs recordings of at least two classes; to find anomalies name the normal one:"
            " --normal CLASS.",
        )
    numbers = all(_WHOLE.fullmatch(word) for word in words)
    order = sorted(words, key=(lambda word: int(word)) if numbers else str)
    names = check_class_names(order, name)
    index = {word: i for i, word in enumerate(order)}
    return [index[word] for word in words], names


def check_words(words: Sequence[str], name: str) -> None:
    """Refuses what are not labels.

    Raises:
        UserError: Measured quantities, names that differ in case only, or too many.
    """
    fractions = [word for word in words if _FRACTION.fullmatch(word)]
    if fractions:
        raise UserError(
            f"{name}: the labels are numbers with fractions, such as {fractions[0]}.",
            "Use classes; --metric rmse predicts numbers.",
        )
    seen: dict[str, str] = {}
    for word in words:
        if (same := seen.setdefault(" ".join(word.casefold().split()), word)) != word:
            raise UserError(
                f"{name}: the labels {same!r} and {word!r} differ in case or spaces only.",
                "Write each label alike.",
            )
    if len(words) > _MOST:
        raise UserError(
            f"{name}: there are {len(words):,} different labels, such as {listed(list(words), _NAMED)}.",
            f"Up to {_MOST:,} are taken: --label names another column.",
        )
