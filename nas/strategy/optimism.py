"""The expected optimism of a run's choice, from its records and by its policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.model.metrics import CLASS_METRICS
from nas.model.optimism import Array, Optimism, expected_optimism, paired_loadings, unpacked
from nas.model.policy import Policy
from nas.model.records import TrialRecord
from nas.model.trained import Accuracy
from nas.strategy.objectives import SRAM, WORK
from nas.strategy.pareto import chosen_from, costs_of, near, of_each_network, standard_error

_MOST = 300  # networks; the best of more


def choice_optimism(
    records: Iterable[TrialRecord],
    policy: Policy,
    *,
    labels: NDArray[Any],
    groups: NDArray[np.generic] | None = None,
) -> Optimism | None:
    """By how much the validation figure of what the policy chooses is expected to be too good.

    It is that of the choice among full trainings. The short trainings that decided which networks these are were
    judged by the same samples, and the surrogate learned from them: that is not in it.

    Args:
        records: All trials.
        policy: How the network is chosen.
        labels: Of the validation samples, or of those of all folds where finalists were judged in folds. Shape: (n,)
            or (n, k).
        groups: Their groups, where they are known. Shape: (n,).

    Returns:
        None where no network was trained, or where the noise of the figures is not known.
    """
    standing = of_each_network(record for record in records if record.retrains is None)
    judged = sorted(chosen_from(standing), key=lambda pair: -pair[1].objective)[:_MOST]
    # The cheapest first, so that it is taken among equals.
    cheap = SRAM if policy == "smallest" else WORK
    judged.sort(key=lambda pair: (cheap.read(costs_of(pair[0])), pair[0].number))
    accuracies = [accuracy for _, accuracy in judged]
    if not accuracies or any(not _has_error(accuracy) for accuracy in accuracies):
        return None
    values = np.array([accuracy.objective for accuracy in accuracies])
    errors = np.array([standard_error(accuracy) for accuracy in accuracies])
    hits = _hits(accuracies, len(labels))
    counted = 0
    if hits is None:
        # No figures are noisier than they differ.
        most = values.std(ddof=1) / np.sqrt(np.square(errors).mean()) if len(values) > 1 else 1.0
        loadings = np.diag(errors * min(1.0, most))
    elif hits.all():
        return None  # nothing tells how many errors there would be among other samples
    else:
        by_class = accuracies[0].metric != "accuracy"
        loadings, counted = paired_loadings(hits, labels, groups, errors, by_class=by_class)
    slack = near(accuracies[int(values.argmax())], policy)

    def choose(figures: Array) -> NDArray[np.int64]:
        """The policy's choice; the networks are ordered by cost."""
        return np.asarray(np.argmax(figures >= figures.max(axis=1, keepdims=True) - slack, axis=1), np.int64)

    return Optimism(
        value=max(0.0, expected_optimism(values, loadings, choose)),
        networks=len(judged),
        paired=hits is not None,
        groups=counted,
    )


def _has_error(accuracy: Accuracy) -> bool:
    """Whether the standard error of a figure is known."""
    return accuracy.metric in CLASS_METRICS or accuracy.interval is not None


def _hits(accuracies: Sequence[Accuracy], samples: int) -> NDArray[np.bool_] | None:
    """Which samples each network answered rightly; None where that is not known of all. Shape: (m, n)."""
    rows = [unpacked(accuracy.hits, samples) if accuracy.hits else None for accuracy in accuracies]
    known = [row for row in rows if row is not None]
    return np.stack(known) if len(known) == len(rows) else None
