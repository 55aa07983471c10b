"""What the limits admit of search spaces, as data: what `nas-run --explain` prints, and its page is made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nas.model.policy import MetricName


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitEffect:
    """The effect of one limit on a space.

    Attributes:
        resource: What it limits.
        limit: Its value; bytes, microseconds, microjoules or a count.
        over: Networks drawn that break it.
        over_alone: Those of them that break no other limit.
        median_excess: By how much the median of them does, relative to the limit; None where none does.
        least: The smallest limit with which a network was found that keeps all others; None where none was.
        least_of_any: The smallest need of any network that was found.
    """

    resource: str
    limit: float
    over: int
    over_alone: int
    median_excess: float | None
    least: float | None
    least_of_any: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What an earlier run measured of the networks that fit.

    Attributes:
        networks: How many of its trained networks fit.
        best: The best recorded int8 validation value of them; None where none fits.
        steps: Training steps of the best.
    """

    networks: int
    best: float | None = None
    steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A space under the limits as given, or with some doubled.

    Attributes:
        doubled: The limits that are.
        limits: All of them.
        beyond: Those that are then more than the target has.
        fitting: Networks drawn that fit.
        low: Lower end of the 95 % interval of their share.
        high: Upper end of it.
        most_macs: Of the networks found that fit; None where none does.
        most_weights: The same; int8 weights, without biases.
        recorded: From an earlier run; None without one of this space.
    """

    doubled: tuple[str, ...]
    limits: dict[str, float]
    beyond: tuple[str, ...]
    fitting: int
    low: float
    high: float
    most_macs: int | None
    most_weights: int | None
    recorded: Recorded | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedSpace:
    """One space under the limits.

    Attributes:
        space: Its name.
        refused: Why it has no network for this input; the rest is empty then.
        drawn: Networks drawn at random: what shares are of.
        uncosted: Those of them that the target has no costs for.
        seen: All networks that were costed: the ends are of these.
        limits: The effect of each limit.
        variants: As given, each limit doubled, all doubled.
        closest: What the network nearest to fitting breaks worst, in words, where none fits.
        closest_excess: By how much; None where the target has no costs for any.
    """

    space: str
    refused: str | None = None
    drawn: int = 0
    uncosted: int = 0
    seen: int = 0
    limits: tuple[LimitEffect, ...] = ()
    variants: tuple[Variant, ...] = ()
    closest: str | None = None
    closest_excess: float | None = None

    @property
    def given(self) -> Variant:
        """The space under the limits as given."""
        return self.variants[0]

    @property
    def binding(self) -> LimitEffect | None:
        """The limit that most networks break; None where all fit."""
        most = max(self.limits, key=lambda limit: (limit.over, limit.over_alone), default=None)
        return most if most is not None and most.over else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An earlier run whose trainings were looked up.

    Attributes:
        run: Its folder.
        space: What it searched.
        metric: What its values are of.
        trainings: How many of them ended.
    """

    run: str
    space: str
    metric: MetricName
    trainings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedTask:
    """What the networks would learn.

    Attributes:
        classes: How many; 0 of numbers.
        learned: The same in words.
    """

    name: str
    input_shape: tuple[int, ...]
    classes: int
    learned: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedTarget:
    """The chip.

    Attributes:
        title: What people call it.
        basis: What its cycles rest on, "measured", "class" or "bound"; None where they are not known.
    """

    name: str
    title: str
    basis: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a budget admits of search spaces.

    Attributes:
        budget: The limits by resource.
        certain: Whether they are held by the upper ends of intervals.
        notes: What was changed about them.
        seed: Of the networks drawn.
        seconds: What it took.
        record: The earlier run of `--warm-start`.
        spaces: An entry for each.
    """

    task: ExplainedTask
    target: ExplainedTarget
    budget: dict[str, float]
    certain: bool
    notes: tuple[str, ...]
    seed: int
    seconds: float
    record: Record | None
    spaces: tuple[ExplainedSpace, ...]

    @property
    def fits(self) -> bool:
        """Whether a network that fits was found in any of the spaces."""
        return any(space.given.most_macs is not None for space in self.open_spaces)

    @property
    def open_spaces(self) -> list[ExplainedSpace]:
        """The spaces that have networks for this input."""
        return [space for space in self.spaces if space.refused is None]

    def as_json(self) -> dict[str, Any]:
        """Plain values: `nas-run --explain --json`."""
        content = {"schema": 1, **asdict(self)}
        for entry, space in zip(content["spaces"], self.spaces, strict=True):
            entry["binding"] = space.binding.resource if space.binding else None
        return content
