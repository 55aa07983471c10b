"""What a graph from outside must hold before costs are computed of it: whole, in order, int8 unless a front end."""

from __future__ import annotations

from cost_models.arena.rules import RULES
from cost_models.errors import UserError
from cost_models.flatbuffer import broken
from cost_models.graph import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    Operator,
    OpGraph,
    Pool2DOptions,
    Tensor,
)
from cost_models.signal_operators import PARAMETERS
from cost_models.tflite_schema import ETHOS_U, QUANTIZE_HINT

_ACTIVATION_TYPES = frozenset({"int8", "int32", "int64", "bool"})
_CONSTANT_TYPES = frozenset({"int8", "int32", "int64", "bool"})
_NPU_OWN = 4
# What else operators of an audio front end take, where the graph is one.
_FRONT_END_TYPES: dict[str, frozenset[str]] = {
    **dict.fromkeys((*PARAMETERS, "RESHAPE"), frozenset({"int16", "uint32", "uint64"})),
    **dict.fromkeys(
        ("CONCATENATION", "MAXIMUM", "MINIMUM", "QUANTIZE", "SLICE", "STRIDED_SLICE"), frozenset({"int16"})
    ),
    "CAST": frozenset({"int16", "uint32"}),
}
# They move or convert values, whatever those stand for.
_WITHOUT_SCALES = frozenset({"CAST", "RESHAPE", "SLICE", "STRIDED_SLICE"})
_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})

# Least and most inputs, outputs, and the rank of the first input, the second input and the output.
_SIGNATURES: dict[str, tuple[int, int, int, tuple[int | None, ...]]] = {
    "CONV_2D": (2, 3, 1, (4, 4, 4)),
    "DEPTHWISE_CONV_2D": (2, 3, 1, (4, 4, 4)),
    "FULLY_CONNECTED": (2, 3, 1, (None, 2, None)),
    "TRANSPOSE_CONV": (3, 4, 1, (None, 4, 4)),
    "AVERAGE_POOL_2D": (1, 1, 1, (4, None, 4)),
    "MAX_POOL_2D": (1, 1, 1, (4, None, 4)),
    "L2_POOL_2D": (1, 1, 1, (4, None, 4)),
    "ADD": (2, 2, 1, (None, None, None)),
    "SUB": (2, 2, 1, (None, None, None)),
    "MUL": (2, 2, 1, (None, None, None)),
    "MEAN": (2, 2, 1, (None, None, None)),
    "SUM": (2, 2, 1, (None, None, None)),
    "RESHAPE": (1, 2, 1, (None, None, None)),
    "SOFTMAX": (1, 1, 1, (None, None, None)),
    "LOGISTIC": (1, 1, 1, (None, None, None)),
    "PAD": (2, 2, 1, (None, None, None)),
    "CONCATENATION": (1, 1 << 16, 1, (None, None, None)),
}


_LARGEST_STEP = 1 << 16  # costs are counted tap by tap


def check_graph(graph: OpGraph) -> None:
    """Refuse a graph that is broken, or not int8 throughout and no front end.

    Raises:
        UserError: Which tensor or operator is at fault, and what to do.
    """
    _check_indices(graph)
    _check_types(graph)
    _check_order(graph)
    for index, op in enumerate(graph.operators):
        _check_operator(index, op, graph.tensors)


def _check_indices(graph: OpGraph) -> None:
    count = len(graph.tensors)
    if not graph.inputs or not graph.outputs:
        raise broken("it has no inputs or no outputs")
    used = {*graph.inputs, *graph.outputs}
    optional = set[int]()
    for op in graph.operators:
        if not op.inputs or not op.outputs:
            raise broken(f"an operator {op.kind} has no inputs or no outputs")
        used.update(op.outputs)
        optional.update(op.inputs)
    if min(used) < 0 or max(used) >= count or min(optional) < -1 or max(optional) >= count:
        raise broken(f"an operator refers to a tensor outside the {count} that it has")


def _check_types(graph: OpGraph) -> None:
    tensors = graph.tensors
    front_end = any(op.kind in PARAMETERS for op in graph.operators)
    for what, ends in (("input", graph.inputs), ("output", graph.outputs)):
        for index in ends:
            dtype = tensors[index].dtype
            if dtype != "int8" and not front_end:
                raise UserError(
                    f"The model is not int8: its {what} is {dtype}{_why(graph, dtype)}.", QUANTIZE_HINT
                )
    for op in graph.operators:
        if op.kind not in RULES:
            continue  # refused by its name, which says more than its types
        # Command stream, weights and scratch memory of the NPU are bytes.
        activations = op.inputs[_NPU_OWN:] if op.kind == ETHOS_U else op.inputs
        for index in (*activations, *op.outputs):
            if index < 0:
                continue
            tensor = tensors[index]
            allowed = _CONSTANT_TYPES if tensor.is_constant else _ACTIVATION_TYPES
            if front_end:
                allowed |= _FRONT_END_TYPES.get(op.kind, frozenset())
            if tensor.dtype not in allowed:
                what = "constant" if tensor.is_constant else "activation"
                raise UserError(
                    f"The model is not int8: {op.kind} has {tensor.dtype} {what}s{_why(graph, tensor.dtype)}.",
                    QUANTIZE_HINT,
                )
            bare = front_end and op.kind in _WITHOUT_SCALES
            if tensor.dtype == "int8" and not tensor.scales and tensor.elements and not bare:
                raise UserError(
                    f"The model is not quantized: {op.kind} has an int8 tensor without scales.",
                    QUANTIZE_HINT,
                )


