"""The one error that a user can cause in any of the three packages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A user's mistake: one sentence, a hint, exit code 2 and no traceback.

    Args:
        message: What is wrong, as one sentence.
        hint: What to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, or all of them when none is close."""
    names = sorted(known)
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {folded[close[0]]}?"
    return f"Known: {', '.join(names)}."


@contextmanager
def file_faults_said() -> Iterator[None]:
    """What the file system refuses (a name that is too long, a folder that may not be entered) is said in a sentence.

    Every look at a path can fail so, `Path.exists` as well. Faults that name no file are not of the file system.

    Raises:
        UserError: In the place of an `OSError` that names a file.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        name = shortened(str(error.filename))
        raise UserError(
            f"{name} cannot be used: {error.strerror}.", "Check the path and its permissions."
        ) from error


def shortened(text: str, limit: int = 200) -> str:
    """Text from outside as a message shows it: its middle is left out where it is long."""
    if len(text) <= limit:
        return text
    half = limit // 2 - 2
    return f"{text[:half]} ... {text[-half:]}"
