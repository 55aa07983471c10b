"""What the commands share: a parser whose complaints are `UserError`s with a hint, and a look at what is installed."""

from __future__ import annotations

import argparse
import re
from importlib import metadata
from typing import NoReturn

from cost_models.errors import UserError, did_you_mean

_NEGATIVE = re.compile(r"-[\d.]")

_REQUIREMENT = re.compile(r"([\w.-]+).*\bextra == ['\"](\w+)['\"]")


def require_extra(extra: str, command: str) -> None:
    """Refuses to begin what would end for want of a package.

    Args:
        extra: One of this distribution's, as in `pip install 'mcu-nas[extra]'`.
        command: The command or flag that needs it.

    Raises:
        UserError: A package of the extra is not installed.
    """
    for name in _packages_of(extra):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            raise UserError(
                f"{name} is not installed, which {command} needs.",
                f"Install it: pip install 'mcu-nas[{extra}]'.",
            ) from None


def _packages_of(extra: str) -> list[str]:
    """Names of an extra's packages; none where this code runs without having been installed."""
    try:
        declared = metadata.requires("mcu-nas") or []
    except metadata.PackageNotFoundError:
        return []
    found = [_REQUIREMENT.match(text) for text in declared]
    return [match[1] for match in found if match and match[2] == extra]


class Parser(argparse.ArgumentParser):
    """An `argparse` parser that raises what it would print, and knows what a misspelt flag was meant to be."""

    def __init__(self, prog: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}.", f"{self.prog} --help lists the flags.")

    def read(self, argv: list[str]) -> argparse.Namespace:
        """The arguments.

        Raises:
            UserError: A flag that there is none of, a value that a flag cannot have, a word too many.
        """
        words: list[str] = []
        for word in argv:
            # argparse would take "-1KB" after --budget for a flag of its own.
            if words and words[-1].startswith("--") and _NEGATIVE.match(word):
                words[-1] = f"{words[-1]}={word}"
            else:
                words.append(word)
        arguments, unknown = self.parse_known_args(words)
        if unknown:
            word = unknown[0].partition("=")[0]
            if not word.startswith("-"):
                raise UserError(f"{word!r} is not expected here.", f"{self.prog} --help lists what is.")
            flags = [text for action in self._actions for text in action.option_strings if text != "-h"]
            raise UserError(f"There is no flag {word}.", did_you_mean(word, flags))
        return arguments
