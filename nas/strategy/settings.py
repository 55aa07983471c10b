"""Settings of the search engine: a run takes the defaults, benchmarks vary them."""

from __future__ import annotations

from dataclasses import dataclass, replace

LONGER_SHARE = 0.35
"""Share of a time limit that is kept at least for finalists which may be trained for longer than in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How the engine searches. Each part of a record must be searched with the same settings to be repeatable.

    Attributes:
        reduction_factor: Of this many networks trained at a rung, one goes on to the next.
        turns: Proposals that take turns in what they look for.
        leaders: Of these, how many look for the most accurate network within the whole budget; the others for the
            front.
        random_first: Networks drawn at random before the surrogate is asked.
        large_first: How many of these are the largest that there is time for, by work and by weights in turn.
        full_share: Share of a time limit that a training in full may take.
        large_share: The same of the largest that are drawn first.
        short: A limit is short where so many trainings in full of a typical network would take longer on one worker;
            then the search is `hurried`.
        generation: Proposals that share their candidates.
        pool_size: Candidates drawn for a generation, which also looks at those of the generation before.
        pool_attempts: Draws to try when no candidate is new.
        most_waiting: Of the networks that may be promoted, only the latest so many are compared.
        cost_sample: Networks drawn to see between which costs random budgets lie.
        guided: Whether new networks are chosen by the surrogate, not at random.
        by_time: Whether a network's expected improvement is divided by its training time.
        leaders_by_time: The same of those that look for the most accurate network.
    """

    reduction_factor: int = 3
    turns: int = 3
    leaders: int = 1
    random_first: int = 6
    large_first: int = 0
    full_share: float = 0.25
    large_share: float = 0.25
    short: float = 8.5
    generation: int = 12
    pool_size: int = 64
    pool_attempts: int = 4
    most_waiting: int = 256
    cost_sample: int = 128
    guided: bool = True
    by_time: bool = True
    leaders_by_time: bool = True

    def ahead(self) -> SearchSettings:
        """Of a time limit that is to buy accuracy: finalists are trained for longer, so that large networks matter."""
        return replace(self, leaders=2, leaders_by_time=False, large_first=2, large_share=0.15)

    def hurried(self) -> SearchSettings:
        """Of so few trainings that all must serve the most accurate network, whatever they take."""
        return replace(self, leaders=self.turns, by_time=False, random_first=4, large_first=2, generation=4)
