"""A board's calibrated rates, which turn its core's ideal cycles into the board's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# measured: by cycles of that chip (or of one that shares its core, clock and flash); class: by the boards of its core;
# bound: by instruction counts and what is published of the core's pipeline.
Basis = Literal["measured", "class", "bound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The `[rates]` section of a target; a target without it takes its core's class.

    An operator's cycles on the board are

        scale(kind) * ideal cycles + cycles_per_weight_byte * fetched weight bytes + cycles_per_operator

    where the ideal cycles come from the operator's instruction mix on the core with memory that never waits,
    and a weight counts as often as the kernel fetches it. A model's cycles are the sum over its operators.

    Attributes:
        scale: Board cycles per ideal cycle of the core; 1.0 where memory never waits.
        scale_by_kind: `(operator kind, scale)` pairs where one kind was seen to differ; they replace `scale`.
        cycles_per_operator: Fixed cost of one operator call beyond what its instructions explain, in cycles.
        cycles_per_weight_byte: What slow memory adds to fetching weights, in cycles per byte fetched: a
            convolution fetches each weight once for every pair of output positions.
        spread_model: Standard deviation of the error that all operators of a model share, as a natural
            logarithm (0.05 is about 5 %).
        spread_operator: Standard deviation of the error that each operator has on its own, as a natural
            logarithm. Errors of this kind average out over a model's operators, those of `spread_model` do
            not; the 90 % interval of a sum is built from both.
        source: Where the measurements come from, for the report.
        basis: What the rates rest on.
    """

    scale: float
    scale_by_kind: tuple[tuple[str, float], ...] = ()
    cycles_per_operator: float = 0.0
    cycles_per_weight_byte: float = 0.0
    spread_model: float
    spread_operator: float
    source: str
    basis: Basis = "measured"

    def scale_of(self, kind: str) -> float:
        """Board cycles per ideal cycle of one operator kind."""
        for name, scale in self.scale_by_kind:
            if name == kind:
                return scale
        return self.scale
