"""By how much the validation figure of a network that was chosen by it is expected to be too good.

The best of several figures of the same samples is partly luck: its noise was chosen along with its worth.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DRAWS = 2000
_ROUNDS = 4  # of matching; more of them fit the noise of the figures
_LEAST_GROUPS = 4  # of which a variance between groups is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimism:
    """The expected optimism of the chosen network's validation figure.

    Attributes:
        value: The part of the metric that is luck: validation figure less true value, expected.
        networks: Among how many full trainings the network was chosen.
        paired: Whether it is known which samples each network answered rightly. Otherwise their errors were taken as
            independent, which they are not, and the value is an upper bound.
        groups: Groups of validation samples that noise was told by; 0 where it was told by samples.
        folds: In how many folds the networks were judged, whose figure it then is of; 0 by the validation part.
    """

    value: float
    networks: int
    paired: bool
    groups: int = 0
    folds: int = 0


def expected_optimism(values: Array, loadings: Array, choose: Callable[[Array], NDArray[np.int64]]) -> float:
    """The figure of the chosen network less its true value, expected over samples like those of the validation part.

    True values are not the figures: these are further apart by their noise. So values are sought that with noise
    added come to such figures as were seen, rank by rank, beginning with the figures drawn together as far as the
    variance of their noise says (empirical Bayes). Noise that all networks share moves no choice and is left out.

    Source: B. Efron, Tweedie's Formula and Selection Bias, JASA 106 (2011), 1602-1614, for why the figures' own spread
    says how much of the best is luck.

    Args:
        values: The figures. Shape: (m,).
        loadings: What each independent source of noise, of variance 1, adds to each figure. Shape: (m, k).
        choose: Index of the network that is chosen by given figures. Shape: (draws, m) -> (draws,).
    """
    count = len(values)
    if count < 2:
        return 0.0
    apart = loadings - loadings.mean(axis=0)
    covariance = apart @ apart.T
    noise = float(np.trace(covariance)) / (count - 1)
    spread = float(values.var(ddof=1))
    if noise == 0.0:
        return 0.0
    variances, axes = np.linalg.eigh(covariance)
    normal = np.random.default_rng(0).standard_normal((_DRAWS, count))
    drawn = normal @ (axes * np.sqrt(np.maximum(variances, 0.0))).T
    order = np.argsort(values, kind="stable")
    seen = values[order]
    share = np.sqrt(max(0.0, 1.0 - noise / spread)) if spread > 0 else 0.0
    true = seen.mean() + share * (seen - seen.mean())
    for _ in range(_ROUNDS):
        true = _rising(true + seen - np.sort(true + drawn[:, order], axis=1).mean(axis=0))
    placed = np.empty(count)
    placed[order] = true
    figures = placed + drawn
    chosen = choose(figures)
    return float((figures[np.arange(_DRAWS), chosen] - placed[chosen]).mean())


def _rising(values: Array) -> Array:
    """The nearest values that nowhere fall: neighbours that do are pooled."""
    pools: list[tuple[float, int]] = []
    for value in values.tolist():
        mean, size = value, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean, size = (mean * size + other * others) / (size + others), size + others
        pools.append((mean, size))
    return np.concatenate([np.full(size, mean) for mean, size in pools])


def paired_loadings(
    hits: NDArray[np.bool_],
    labels: NDArray[np.int64],
    groups: NDArray[np.generic] | None,
    errors: Array,
    *,
    by_class: bool,
) -> tuple[Array, int]:
    """Loadings of the samples, or groups of them, on the figures of networks that answered the same samples.

    Args:
        hits: Whether each network answered each sample rightly. Shape: (m, n).
        labels: The class of each sample. Shape: (n,).
        groups: The subject of each sample: those of one are no independent looks. Shape: (n,).
        errors: The standard error of each figure by samples. Shape: (m,).
        by_class: Whether classes count alike, whatever their number of samples.

    Returns:
        The loadings, and how many groups they are of; 0 where they are of samples.
    """
    right = hits.astype(np.float64)
    if by_class:
        _, kinds = np.unique(labels, return_inverse=True)
        sizes = np.bincount(kinds)
        recalls = np.stack([np.bincount(kinds, row) / sizes for row in right])
        off = (right - recalls[:, kinds]) / (len(sizes) * sizes[kinds])
    else:
        off = (right - right.mean(axis=1, keepdims=True)) / right.shape[1]
    whole = np.sqrt(np.square(off).sum(axis=1))
    off *= np.divide(errors, whole, out=np.zeros_like(whole), where=whole > 0)[:, None]
    if groups is None:
        return off, 0
    names, members = np.unique(groups, return_inverse=True)
    if len(names) < _LEAST_GROUPS:
        return off, 0
    together = np.stack([np.bincount(members, row, len(names)) for row in off])
    return together * np.sqrt(len(names) / (len(names) - 1)), len(names)


def packed(hits: NDArray[np.bool_]) -> str:
    """Which samples were answered rightly, as text for a record."""
    return base64.b64encode(np.packbits(hits).tobytes()).decode("ascii")


def unpacked(text: str, samples: int) -> NDArray[np.bool_] | None:
    """The inverse of `packed`; None where it is not of so many samples."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(content) != (samples + 7) // 8:
        return None
    return np.unpackbits(np.frombuffer(content, np.uint8), count=samples).astype(np.bool_)


def optimism_from_json(content: object) -> Optimism | None:
    """What a result or a manifest says of it; None where it says nothing, or nothing that can be."""
    if not isinstance(content, dict):
        return None
    value, networks, groups, folds = (content.get(name) for name in ("value", "networks", "groups", "folds"))
    if not isinstance(value, (int, float)) or not isinstance(networks, int) or not 0 <= value < 100:
        return None
    return Optimism(
        value=float(value),
        networks=networks,
        paired=content.get("paired") is True,
        groups=groups if isinstance(groups, int) else 0,
        folds=folds if isinstance(folds, int) else 0,
    )


def optimism_text(optimism: Optimism) -> str:
    """The expected optimism as the end of a sentence about the validation figure."""
    if optimism.networks < 2:
        return "it was the only one to choose from, so that the choice made the figure no better"
    points = 100 * optimism.value
    told = "less than 0.1" if points < 0.1 else f"{'' if optimism.paired else 'at most '}{points:.1f}"
    by = f", as {optimism.groups} groups differ" if optimism.groups else ""
    return (
        f"chosen among {optimism.networks} trainings judged by the same samples, its figure is expected to be {told}"
        f" points too good{by}"
    )
