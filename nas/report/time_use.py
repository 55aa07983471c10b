"""Where a run's time went: shares by stage, and what each worker did when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.model.result import RunSummary, TrialSummary
from nas.report.quantities import GAP, percent, seconds

WAITING = "waiting"
"""The stage in which a trial waits for its worker."""
_SLACK = 3.0
"""Percent of the run by which clocks of driver and workers may disagree."""
_STEPS = (
    0.1,
    0.5,
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1200,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One trial on a worker's line; positions in percent of the run."""

    x: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeUse:
    """Both views.

    Attributes:
        stages: Name, share of the busy time and text, the largest first.
        workers: Name, bars and busy share of the run.
        resumed: Whether the workers' lines are missing because the trials began on several clocks.
        ticks: Position in percent and text.
    """

    stages: tuple[tuple[str, float, str], ...]
    workers: tuple[tuple[str, tuple[Bar, ...], str], ...]
    resumed: bool
    ticks: tuple[tuple[float, str], ...]


def time_use(summary: RunSummary) -> TimeUse:
    """Sum the seconds of all trials by stage and lay out the workers' lines.

    Trials of a resumed run began on another clock; then there are no lines.
    """
    whole = max(float(summary.seconds), 1e-9)
    spent: defaultdict[str, float] = defaultdict(float)
    bars: defaultdict[str, list[Bar]] = defaultdict(list)
    for trial in summary.trials:
        stages = trial.seconds
        for stage, took in stages.items():
            spent[stage] += took
        work = {stage: took for stage, took in stages.items() if stage != WAITING}
        if trial.worker and trial.started is not None and any(work.values()):
            begun = trial.started + stages.get(WAITING, 0.0)
            bars[str(trial.worker)].append(_bar(trial, begun, work, whole))
    shares = _shares(spent, summary.time or {})
    ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    one_clock = all(map(_one_clock, bars.values()))
    return TimeUse(
        stages=tuple(
            (stage, share, f"{percent(share)}, {seconds(spent[stage])}" if stage in spent else percent(share))
            for stage, share in ranked
        ),
        workers=tuple((name, tuple(bars[name]), _busy(bars[name])) for name in sorted(bars))
        if one_clock
        else (),
        resumed=not one_clock,
        ticks=_ticks(whole),
    )


def _bar(trial: TrialSummary, begun: float, work: Mapping[str, float], whole: float) -> Bar:
    took = sum(work.values())
    parts = ", ".join(f"{stage} {seconds(s)}" for stage, s in work.items())
    return Bar(
        x=100 * begun / whole,
        width=100 * took / whole,
        kind="full" if trial.rung == "full" else str(trial.state),
        title=f"Trial {trial.number}: {seconds(took)} from {seconds(begun)} on ({parts})",
    )


def _one_clock(bars: Sequence[Bar]) -> bool:
    """Whether a worker's trials lie within the run and one after the other, a few percent aside."""
    end = overlap = 0.0
    for bar in sorted(bars, key=lambda bar: bar.x):
        overlap += max(0.0, min(end, bar.x + bar.width) - bar.x)
        end = max(end, bar.x + bar.width)
    return overlap <= _SLACK and end <= 100 + _SLACK


def _busy(bars: Sequence[Bar]) -> str:
    return f"{percent(min(1.0, sum(bar.width for bar in bars) / 100), 0)} busy"


def _shares(spent: Mapping[str, float], time: Mapping[str, Any]) -> dict[str, float]:
    """The run's own shares where it recorded them, else those of the trials' seconds."""
    if time.get("share"):
        return dict(time["share"])
    total = sum(spent.values())
    return {stage: took / total for stage, took in spent.items()} if total else {}


def _ticks(whole: float) -> tuple[tuple[float, str], ...]:
    """Ticks of the run's clock at round seconds, minutes or hours."""
    step = next((step for step in _STEPS if whole / step <= 7), whole / 5)
    times = [step * index for index in range(int(whole / step) + 1)]
    return tuple((100 * time / whole, _clock(time)) for time in times)


def _clock(time: float) -> str:
    if time < 60:
        return f"{time:.3g}{GAP}s"
    minutes, rest = divmod(round(time), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}{GAP}min"
    )
