"""What the chip runs: a TFLite graph, reduced to what decides its cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Padding = Literal["SAME", "VALID"]
Activation = Literal["NONE", "RELU", "RELU6", "RELU_N1_TO_1", "TANH", "SIGN_BIT"]

ITEM_BYTES = {
    "int8": 1,
    "uint8": 1,
    "bool": 1,
    "int16": 2,
    "float16": 2,
    "int32": 4,
    "uint32": 4,
    "float32": 4,
    "int64": 8,
    "uint64": 8,
    "float64": 8,
    "resource": 4,
}

# Inputs whose values the kernels read in Prepare (axes, shapes, paddings): they shape the work, so the
# graph keeps them. Weights and biases stay out: no cost depends on them.
STRUCTURAL_INPUTS: dict[str, tuple[int, ...]] = {
    "MEAN": (1,),
    "SUM": (1,),
    "REDUCE_MAX": (1,),
    "RESHAPE": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "TRANSPOSE": (1,),
    "STRIDED_SLICE": (1, 2, 3),
    "SLICE": (1, 2),
    "EXPAND_DIMS": (1,),
    "SPLIT": (0,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "RESIZE_BILINEAR": (1,),
    "ARG_MAX": (1,),
    "ARG_MIN": (1,),
    "BATCH_TO_SPACE_ND": (1, 2),
    "GATHER": (1,),
    "MIRROR_PAD": (1,),
    "REDUCE_MIN": (1,),
    "SPACE_TO_BATCH_ND": (1, 2),
    "SPLIT_V": (1, 2),
    "TRANSPOSE_CONV": (0,),
    "BROADCAST_TO": (1,),
    "CUMSUM": (1,),
    "FILL": (0,),
    "REDUCE_ALL": (1,),
    "REVERSE_V2": (1,),
    # Where each band begins in the spectrum and in its weights, and how many of them it takes.
    "SignalFilterBank": (3, 4, 5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TypicalValues:
    """Numbers that the elements of a quantized tensor typically are.

    Attributes:
        numbers: As many for every tensor, each for as many elements.
        scale: What numbers differ by from one integer to the next.
    """

    numbers: tuple[float, ...]
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor of the flatbuffer.

    Attributes:
        shape: Dimensions.
        dtype: Element type, by its numpy name.
        data_bytes: Length of its constant data in the flatbuffer; 0 for an activation.
        scales: Number of quantization scales stored with it (0: not quantized, >1: per channel).
        zero_points: Number of zero points stored with it.
        quantized_dimension: The axis of per-channel scales.
        values: The integers of a constant that a kernel reads in Prepare, see `STRUCTURAL_INPUTS`.
        is_variable: State kept between invocations.
        typical: Where the file says so, what numbers its elements typically are: branches of kernels go by them.
            A graph that is predicted before training does not know them, and equals the file's without.
    """

    shape: tuple[int, ...]
    dtype: str = "int8"
    data_bytes: int = 0
    scales: int = 0
    zero_points: int = 0
    quantized_dimension: int = 0
    values: tuple[int, ...] | None = None
    is_variable: bool = False
    typical: TypicalValues | None = field(default=None, compare=False, repr=False)

    @property
    def is_constant(self) -> bool:
        return self.data_bytes > 0

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes of the tensor's elements when it stands in memory."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2DOptions:
    padding: Padding
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    activation: Activation = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseConv2DOptions:
    padding: Padding
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    depth_multiplier: int = 1
    activation: Activation = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposeConv2DOptions:
    padding: Padding
    stride_h: int = 1
    stride_w: int = 1
    activation: Activation = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool2DOptions:
    padding: Padding
    stride_h: int
    stride_w: int
    filter_h: int
    filter_w: int
    activation: Activation = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class FullyConnectedOptions:
    activation: Activation = "NONE"
    keep_num_dims: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementwiseOptions:
    """ADD, SUB and MUL."""

    activation: Activation = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcatenationOptions:
    axis: int
    activation: Activation = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReducerOptions:
    """MEAN and SUM; the axes are a constant input."""

    keep_dims: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxOptions:
    beta: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedOptions:
    """Integers by their names.

    Attributes:
        values: Names and integers, in the order in which the kernel knows them.
    """

    values: tuple[tuple[str, int], ...] = ()

    def __getitem__(self, name: str) -> int:
        return next(value for known, value in self.values if known == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalOptions(NamedOptions):
    """TFLM's own signal operators (SignalRfft, ...), in the order of the names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelOptions(NamedOptions):
    """Operators whose memory depends on a few integers: a rank, a transposition, subgraphs, a resource variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptions:
    """Operators whose options no cost depends on (RESHAPE, LOGISTIC, PAD, ...)."""


Options = (
    Conv2DOptions
    | DepthwiseConv2DOptions
    | TransposeConv2DOptions
    | Pool2DOptions
    | FullyConnectedOptions
    | ElementwiseOptions
    | ConcatenationOptions
    | ReducerOptions
    | SoftmaxOptions
    | SignalOptions
    | KernelOptions
    | NoOptions
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator; `inputs` and `outputs` index `OpGraph.tensors`, -1 is an absent optional input."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options = NoOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpGraph:
    """The subgraph of a model that an inference runs, operators in execution order, and those that it calls.

    Two producers make it: `search_spaces.lower` predicts it from an `ArchSpec`, `cost_models.tflite_graph`
    reads it from .tflite bytes. For the same network both are equal, tensor by tensor. A front end's is made by hand
    and written by `cost_models.tflite_writer`.

    Attributes:
        tensors: Its tensors.
        operators: What it runs.
        inputs: Tensors that the caller fills.
        outputs: Tensors that the caller reads.
        others: Subgraphs 1, 2, ... of the file, which CALL_ONCE, IF and WHILE name; they have none of their own.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    others: tuple[OpGraph, ...] = ()

    @property
    def subgraphs(self) -> tuple[OpGraph, ...]:
        """All subgraphs in the order of the file, this one first."""
        return (self, *self.others)

    def kinds(self) -> tuple[str, ...]:
        """Operator kinds in order of first use, each once, those of all subgraphs."""
        return tuple(dict.fromkeys(op.kind for part in self.subgraphs for op in part.operators))

    def op_macs(self) -> Iterator[int]:
        """Multiply-accumulates of each operator, in execution order."""
        for op in self.operators:
            yield macs(op, self.tensors)

    @property
    def macs(self) -> int:
        return sum(self.op_macs())


def macs(op: Operator, tensors: tuple[Tensor, ...]) -> int:
    """Multiply-accumulates of one operator, padding counted as work as the field does.

    Of a recurrent operator they are the products of inputs and state with its weights, in every step of time.
    """
    match op.kind:
        case "CONV_2D":
            _, height, width, depth = tensors[op.inputs[1]].shape
            return tensors[op.outputs[0]].elements * height * width * depth
        case "DEPTHWISE_CONV_2D":
            _, height, width, _ = tensors[op.inputs[1]].shape
            return tensors[op.outputs[0]].elements * height * width
        case "TRANSPOSE_CONV":
            channels, height, width, _ = tensors[op.inputs[1]].shape
            return tensors[op.inputs[2]].elements * channels * height * width
        case "FULLY_CONNECTED":
            return tensors[op.outputs[0]].elements * tensors[op.inputs[1]].shape[-1]
        case "BATCH_MATMUL":
            turned = isinstance(op.options, KernelOptions) and op.options["adj_x"]
            return tensors[op.outputs[0]].elements * tensors[op.inputs[0]].shape[-2 if turned else -1]
        case "SVDF":
            batch, depth = tensors[op.inputs[0]].shape
            filters, memory = tensors[op.inputs[2]].shape
            return batch * filters * (depth + memory)
        case "UNIDIRECTIONAL_SEQUENCE_LSTM":
            output = tensors[op.outputs[0]]
            return 4 * output.elements * (tensors[op.inputs[0]].shape[-1] + output.shape[-1])
        case _:
            return 0
