"""Recordings as users have them: CSV files of two channels at 50 Hz, with rest and walk by turns of 100 rows."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

NAMES = "abcdef"
HEADER = "time,acc_x,acc_y,label"
Column = Callable[[int], object]


def noise(seed: int, scale: float = 1.0) -> Callable[[int], str]:
    source = random.Random(seed)
    values = [source.gauss(0, 1) for _ in range(997)]
    return lambda i: f"{math.sin(i / 3) + scale * values[i % 997]:.3f}"


def seconds(i: int) -> str:
    return f"{i * 0.02:.2f}"


def turns(i: int) -> str:
    return ("rest", "walk")[i // 100 % 2]


def table(header: str, *columns: Column, rows: int = 400) -> str:
    """Text of a file."""
    return "".join(
        f"{text}\n" for text in [header, *(",".join(str(c(i)) for c in columns) for i in range(rows))]
    )


def recording(seed: int = 0, rows: int = 400) -> str:
    return table(HEADER, seconds, noise(seed), noise(seed + 50), turns, rows=rows)


def folder(root: Path) -> Path:
    """Six files, a.csv to f.csv."""
    root.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(NAMES):
        (root / f"{name}.csv").write_text(recording(seed))
    return root
