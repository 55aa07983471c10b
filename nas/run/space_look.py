"""What the limits admit of one search space: networks drawn from it, and its ends."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.budget import Budget
from cost_models.errors import UserError
from nas.model.explanation import ExplainedSpace, LimitEffect, Recorded, Variant
from nas.model.statistics import wilson
from nas.run.setup import Job
from nas.run.warm_start import EarlierTraining
from nas.strategy.screening import Screen, Screened, descend
from search_spaces.choices import Choices
from search_spaces.lower import lower
from search_spaces.space import NoChoiceError, load_space

# What looks for an end of a space: changes to a network that is drawn, and the networks that they begin with. With the
# default's 2,000 that is for a smallest limit as much as a search tries before it says that nothing fits. For a largest
# capacity it is less, as there are more of these, and from the best alone, which came to 1 to 8 % more than from four.
_LEAST, _LARGEST = (0.5, 4), (0.3, 1)
# How bad a network is for one end of a space, by its need for each limit, MACs and weights; as `descend` takes it.
_Badness = Callable[[list[float], tuple[int, int]], tuple[float, ...]]


class _Pool:
    """All networks of one space that were costed."""

    def __init__(self, screen: Screen, rng: np.random.Generator) -> None:
        self._screen = screen
        self._rng = rng
        self.names = [name for name, _ in screen.budget.limits()]
        self.limits = [limit for _, limit in screen.budget.limits()]
        self.params: list[dict[str, Any]] = []
        self.needs: list[list[float]] = []  # one per limit; infinite where the target has no costs
        self.sizes: list[tuple[int, int]] = []  # MACs, weights
        self.closest: Screened | None = None

    def draw(self) -> None:
        self._add(Choices(rng=self._rng))

    def replay(self, params: dict[str, Any]) -> list[float]:
        """The need of a recorded network for each limit; it does not join the pool."""
        return self._needs(self._screen(Choices(params)))

    def fits(self) -> bool:
        """Whether any network that was seen does."""
        return self.closest is not None and self.closest.fits

    def _add(self, choices: Choices) -> None:
        screened = self._screen(choices)
        self.params.append(choices.params)
        self.needs.append(self._needs(screened))
        self.sizes.append(_sizes(screened))
        if self.closest is None or screened.excess < self.closest.excess:
            self.closest = screened

    def _needs(self, screened: Screened) -> list[float]:
        if screened.costs is None:
            return [math.inf] * len(self.names)
        judged = self._screen.budget.judged(screened.costs)
        return [math.inf if (value := judged[name]) is None else float(value) for name in self.names]

    def descend(self, badness: _Badness, changes: int, starts: int, stop: Callable[[], bool]) -> None:
        """Changes the best network for one end of the space again and again; all that is seen joins the pool."""

        def judge(choices: Choices) -> tuple[float, ...]:
            self._add(choices)
            return badness(self.needs[-1], self.sizes[-1])

        bad = [badness(needs, sizes) for needs, sizes in zip(self.needs, self.sizes)]
        known = list(zip(bad, self.params))
        descend(judge, known, rng=self._rng, changes=changes, starts=starts, stop=stop)


def _sizes(screened: Screened) -> tuple[int, int]:
    if screened.costs is None:
        return 0, 0
    tensors = lower(screened.candidate.narrow).tensors
    return screened.costs.macs, sum(tensor.data_bytes for tensor in tensors if tensor.dtype == "int8")


def look(
    job: Job, name: str, draws: int, seconds: float, known: Sequence[EarlierTraining] | None
) -> ExplainedSpace:
    """Draws from a space, descends to its ends, and judges all that was seen.

    Args:
        job: The run that is asked about.
        name: The space.
        draws: Random networks; changes of the best are in proportion.
        seconds: After this the rest is left out.
        known: Trainings of an earlier run of this space.

    Raises:
        UserError: The space cannot be loaded, or the trainings are of another one.
    """
    screen = Screen(
        space=load_space(name),
        input_shape=job.dataset.info.input_shape,
        classes=job.dataset.info.outputs,
        model=job.model,
        budget=job.budget,
    )
    pool = _Pool(screen, job.rng(f"explain {name}"))
    begin = time.monotonic()
    try:
        pool.draw()
    except UserError as error:
        return ExplainedSpace(space=name, refused=str(error))
    while len(pool.params) < draws and time.monotonic() < begin + 0.6 * seconds:
        pool.draw()
    drawn = len(pool.params)
    doublings = list(_doublings(pool.names))

    def late() -> bool:
        return time.monotonic() > begin + seconds

    def nearest(needs: list[float], sizes: tuple[int, int]) -> tuple[float, ...]:
        return (_excess(needs, pool.limits),)

    changes, starts = _LEAST
    pool.descend(nearest, round(draws * changes), starts, lambda: late() or pool.fits())
    for badness, (changes, starts) in _ends(dict(job.budget.limits()), doublings):
        pool.descend(badness, round(draws * changes), starts, late)
    needs = np.array(pool.needs)
    recorded = None if known is None else _replayed(pool, name, known)
    variants = tuple(
        _variant(job.budget, job, pool, needs, drawn, doubled, recorded) for doubled in doublings
    )
    closest = pool.closest
    missed = excess = None
    if variants[0].most_macs is None and closest is not None:
        worst = closest.worst
        missed = closest.refused if worst is None else str(worst)
        excess = None if worst is None else worst.excess
    return ExplainedSpace(
        space=name,
        drawn=drawn,
        uncosted=int(np.isinf(needs[:drawn]).any(axis=1).sum()),
        seen=len(pool.params),
        limits=tuple(_limit(pool, needs, drawn, index) for index in range(len(pool.names))),
        variants=variants,
        closest=missed,
        closest_excess=excess,
    )


def _doublings(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Nothing, each limit, all of them."""
    yield ()
    for name in names:
        yield (name,)
    if len(names) > 1:
        yield tuple(names)


