"""How long trainings are expected to take, relative to each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.strategy.gaussian_process import Array
from nas.strategy.screening import Screened

_RATES = (0.3, 0.077, 2.1e-4, 1.1e-8)  # seconds, see `expected_seconds`


def expected_seconds(networks: Sequence[Screened], steps: int) -> Array:
    """About how long trainings take, relative to each other: what is measured would make a run unrepeatable.

    Start, then graphs by layer (two with channel pruning), then steps by layer and by multiplications.

    Source: fitted to the trainings of `scripts/record_search` on one CPU.
    """
    work = np.array([_work(one, steps) for one in networks])
    return np.asarray(work @ np.array(_RATES))


def _work(network: Screened, steps: int) -> tuple[float, ...]:
    costs = network.costs
    assert costs is not None
    kept = 1 - network.candidate.prune_ratio
    graphs = costs.ops * (1 if kept == 1 else 2)
    return 1.0, graphs, steps * costs.ops, steps * costs.macs / kept**2
