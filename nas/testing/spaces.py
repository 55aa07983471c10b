"""The contract of a search space: a pure function from choices, always the same ones, to networks that can be built."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas.testing.sentences import fail, reason, require
from search_spaces.choices import Choices

if TYPE_CHECKING:
    import numpy as np

    from search_spaces.arch import Shape
    from search_spaces.space import Candidate, SearchSpace


class _Asked(Choices):
    """Choices that remember how they were asked for."""

    def __init__(self, known: Mapping[str, Any] | None = None, *, rng: np.random.Generator) -> None:
        super().__init__(known, rng)
        self.asked: list[str] = []

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.asked.append(f"{name} ({low} to {high}, step {step}{', log' if log else ''})")
        return super().suggest_int(name, low, high, step=step, log=log)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        steps = "" if step is None else f", step {step:g}"
        self.asked.append(f"{name} ({low:g} to {high:g}{steps}{', log' if log else ''})")
        return super().suggest_float(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.asked.append(f"{name} ({', '.join(map(repr, choices))})")
        return super().suggest_categorical(name, choices)


def check_space(
    space: SearchSpace, input_shape: Shape = (32, 32, 3), classes: int = 10, *, draws: int = 12
) -> None:
    """Draws networks of a space: all can be built and costed, and follow from choices that are always the same ones.

    Args:
        space: What the file exports as SPACE.
        input_shape: Shape of a sample; call it again for each kind of input that the space takes.
        classes: Number of classes.
        draws: How many networks are drawn.

    Raises:
        AssertionError: The space breaks its contract.
    """
    import numpy as np

    from search_spaces.arch import ArchSpec
    from search_spaces.lower import lower
    from search_spaces.space import SearchSpace

    name = getattr(space, "name", None)
    require(
        isinstance(space, SearchSpace) and isinstance(name, str) and bool(name),
        "A search space needs a name and a build method.",
    )
    said = f"The search space {name}"
    first: list[str] = []
    for seed in range(draws):
        choices = _Asked(rng=np.random.default_rng(seed))
        network = _candidate(space, choices, input_shape, classes, said)
        again = _Asked(choices.params, rng=np.random.default_rng(seed + draws))
        same = _candidate(space, again, input_shape, classes, said)
        first = first or choices.asked
        for asked in (choices.asked, again.asked):
            require(
                asked == first,
                f"{said} does not always ask for the same choices: {_difference(first, asked)}.",
            )
        require(network == same, f"{said} gives two networks for the choices {choices.params}.")
        elements = math.prod(network.wide.input_shape)
        require(
            elements == math.prod(input_shape),
            f"{said} takes {elements:,} elements of a sample that has {math.prod(input_shape):,}.",
        )
        require(
            network.wide.output_shape == network.narrow.output_shape == (classes,),
            f"{said} ends in an output of {network.wide.output_shape} for {classes} classes.",
        )
        try:
            wide, narrow = lower(network.wide).macs, lower(network.narrow).macs
        except Exception as error:
            fail(f"{said} draws a network that cannot be costed: {reason(error)}", error)
        require(narrow <= wide, f"{said} draws a network that pruning makes larger.")
        try:
            back = (
                pickle.loads(pickle.dumps(network)) == network  # noqa: S301 - its own
                and ArchSpec.from_json(network.wide.to_json()) == network.wide
            )
        except Exception as error:
            fail(f"{said} draws a network that cannot be sent to a worker: {reason(error)}", error)
        require(back, f"{said} draws a network that comes back from pickle or JSON as another.")


def _candidate(
    space: SearchSpace, choices: Choices, input_shape: Shape, classes: int, said: str
) -> Candidate:
    from search_spaces.space import candidate

    try:
        return candidate(space, choices, input_shape=input_shape, classes=classes)
    except Exception as error:
        fail(f"{said} fails for the choices {choices.params}: {reason(error)}", error)


def _difference(first: Sequence[str], other: Sequence[str]) -> str:
    place = next(
        (i for i, (a, b) in enumerate(zip(first, other, strict=False)) if a != b), min(len(first), len(other))
    )
    here, there = (asked[place] if place < len(asked) else "nothing more" for asked in (first, other))
    return f"{here} for one network, {there} for another"
