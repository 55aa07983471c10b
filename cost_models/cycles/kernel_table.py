"""Operators from the rows of the measured and published tables, which give their shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cost_models.graph import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    NoOptions,
    Operator,
    OpGraph,
    Options,
    Padding,
    Pool2DOptions,
    ReducerOptions,
    SoftmaxOptions,
    Tensor,
)

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def operator_of(row: Mapping[str, str]) -> tuple[Operator, tuple[Tensor, ...]]:
    """One operator and its tensors, from the columns `op`, `input_shape`, `filter_shape`, ..."""
    kind = row["op"]
    source, output = Tensor(shape=_shape(row["input_shape"])), Tensor(shape=_shape(row["output_shape"]))
    options = _options(row, source, output)
    if kind in ("ADD", "MUL"):
        return Operator(kind=kind, inputs=(0, 1), outputs=(2,), options=options), (source, source, output)
    if kind == "PAD":
        # The filter's place holds what is padded above and to the left.
        above, left = _shape(row["filter_shape"])
        below = output.shape[1] - source.shape[1] - above
        right = output.shape[2] - source.shape[2] - left
        amounts = Tensor(shape=(4, 2), dtype="int32", values=(0, 0, above, below, left, right, 0, 0))
        return Operator(kind=kind, inputs=(0, 1), outputs=(2,), options=options), (source, amounts, output)
    if kind == "MEAN" and row.get("filter_shape"):
        # The filter's place holds the axes.
        axes = _shape(row["filter_shape"])
        reduced = Tensor(shape=(len(axes),), dtype="int32", values=axes)
        return Operator(kind=kind, inputs=(0, 1), outputs=(2,), options=options), (source, reduced, output)
    if kind in _WEIGHTED:
        scales = 1 if row.get("per_channel") == "0" else output.shape[-1]
        weights = Tensor(shape=_shape(row["filter_shape"]), data_bytes=1, scales=scales)
        bias = Tensor(shape=(output.shape[-1],), dtype="int32", data_bytes=4)
        inputs = (0, 1, 3) if row.get("bias", "1") == "1" else (0, 1, -1)
        op = Operator(kind=kind, inputs=inputs, outputs=(2,), options=options)
        return op, (source, weights, output, bias)
    return Operator(kind=kind, inputs=(0,), outputs=(1,), options=options), (source, output)


def graph_of(rows: Iterable[Mapping[str, str]]) -> OpGraph:
    """A graph with the operators of some rows, each with tensors of its own: enough to count their work."""
    operators: list[Operator] = []
    tensors: list[Tensor] = []
    for row in rows:
        op, own = operator_of(row)
        base = len(tensors)
        operators.append(
            Operator(
                kind=op.kind,
                inputs=tuple(index + base if index >= 0 else -1 for index in op.inputs),
                outputs=tuple(index + base for index in op.outputs),
                options=op.options,
            )
        )
        tensors.extend(own)
    return OpGraph(tensors=tuple(tensors), operators=tuple(operators), inputs=(), outputs=())


def _options(row: Mapping[str, str], source: Tensor, output: Tensor) -> Options:
    kind = row["op"]
    simple: dict[str, Options] = {
        "FULLY_CONNECTED": FullyConnectedOptions(),
        "SOFTMAX": SoftmaxOptions(),
        "ADD": ElementwiseOptions(),
        "MUL": ElementwiseOptions(),
        "MEAN": ReducerOptions(keep_dims=False),
        "RESHAPE": NoOptions(),
        "RELU": NoOptions(),
        "RELU6": NoOptions(),
        "LOGISTIC": NoOptions(),
        "PAD": NoOptions(),
    }
    if kind in simple:
        return simple[kind]
    padding: Padding = "SAME" if row["padding"].upper() == "SAME" else "VALID"
    stride_h, stride_w = int(row["stride_h"]), int(row["stride_w"])
    if kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        filter_h, filter_w = _shape(row["filter_shape"])
        return Pool2DOptions(
            padding=padding, stride_h=stride_h, stride_w=stride_w, filter_h=filter_h, filter_w=filter_w
        )
    dilation_h, dilation_w = int(row.get("dilation_h", 1)), int(row.get("dilation_w", 1))
    if kind == "CONV_2D":
        return Conv2DOptions(
            padding=padding,
            stride_h=stride_h,
            stride_w=stride_w,
            dilation_h=dilation_h,
            dilation_w=dilation_w,
        )
    return DepthwiseConv2DOptions(
        padding=padding,
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h=dilation_h,
        dilation_w=dilation_w,
        depth_multiplier=output.shape[-1] // source.shape[-1],
    )


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(extent) for extent in text.split("x"))
