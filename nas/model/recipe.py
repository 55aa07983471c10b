"""The training recipe: each number that decides how a network is trained; in requests, and in models' provenance."""

from __future__ import annotations

from dataclasses import dataclass

TURNED_DEGREES = 30.0
"""The largest angle by which a sample's triples of axes are turned, where a user declares some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """How a network is trained; rates are of AdamW.

    Attributes:
        batch: Samples a batch, an eighth of the data at the most.
        peak_rate: Highest learning rate; a short warm-up leads to it, a cosine away from it.
        weight_decay: Of AdamW.
        label_smoothing: Share of the target that is spread over all classes.
        gain: Standard deviation of a random factor on each signal.
        masked: Widest stretch of a recording's frames, and of its bands, that is hidden, as a share of them.
        wide_share: Share of the steps before channels are pruned.
        narrow_rate: Peak rate after that, as a share of `peak_rate`.
        sparse_share: Share of the steps with magnitude pruning of weights.
        sparse_rate: Peak rate then, as a share of `peak_rate`.
        aware_share: Steps of training under int8's rounding where that is needed, as a share of the steps before.
        aware_rate: Peak rate then, as a share of `peak_rate`.
    """

    batch: int = 64
    peak_rate: float = 0.015
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    gain: float = 0.1
    masked: float = 0.25
    wide_share: float = 0.6
    narrow_rate: float = 0.5
    sparse_share: float = 0.3
    sparse_rate: float = 0.25
    aware_share: float = 0.25
    aware_rate: float = 0.1
