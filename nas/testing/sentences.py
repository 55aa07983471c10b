"""The messages of the suites: one plain sentence, as an AssertionError."""

from __future__ import annotations

from typing import NoReturn


def require(held: bool, sentence: str) -> None:
    """Raises the sentence unless something held."""
    if not held:
        raise AssertionError(sentence)


def fail(sentence: str, error: Exception) -> NoReturn:
    """Raises the sentence, caused by an exception."""
    raise AssertionError(sentence) from error


def reason(error: Exception) -> str:
    """The message of an exception, as the end of a sentence."""
    from cost_models.errors import UserError
    from nas.model.words import first_line

    text = (
        first_line(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"
    )
    return f"{text}."
