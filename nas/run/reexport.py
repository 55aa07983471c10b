"""A verified bundle of any model of a finished run: by name, or chosen by another policy, under other limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.bundle.layout import load_layout
from nas.run.reselect import Selection, reselect
from nas.run.stored_model import load_run_model

if TYPE_CHECKING:
    from nas.bundle import Bundle, Verification
    from nas.model.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Reexport:
    """An export from a finished run.

    Attributes:
        bundle: The bundle.
        verification: Its proof.
    """

    bundle: Bundle
    verification: Verification


def select(path: Path, *, policy: Policy | None, budget: str | None, target: str | None) -> Selection | None:
    """Another choice than the run's own, where one is asked for."""
    if policy is None and budget is None and target is None:
        return None
    return reselect(path, policy=policy, budget=budget, target=target)


def reexport(
    path: Path,
    out: Path,
    *,
    model: str | None = None,
    selection: Selection | None = None,
    format: str = "tflm",  # noqa: A002 - the command line's word
    name: str | None = None,
    trust_space: bool = False,
) -> Reexport:
    """Exports a model of a finished run and proves the bundle.

    Args:
        path: The run folder.
        out: The folder of the bundle, made or replaced.
        model: Trial number or beginning of a digest; None takes the selection's choice, or the run's.
        selection: Another choice than the run's, and whose target and limits hold.
        format: Layout of the bundle.
        name: Prefix of files and symbols; None takes the run's.
        trust_space: Run the code of a task that the run folder names.

    Raises:
        UserError: No such run, model or layout.
        BundleError: The bundle failed its verification; it stands in `out`.
    """
    from nas.bundle import export, verify

    load_layout(format)
    if model is None and selection is not None:
        model = str(selection.chosen.number)
    stored = load_run_model(
        path,
        model,
        name=name,
        target=None if selection is None else selection.target,
        budget=None if selection is None else selection.budget,
        trust_space=trust_space,
    )
    bundle = export(
        stored.model, target=stored.target, costs=stored.costs, out=out, format=format, budget=stored.budget
    )
    return Reexport(bundle=bundle, verification=verify(bundle))
