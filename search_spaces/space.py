"""Search spaces: the protocol, the choices that they ask for, and how they are found by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, overload, runtime_checkable

from cost_models.errors import UserError, did_you_mean
from search_spaces.arch import ArchSpec, Shape
from search_spaces.channels import pruned
from search_spaces.users_code import exported, load_file, load_module, users_fault

PRUNE_RATIOS = (0.0, 0.25, 0.5)

Choice = None | bool | int | float | str


class NoChoiceError(KeyError):
    """A replay was asked for a choice that it does not hold: the space has changed since."""


class Suggest(Protocol):
    """Where choices come from; Optuna's `Trial`, `FixedTrial` and `FrozenTrial` are one as they stand."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    @overload
    def suggest_categorical(self, name: str, choices: Sequence[None]) -> None: ...
    @overload
    def suggest_categorical(self, name: str, choices: Sequence[bool]) -> bool: ...
    @overload
    def suggest_categorical(self, name: str, choices: Sequence[int]) -> int: ...
    @overload
    def suggest_categorical(self, name: str, choices: Sequence[float]) -> float: ...
    @overload
    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str: ...
    @overload
    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Choice: ...


@runtime_checkable
class SearchSpace(Protocol):
    """A pure function from choices to one network.

    For one `input_shape` the choices asked are always the same ones, in the same order and ranges, whatever the
    answers: samplers then see one box of fixed dimension. Every answer gives a network that can be built.
    """

    @property
    def name(self) -> str: ...

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        """Ask `trial` for choices and draw the network they name.

        Args:
            trial: Where choices come from.
            input_shape: Shape of one example as the task has it: an image (height, width, channels), a signal
                (time, channels) or a vector (n,). The spec's own `input_shape` may differ (a signal becomes
                (time, 1, channels)), but holds the same elements in the same order.
            classes: Number of outputs, as logits.

        Raises:
            UserError: The space has no network for this input.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A proposed network: the network to train, and the share of its channels to prune afterwards.

    Attributes:
        wide: The network that is trained first.
        prune_ratio: Share of each channel group to remove.
        narrow: What is left, a pure function of the two. This one is judged, fine-tuned and exported.
        front_end: What makes its input, where that is searched too; the same network behind another is another.
    """

    wide: ArchSpec
    prune_ratio: float
    narrow: ArchSpec
    front_end: str | None = None


def candidate(space: SearchSpace, trial: Suggest, *, input_shape: Shape, classes: int) -> Candidate:
    """Ask for a network of `space` and for its prune ratio (the choice `prune_ratio`).

    Raises:
        UserError: The space has no network for this input, or its code fails.
    """
    try:
        wide = space.build(trial, input_shape=input_shape, classes=classes)
    except (UserError, NoChoiceError):
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"The search space {space.name} fails for input {input_shape}: {users_fault(error, space.build)}.",
            "Each answer to its choices must give a network that can be built.",
        ) from error
    if not isinstance(wide, ArchSpec):
        raise UserError(
            f"The build method of the search space {space.name} returns {type(wide).__name__}.",
            "It must return an ArchSpec, as Sketch.spec() makes it.",
        )
    ratio = trial.suggest_categorical("prune_ratio", PRUNE_RATIOS)
    return Candidate(wide=wide, prune_ratio=ratio, narrow=pruned(wide, ratio))


def list_spaces() -> tuple[str, ...]:
    """Names of the spaces that come with the package."""
    folder = Path(__file__).parent / "spaces"
    return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))


def load_space(name: str) -> SearchSpace:
    """Find a space: a name from `list_spaces`, a path to a Python file, or `package.module`.

    Raises:
        UserError: There is no such space, or the module exports no `SPACE`.
    """
    if name in list_spaces():
        module = importlib.import_module(f"search_spaces.spaces.{name}")
    elif name.endswith(".py"):
        module = load_file(Path(name), "search space")
    elif "." in name and all(part.isidentifier() for part in name.split(".")):
        module = load_module(name, "search space")
    else:
        raise UserError(f"There is no search space {name!r}.", did_you_mean(name, list_spaces()))
    space = exported(module, "SPACE", "search space")
    if not isinstance(space, SearchSpace):
        raise UserError(
            f"{name} exports no search space.", "It needs SPACE = an object with a name and a build method."
        )
    return space
