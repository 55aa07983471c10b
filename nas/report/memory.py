"""The arena over time: which tensor lies where while which operator runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.report.picture import linear_ticks
from nas.report.quantities import GAP, kilobytes

SCRATCH = "scratch"
"""How names of kernel scratch buffers begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A tensor's stay in the arena; positions are percentages of the picture's width and height.

    Attributes:
        at_peak: Whether it lives while the peak operator runs.
        label: Short text inside, empty where there is no room for it.
    """

    x: float
    y: float
    width: float
    height: float
    at_peak: bool
    scratch: bool
    title: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaPicture:
    """The picture, and the sentences that say the same.

    Attributes:
        columns: Operators, in order.
        tail: Height of what is kept for the whole run at the arena's end; None where unknown.
        ticks: Height and text.
        column_ticks: Position and text.
    """

    blocks: tuple[Block, ...]
    columns: int
    peak_column: int
    peak_text: str
    planned_bytes: int
    tail: float | None
    tail_text: str
    ticks: tuple[tuple[float, str], ...]
    column_ticks: tuple[tuple[float, str], ...]


def arena_picture(timeline: Sequence[Mapping[str, Any]], sram_bytes: int | None) -> ArenaPicture | None:
    """Lay out the chosen model's memory timeline; None when there is nothing to draw.

    Args:
        timeline: The operators in order, each with the tensors that live while it runs.
        sram_bytes: The whole arena, whose end holds what is kept for the run.
    """
    if not any(step["live"] for step in timeline):
        return None
    columns = len(timeline)
    planned = max(live["offset"] + live["bytes"] for step in timeline for live in step["live"])
    whole = max(planned, sram_bytes or 0)
    peak = max(range(columns), key=lambda i: (timeline[i]["bytes"], -i))
    blocks = []
    for (name, offset, size), (first, last) in _stays(timeline):
        where = f"operator {first}" if first == last else f"operators {first} to {last}"
        width, height = 100 * (last - first + 1) / columns, 100 * size / whole
        roomy = width >= 11 and height >= 6
        blocks.append(
            Block(
                x=100 * first / columns,
                y=100 - 100 * (offset + size) / whole,
                width=width,
                height=height,
                at_peak=first <= peak <= last,
                scratch=name.startswith(SCRATCH),
                title=f"{name}: {size:,} B at offset {offset:,}, {where}",
                label=kilobytes(size) if roomy else "",
            )
        )
    tail = whole - planned
    step = max(1, math.ceil(columns / 24))
    return ArenaPicture(
        blocks=tuple(blocks),
        columns=columns,
        peak_column=peak,
        peak_text=(
            f"Peak at operator {peak}, {timeline[peak]['op']}: {timeline[peak]['bytes']:,} B live"
            f" ({kilobytes(timeline[peak]['bytes'])})"
        ),
        planned_bytes=planned,
        tail=100 * tail / whole if tail else None,
        tail_text=f"kept for the whole run and set-up: {kilobytes(tail)}" if tail else "",
        ticks=tuple(
            (100 - 100 * t / whole, f"{t / 1024:,.4g}{GAP}KB") for t in linear_ticks(0, whole / 1024, 1024.0)
        ),
        column_ticks=tuple((100 * (i + 0.5) / columns, str(i)) for i in range(0, columns, step)),
    )


def _stays(
    timeline: Sequence[Mapping[str, Any]],
) -> list[tuple[tuple[str, int, int], tuple[int, int]]]:
    """Tensors (name, offset, bytes) with the first and last operator of each uninterrupted stay.

    Scratch lives for one operator; the next one's at the same place is another.
    """
    done = []
    live: dict[tuple[str, int, int], int] = {}
    for index, step in enumerate([*timeline, {"live": ()}]):
        now = {(str(t["name"]), t["offset"], t["bytes"]) for t in step["live"]}
        ended = [key for key in live if key not in now or key[0].startswith(SCRATCH)]
        done += [(key, (live.pop(key), index - 1)) for key in ended]
        for key in now:
            live.setdefault(key, index)
    return sorted(done, key=lambda stay: (stay[1], stay[0]))