def _ends(
    limits: Mapping[str, float], changes: Sequence[tuple[str, ...]]
) -> Iterator[tuple[_Badness, tuple[float, int]]]:
    """The ends of a space, and how much to look for each: least need of each limit, largest that fits.

    A network that breaks the other limits is judged by how far it does, so that the way leads to one that keeps them.

    Args:
        limits: The limits as given.
        changes: Which of them are doubled, for each largest capacity.
    """
    for place in range(len(limits)):

        def least(needs: list[float], sizes: tuple[int, int], place: int = place) -> tuple[float, ...]:
            excess = (
                need / limit for i, (need, limit) in enumerate(zip(needs, limits.values())) if i != place
            )
            return max([1.0, *excess]), needs[place]

        yield least, _LEAST
    for doubled in changes:
        wider = [limit * (2 if name in doubled else 1) for name, limit in limits.items()]
        for measure in (0, 1):

            def largest(
                needs: list[float], sizes: tuple[int, int], wider: list[float] = wider, measure: int = measure
            ) -> tuple[float, ...]:
                return max(1.0, _excess(needs, wider)), -sizes[measure]

            yield largest, _LARGEST


def _excess(needs: Sequence[float], limits: Sequence[float]) -> float:
    """The largest need relative to its limit."""
    return max(need / limit for need, limit in zip(needs, limits))


def _limit(pool: _Pool, needs: NDArray[np.float64], drawn: int, place: int) -> LimitEffect:
    limits = np.array(pool.limits)
    costed = needs[:drawn][np.isfinite(needs[:drawn]).all(axis=1)]
    broken = costed > limits
    over = broken[:, place]
    excess = costed[over, place] / limits[place] - 1
    others = np.delete(needs <= limits, place, axis=1).all(axis=1)
    least, any_ = needs[others, place], needs[:, place]
    return LimitEffect(
        resource=pool.names[place],
        limit=pool.limits[place],
        over=int(over.sum()),
        over_alone=int((over & (broken.sum(axis=1) == 1)).sum()),
        median_excess=float(statistics.median(excess)) if len(excess) else None,
        least=_smallest(least),
        least_of_any=_smallest(any_),
    )


def _smallest(values: NDArray[np.float64]) -> float | None:
    least = float(values.min()) if len(values) else math.inf
    return least if math.isfinite(least) else None


def _variant(
    budget: Budget,
    job: Job,
    pool: _Pool,
    needs: NDArray[np.float64],
    drawn: int,
    doubled: tuple[str, ...],
    recorded: Sequence[tuple[EarlierTraining, list[float]]] | None,
) -> Variant:
    limits = {name: limit * (2 if name in doubled else 1) for name, limit in budget.limits()}
    has = {"sram": job.target.usable_sram_bytes, "flash": job.target.usable_flash_bytes}
    wide = np.array(list(limits.values()))
    fits: NDArray[np.bool_] = np.all(needs <= wide, axis=1)
    fitting = int(fits[:drawn].sum())
    low, high = wilson(fitting, drawn)
    sizes = [size for size, kept in zip(pool.sizes, fits) if kept]
    return Variant(
        doubled=doubled,
        limits=limits,
        beyond=tuple(name for name in doubled if limits[name] > has.get(name, math.inf)),
        fitting=fitting,
        low=low,
        high=high,
        most_macs=max((macs for macs, _ in sizes), default=None),
        most_weights=max((weights for _, weights in sizes), default=None),
        recorded=None if recorded is None else _recorded(recorded, wide),
    )


def _replayed(
    pool: _Pool, space: str, trainings: Sequence[EarlierTraining]
) -> list[tuple[EarlierTraining, list[float]]]:
    try:
        return [(training, pool.replay(training.params)) for training in trainings]
    except (NoChoiceError, ValueError, UserError):
        raise UserError(
            f"The choices of the earlier run are not those that {space} asks for.",
            "The space has changed since; leave --warm-start out.",
        ) from None


def _recorded(
    recorded: Sequence[tuple[EarlierTraining, list[float]]], limits: NDArray[np.float64]
) -> Recorded:
    fitting = [
        training for training, needs in recorded if all(need <= limit for need, limit in zip(needs, limits))
    ]
    if not fitting:
        return Recorded(networks=0)
    best = min(fitting, key=lambda training: training.error)
    networks = {tuple(sorted(training.params.items())) for training in fitting}
    return Recorded(networks=len(networks), best=1.0 - best.error, steps=best.steps)