def _why(graph: OpGraph, dtype: str) -> str:
    """What kind of model it is, for those who think that they have quantized it."""
    weights = {
        graph.tensors[op.inputs[1]].dtype
        for op in graph.operators
        if op.kind in _WEIGHTED and len(op.inputs) > 1 and op.inputs[1] >= 0
    }
    if "int8" not in weights:
        return ""
    if any(op.kind in ("QUANTIZE", "DEQUANTIZE") for op in graph.operators):
        return ", though its weights are int8 (it converts at its ends)"
    return ", though its weights are int8 (dynamic-range quantization)" if dtype == "float32" else ""


def _check_order(graph: OpGraph) -> None:
    """Every activation is written once, before it is read, and never a constant."""
    tensors = graph.tensors
    ready = set(graph.inputs)
    for index, tensor in enumerate(tensors):
        if tensor.is_constant or tensor.is_variable or tensor.elements == 0:
            ready.add(index)
    for op in graph.operators:
        if op.kind == ETHOS_U:
            ready.update(op.inputs[2:_NPU_OWN])  # scratch memory, which the NPU itself fills
        for index in op.inputs:
            if index >= 0 and index not in ready:
                raise broken(f"{op.kind} reads tensor {index} before anything writes it")
        for index in op.outputs:
            if index in ready:
                raise broken(f"{op.kind} writes tensor {index}, which has a value already")
        ready.update(op.outputs)
    for index in graph.outputs:
        if index not in ready:
            raise broken(f"nothing writes the output tensor {index}")


def _check_operator(index: int, op: Operator, tensors: tuple[Tensor, ...]) -> None:
    if op.kind == ETHOS_U:
        own = [tensors[at] for at in op.inputs[:_NPU_OWN] if at >= 0]
        if len(op.inputs) <= _NPU_OWN or len(own) != _NPU_OWN or not own[0].is_constant:
            raise broken(f"operator {index} ({op.kind}) is not one that Vela makes")
        if any(tensor.dtype != "uint8" for tensor in own):
            raise broken(f"operator {index} ({op.kind}) is not one that Vela makes")
        return
    signature = _SIGNATURES.get(op.kind)
    if signature is None:
        return
    least, most, outputs, ranks = signature
    name = f"operator {index} ({op.kind})"
    if not least <= len(op.inputs) <= most or len(op.outputs) != outputs:
        raise broken(f"{name} has {len(op.inputs)} inputs and {len(op.outputs)} outputs")
    if -1 in op.inputs[:least]:
        raise broken(f"{name} lacks an input")
    for at, rank in zip((*op.inputs[:2], op.outputs[0]), ranks if least > 1 else (ranks[0], ranks[2])):
        if rank is not None and len(tensors[at].shape) != rank:
            raise broken(f"{name} has a tensor of shape {list(tensors[at].shape)}")
    for at in (op.inputs[0], op.outputs[0]):
        if tensors[at].elements < 1:
            raise broken(f"{name} has a tensor of shape {list(tensors[at].shape)}")
    _check_window(name, op, tensors)


def _check_window(name: str, op: Operator, tensors: tuple[Tensor, ...]) -> None:
    """Strides and filters of a convolution or pooling explain the shape of its output."""
    options = op.options
    if not isinstance(options, Conv2DOptions | DepthwiseConv2DOptions | Pool2DOptions):
        if op.kind == "FULLY_CONNECTED" and not _fully_connected_fits(op, tensors):
            raise broken(f"{name} has shapes that do not fit")
        return
    dilation_h = dilation_w = 1
    if isinstance(options, Pool2DOptions):
        filter_h, filter_w = options.filter_h, options.filter_w
    else:
        _, filter_h, filter_w, _ = tensors[op.inputs[1]].shape
        dilation_h, dilation_w = options.dilation_h, options.dilation_w
    steps = (options.stride_h, options.stride_w, filter_h, filter_w, dilation_h, dilation_w)
    if min(steps) < 1 or max(steps) > _LARGEST_STEP:
        raise broken(
            f"{name} has a stride, filter or dilation of {min(steps) if min(steps) < 1 else max(steps):,}"
        )
    batch, height, width, depth = tensors[op.inputs[0]].shape
    out_batch, out_h, out_w, out_depth = tensors[op.outputs[0]].shape
    span_h, span_w = (filter_h - 1) * dilation_h + 1, (filter_w - 1) * dilation_w + 1
    if options.padding == "SAME":
        want = (-(-height // options.stride_h), -(-width // options.stride_w))
    else:
        want = ((height - span_h) // options.stride_h + 1, (width - span_w) // options.stride_w + 1)
    if (out_h, out_w) != want or batch != out_batch:
        raise broken(f"{name} cannot make {[out_batch, out_h, out_w]} of {[batch, height, width]}")
    if isinstance(options, Pool2DOptions):
        fits = depth == out_depth
    elif isinstance(options, Conv2DOptions):
        filters, _, _, filter_depth = tensors[op.inputs[1]].shape
        fits = filter_depth > 0 and depth % filter_depth == 0 and filters == out_depth
    else:
        fits = tensors[op.inputs[1]].shape[3] == out_depth and out_depth % depth == 0
    if not fits:
        raise broken(f"{name} has channels that do not fit")


def _fully_connected_fits(op: Operator, tensors: tuple[Tensor, ...]) -> bool:
    units, depth = tensors[op.inputs[1]].shape
    return (
        depth > 0
        and units > 0
        and tensors[op.inputs[0]].elements % depth == 0
        and tensors[op.outputs[0]].elements == tensors[op.inputs[0]].elements // depth * units
    )
