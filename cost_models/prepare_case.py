"""An operator as the rules of `prepare_checks` and `prepare_layout` ask about it, and the faults that several find."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cost_models.graph import Operator, Tensor

Shape = tuple[int, ...]
# Scale and zero point of a tensor with one of each; None where it has none or one per channel.
Quantization = Callable[[int], tuple[float, int] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One operator with all that a rule may ask.

    Attributes:
        op: The operator.
        tensors: All tensors of the graph.
        scalars: Scalar options by name, of operators whose options cost nothing.
        quantization: Scale and zero point by tensor index.
    """

    op: Operator
    tensors: Sequence[Tensor]
    scalars: Mapping[str, int | float]
    quantization: Quantization

    def input(self, position: int) -> Tensor:
        return self.tensors[self.op.inputs[position]]

    @property
    def output(self) -> Tensor:
        return self.tensors[self.op.outputs[0]]

    def values(self, position: int) -> tuple[int, ...] | None:
        """The integers of a constant input that the kernel reads in Prepare."""
        if position >= len(self.op.inputs) or self.op.inputs[position] < 0:
            return None
        return self.tensors[self.op.inputs[position]].values


# A rule says what is wrong, or nothing.
Rule = Callable[[Case], str | None]
# By operator kind: the least and the most inputs, and the rule.
Rules = Mapping[str, tuple[tuple[int, int], Rule]]


def cannot_make(shape: Shape, source: Shape) -> str:
    """The refusal of an output whose shape does not follow from that of an input."""
    return f"cannot make {list(shape)} of {list(source)}"


def made(case: Case, want: Shape) -> str | None:
    """The refusal of an output of another shape than the kernel writes."""
    return None if case.output.shape == want else cannot_make(case.output.shape, case.input(0).shape)


def retyped(case: Case) -> str | None:
    """The refusal of an output of another type than its input's."""
    if case.input(0).dtype == case.output.dtype:
        return None
    return f"makes {case.output.dtype} of {case.input(0).dtype}"


def too_deep(shape: Shape, most: int) -> str | None:
    """The refusal of a shape of more dimensions than the kernel walks."""
    return f"has {len(shape)} dimensions, TFLM takes at most {most}" if len(shape) > most else None
