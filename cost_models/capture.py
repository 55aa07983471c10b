"""A board's log by the user's own command: it flashes and runs, and its output or a serial port is read."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

from cost_models.errors import UserError
from cost_models.reading import LARGEST_TEXT_BYTES

_CHUNK = 4096
_WAIT_SECONDS = 0.1


def capture(
    command: str,
    *,
    port: str | None,
    baud: int,
    seconds: float,
    complete: Callable[[bytes], bool],
    keep: Callable[[bytes], str],
    echo: Callable[[str], None],
) -> bytes:
    """Runs a command and returns what the board said: on the command's stdout, or on a serial port once it has ended.

    Args:
        command: The user's words; no shell reads them.
        port: Device of the serial port; None reads the command's stdout.
        baud: Its speed.
        seconds: For command and log together.
        complete: Whether the log is whole, so that nothing more needs to be waited for.
        keep: Keeps an unfinished log, and says where.
        echo: Shows what the command prints.

    Raises:
        UserError: The command cannot be run or fails, the port cannot be read, or no whole log came in time.
    """
    until = time.monotonic() + seconds
    said = bytearray()
    try:
        code = _run(command, until, said, complete if port is None else lambda data: False, echo)
        if port is not None and code == 0:
            said.clear()
            with _opened(port, baud, until) as descriptor:
                while not complete(bytes(said)) and _read(descriptor, said, until):
                    pass
    except KeyboardInterrupt:
        if said:
            echo(f"\n{keep(bytes(said))}\n")
        raise
    if complete(bytes(said)):
        return bytes(said)
    where = f" {keep(bytes(said))}" if said else ""
    if code is None:
        raise UserError(f"The command has not ended after {seconds:g} s.{where}", "Give a longer --timeout.")
    if code < 0:
        raise UserError(f"The command was ended by signal {-code}.{where}", f"Try it by itself: {command}")
    if code:
        raise UserError(f"The command ended with exit code {code}.{where}", f"Try it by itself: {command}")
    source = "the command's stdout" if port is None else port
    raise UserError(
        f"No whole log came from {source}: a line for each operator of the model is wanted.{where}",
        "Flash a build that prints TFLM's profiler CSV, give the board's --port, or a longer --timeout.",
    )


def _run(
    command: str,
    until: float,
    said: bytearray,
    complete: Callable[[bytes], bool],
    echo: Callable[[str], None],
) -> int | None:
    """The exit code; None where time is up, 0 where what was wanted came before the end."""
    try:
        words = shlex.split(command)
        if not words:
            raise ValueError("it is empty")
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"--run {command!r} cannot be run: {reason}.", "Write it as in a terminal.") from None
    assert process.stdout is not None
    try:
        while _read(process.stdout.fileno(), said, until, echo):
            if complete(bytes(said)):
                return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(max(0.0, until - time.monotonic()))
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.stdout.close()
        process.wait()


@contextlib.contextmanager
def _opened(port: str, baud: int, until: float) -> Iterator[int]:
    """A serial port, raw; a board that was just flashed may take a moment to bring it up again."""
    try:
        import termios
        import tty
    except ImportError:
        raise UserError("--port needs a POSIX system.", "Give a command that prints the log.") from None
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise UserError(f"--baud is {baud}.", "Give a speed that the system knows, like 115200.")
    while True:
        try:
            descriptor = os.open(port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
            break
        except OSError as error:
            if time.monotonic() >= until:
                raise UserError(f"{port} cannot be opened ({error.strerror}).", "Check --port.") from None
            time.sleep(_WAIT_SECONDS)
    try:
        tty.setraw(descriptor, termios.TCSANOW)  # what the board has said already is not thrown away
        settings = termios.tcgetattr(descriptor)
        settings[4] = settings[5] = speed
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
        yield descriptor
    except termios.error:
        raise UserError(f"{port} is not a serial port.", "Check --port.") from None
    finally:
        os.close(descriptor)


def _read(descriptor: int, said: bytearray, until: float, echo: Callable[[str], None] | None = None) -> bool:
    """Reads what has come; False at the end or when time is up."""
    left = until - time.monotonic()
    if left <= 0 or len(said) >= LARGEST_TEXT_BYTES:
        return False
    ready, _, _ = select.select([descriptor], [], [], min(left, _WAIT_SECONDS))
    if not ready:
        return True
    try:
        data = os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return True
    except OSError:  # a port whose board has gone
        return False
    if echo is not None:
        echo(data.decode("utf-8", errors="replace"))
    said.extend(data)
    return bool(data)
