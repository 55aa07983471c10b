"""Shared parts of the commands: how they are run, a parser that raises `UserError`s, a check of installed packages."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, TextIO

from cost_models.errors import UserError, did_you_mean, file_faults_said, shortened

USER_ERROR = 2
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
    from importlib import metadata

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
    from importlib import metadata

    try:
        declared = metadata.requires("mcu-nas") or []
    except metadata.PackageNotFoundError:
        return []
    matches = [_REQUIREMENT.match(text) for text in declared]
    return [match[1] for match in matches if match and match[2] == extra]


class Terminated(KeyboardInterrupt):
    """A signal other than Ctrl-C asked the command to end at once."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def ended_by(number: int) -> int:
    """The exit code of what a signal ended, as shells have it: 129 SIGHUP, 130 Ctrl-C, 143 SIGTERM."""
    return 128 + number


def ending_signals() -> tuple[int, ...]:
    """The signals besides Ctrl-C that ask a command to end: SIGTERM, and SIGHUP unless `nohup` ignores it."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, hangup)


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """What ends a command unwinds it like Ctrl-C, so that what was begun is tidied up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    previous = {number: signal.signal(number, end) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Output:
    """A stream that never fails in the middle of a command.

    What it cannot encode is replaced. Whoever closes a pipe early (`| head`) loses the rest and nothing else; any
    other fault, such as a full disk, is kept for the end, when it can be said and leads to the right exit code.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.fault: OSError | None = None
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="replace")

    def write(self, text: str) -> int:
        self._try(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self.stream.flush)

    def _try(self, call: Callable[..., object], *arguments: str) -> None:
        if self.fault is not None:
            return
        try:
            call(*arguments)
        except OSError as error:
            self.fault = error
            # What is still buffered would fail again when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def run_command(prog: str, work: Callable[[list[str]], int], argv: Sequence[str] | None) -> int:
    """Runs a command: what a user or the machine can do wrong becomes a sentence and an exit code.

    Args:
        prog: The command's name.
        work: Does it; returns the exit code.
        argv: Arguments; None takes the process's.

    Returns:
        What `work` returns; 2 for a user's mistake or an output that cannot be written, 130 after Ctrl-C, 143 after
        SIGTERM, 129 after SIGHUP.
    """
    before = sys.stdout, sys.stderr
    out, err = (_Output(stream or _nowhere()) for stream in before)
    sys.stdout, sys.stderr = out, err
    try:
        code = _guarded(prog, work, list(sys.argv[1:] if argv is None else argv))
        out.flush()
        if out.fault is not None and not isinstance(out.fault, BrokenPipeError):
            print(f"{prog}: The output cannot be written ({out.fault.strerror}).", file=sys.stderr)
            code = USER_ERROR
        err.flush()
        return code
    finally:
        sys.stdout, sys.stderr = before


def _guarded(prog: str, work: Callable[[list[str]], int], argv: list[str]) -> int:
    try:
        with _signals_unwind(), file_faults_said():
            return work(argv)
    except UserError as error:
        from cost_models.folded import folded

        print(folded(f"{prog}: {error}", sys.stderr, indent=2), file=sys.stderr)
        return USER_ERROR
    except Terminated as error:
        print(f"{prog}: Ended by {signal.Signals(error.number).name}.", file=sys.stderr)
        return ended_by(error.number)
    except KeyboardInterrupt:
        print(f"{prog}: Interrupted.", file=sys.stderr)
        return ended_by(signal.SIGINT)


def _nowhere() -> TextIO:
    """A stream in the place of one that was closed before the command began."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - lives as long as the process


class _Version(argparse.Action):
    """Prints the version; the package's data are read only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib import metadata

        try:
            version = metadata.version("mcu-nas")
        except metadata.PackageNotFoundError:
            version = "of a checkout that is not installed"
        print(f"{parser.prog} {version}")
        parser.exit()


class _Completion(argparse.Action):
    """Prints the script that lets a shell complete the command."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> NoReturn:
        from cost_models.completion import completion_script

        assert isinstance(parser, Parser)
        script = completion_script(
            parser.prog, parser._actions, shell=str(values), words=parser.words(), commands=parser.commands
        )
        print(script, end="")
        parser.exit()


_NUMBERS: dict[object, str] = {
    int: "Write a whole number in digits, such as 1000.",
    float: "Write a number, such as 0.5.",
}


def _refuse_empty(argv: Sequence[str]) -> None:
    """An empty word is most often a variable of a script that was never set; the default is not what was meant."""
    for before, word in zip(("", *argv), argv, strict=False):
        flag, equals, value = word.partition("=")
        if word and not (flag.startswith("--") and equals and not value):
            continue
        name = flag or (before if before.startswith("--") and "=" not in before else "An argument")
        raise UserError(f"{name} is empty.", "Give it a value, or leave it out.")


class Parser(argparse.ArgumentParser):
    """An `argparse` parser that raises what it would print, and knows what a misspelt flag or word was meant to be.

    Attributes:
        words: Gives values that shells complete flags with, by flag, where they are no `choices`.
        commands: Words that shells complete the first argument with.
    """

    def __init__(self, prog: str, description: str, epilog: str, commands: Sequence[str] = ()) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
        self.words: Callable[[], Mapping[str, Sequence[str]]] = dict
        self.commands = commands
        self.add_argument(
            "--completion",
            action=_Completion,
            choices=("bash", "zsh"),
            help=f"print a completion script: source <({prog} --completion bash)",
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}.", f"{self.prog} --help lists the flags.")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Called by argparse for each word of a flag with `choices`; `error` would not learn the word."""
        if action.choices is not None and value not in action.choices:
            flag = "/".join(action.option_strings) or action.metavar or action.dest
            raise UserError(f"{flag} is {value!r}.", did_you_mean(str(value), map(str, action.choices)))

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        """Called by argparse for each word; its own messages speak of Python's types."""
        try:
            return super()._get_value(action, text)
        except argparse.ArgumentError:
            if action.type not in _NUMBERS:
                raise
            flag = "/".join(action.option_strings) or action.metavar or action.dest
            raise UserError(f"{flag} is {shortened(text)!r}.", _NUMBERS[action.type]) from None

    def read(self, argv: list[str]) -> argparse.Namespace:
        """The arguments.

        Raises:
            UserError: A flag that there is none of, a value that a flag cannot have or that is empty, a word too many.
        """
        _refuse_empty(argv)
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
