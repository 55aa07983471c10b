"""What a campaign is, and how its cases are run: seeded, bounded in time, in processes that may die."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from cost_models.errors import UserError

CASE_SECONDS = 10
_BATCH = 200  # cases of a process before it is replaced, should one of them leave something behind


class Campaign(Protocol):
    """One kind of input."""

    name: str

    def case(self, rng: random.Random) -> bytes:
        """A mutated input, the same for the same generator."""

    def run(self, case: bytes, folder: Path) -> str:
        """Gives it to the product.

        Args:
            case: The input.
            folder: An empty folder for files.

        Returns:
            A word that is counted, such as "accepted".

        Raises:
            UserError: The product refuses it, as it should.
            FaultError: The product did something wrong without raising.
            Exception: Anything else is a fault.
        """


class FaultError(Exception):
    """The product took what it must not take; the text says what."""


class _SlowError(BaseException):
    """A case took too long."""


@dataclass(slots=True)
class Tally:
    """What became of the cases.

    Attributes:
        counts: How many had which end.
        faults: Seed of a case and what went wrong with it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str]] = field(default_factory=list)


@contextmanager
def _time_limit() -> Iterator[None]:
    def over(number: int, frame: object) -> None:
        raise _SlowError

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(CASE_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run_case(campaign: Campaign, seed: int, folder: Path) -> tuple[str, str]:
    """How a case ended, and the fault if it is one: an exception that is no `UserError`, or a hang."""
    try:
        case = campaign.case(random.Random(seed))
        with _time_limit():
            return campaign.run(case, folder), ""
    except UserError as error:
        return ("refused", "") if str(error).strip() else ("fault", "a refusal without a sentence")
    except FaultError as error:
        return "fault", str(error)
    except _SlowError:
        return "hang", f"no end after {CASE_SECONDS} s"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "exception", f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"[
            :300
        ]


def _work(campaign: Campaign, seeds: list[int], folder: Path, out: Connection) -> None:
    for seed in seeds:
        out.send((seed, None))
        out.send((seed, run_case(campaign, seed, folder)))
    out.close()


def run(
    campaign: Campaign, *, first: int, count: int, folder: Path, end: float, faults: Path | None
) -> Tally:
    """Runs cases in a process of their own, which is replaced when it dies.

    Args:
        campaign: What to try.
        first: Seed of the first case; the others follow.
        count: How many.
        folder: For files of the cases.
        end: `time.monotonic()` after which no new batch is begun.
        faults: Where the inputs of faults are kept.
    """
    tally = Tally()
    seeds = list(range(first, first + count))
    context = multiprocessing.get_context("fork")
    while seeds and time.monotonic() < end:
        batch, seeds = seeds[:_BATCH], seeds[_BATCH:]
        inner, outer = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(campaign, batch, folder, outer))
        process.start()
        outer.close()
        begun: int | None = None
        while True:
            try:
                seed, result = inner.recv()
            except EOFError:
                break
            begun = seed if result is None else None
            if result is not None:
                _count(tally, campaign, seed, result, faults)
        process.join()
        if begun is not None:
            _count(tally, campaign, begun, ("crash", f"exit code {process.exitcode}"), faults)
            seeds = batch[batch.index(begun) + 1 :] + seeds
    return tally


def _count(tally: Tally, campaign: Campaign, seed: int, result: tuple[str, str], faults: Path | None) -> None:
    word, fault = result
    tally.counts["tried"] += 1
    tally.counts[word] += 1
    if fault:
        tally.faults.append((seed, f"{word}: {fault}"))
        if faults is not None:
            faults.mkdir(parents=True, exist_ok=True)
            (faults / f"{campaign.name}-{seed}").write_bytes(campaign.case(random.Random(seed)))


def mutated(data: bytes, rng: random.Random, places: list[int] | None = None, most: int = 3) -> bytes:
    """A few bytes changed: flipped, set to telling values, moved by one, or 32-bit words of telling values."""
    made = bytearray(data)
    for _ in range(rng.randint(1, most)):
        at = rng.choice(places) if places else rng.randrange(len(made))
        match rng.randrange(5):
            case 0:
                made[at] ^= 1 << rng.randrange(8)
            case 1:
                made[at] = rng.choice((0, 1, 2, 3, 4, 5, 7, 8, 16, 127, 128, 255))
            case 2:
                made[at] = (made[at] + rng.choice((1, -1))) & 255
            case 3:
                start = at - at % 4
                word = rng.choice((0, 1, 2, 3, 4, 5, 6, 8, -1, -2, 100, 1 << 16, (1 << 31) - 1))
                made[start : start + 4] = (word & 0xFFFFFFFF).to_bytes(4, "little")
            case _:
                made[at] = rng.randrange(256)
    return bytes(made)


def cut_or_spliced(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Only the beginning, or the beginning of one file and the end of another."""
    at = rng.randrange(len(data))
    return data[:at] + (other[at:] if rng.random() < 0.5 else b"")
