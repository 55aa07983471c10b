"""What a graph from outside must hold before costs are computed of it: whole, in order, of types that TFLM takes."""

from __future__ import annotations

from cost_models.arena.build import TFLM_VERSION
from cost_models.errors import UserError
from cost_models.flatbuffer import broken
from cost_models.graph import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    KernelOptions,
    Operator,
    OpGraph,
    Pool2DOptions,
    Tensor,
)
from cost_models.operator_types import REGISTERED, activation_types, takes
from cost_models.prepare_checks import inputs_of
from cost_models.signal_operators import PARAMETERS
from cost_models.tflite_schema import CALLED_SUBGRAPHS, ETHOS_U, QUANTIZE_HINT

_NPU_OWN = 4
_NPU_TYPES = frozenset({"int8", "int16", "int32", "int64", "bool", "uint8"})
_QUANTIZED = frozenset({"int8", "int16", "uint8"})
_COUNTING = frozenset({"int32", "int64", "bool"})  # types of shapes, axes and conditions
_REPLACE = "Replace the operator."
_LEAST_WEIGHTED = 2
# They move, compare or convert values as they are, or take the scales of no tensor into account.
_WITHOUT_SCALES = frozenset(
    """
    ARG_MAX ARG_MIN ASSIGN_VARIABLE BATCH_TO_SPACE_ND BROADCAST_TO CALL_ONCE CAST CIRCULAR_BUFFER CONCATENATION
    DEPTH_TO_SPACE DYNAMIC_UPDATE_SLICE EXPAND_DIMS FILL GATHER GATHER_ND IF MAXIMUM MINIMUM PACK READ_VARIABLE
    RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 SELECT_V2 SHAPE SLICE SPACE_TO_BATCH_ND
    SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TFLM_DECODE TRANSPOSE UNPACK VAR_HANDLE WHILE ZEROS_LIKE
    """.split()  # noqa: SIM905 - a list of names
)
_WITHOUT_ENDS = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "IF", "VAR_HANDLE", "WHILE"})
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


_DEEPEST = 16
_MOST_CALLS = 1000
_LARGEST_STEP = 1 << 16  # costs are counted tap by tap


def check_graph(graph: OpGraph) -> None:
    """Refuse a graph that is broken, or has operators for which TFLM has no kernel.

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
    used = {0, *graph.inputs, *graph.outputs}
    optional = {0}
    for op in graph.operators:
        if (not op.inputs or not op.outputs) and op.kind not in _WITHOUT_ENDS:
            raise broken(f"an operator {op.kind} has no inputs or no outputs")
        used.update(op.outputs)
        optional.update(op.inputs)
    if min(used) < 0 or max(used) >= max(count, 1) or min(optional) < -1 or max(optional) >= max(count, 1):
        raise broken(f"an operator refers to a tensor outside the {count} that it has")


def _check_types(graph: OpGraph) -> None:
    tensors = graph.tensors
    for op in graph.operators:
        if op.kind in PARAMETERS:
            continue  # `signal_checks` has their types
        if op.kind == ETHOS_U:
            # Command stream, weights and scratch memory of the NPU are bytes.
            if all(tensors[at].dtype in _NPU_TYPES for at in (*op.inputs[_NPU_OWN:], *op.outputs)):
                continue
            raise UserError("The model is not int8: the NPU has other tensors.", QUANTIZE_HINT)
        if op.kind not in REGISTERED:
            raise UserError(f"TFLM {TFLM_VERSION} has no operator {op.kind}.", _hint(op, graph, _REPLACE))
        if not takes(op, tensors):
            _check_signature(op)
            raise UserError(
                f"TFLM has no kernel of {op.kind} that takes {_types(op.inputs, tensors)} and makes"
                f" {_types(op.outputs, tensors)}{_why(graph, op)}.",
                _hint(op, graph, QUANTIZE_HINT),
            )
        if op.kind in _WITHOUT_SCALES:
            continue
        for index in (*op.inputs, *op.outputs):
            tensor = tensors[index] if index >= 0 else None
            if tensor and tensor.dtype in _QUANTIZED and not tensor.scales and tensor.elements:
                raise UserError(
                    f"The model is not quantized: {op.kind} has an {tensor.dtype} tensor without scales.",
                    QUANTIZE_HINT,
                )


def _hint(op: Operator, graph: OpGraph, otherwise: str) -> str:
    """What mends an operator that has no kernel; `otherwise` where its types do not tell."""
    types = {graph.tensors[index].dtype for index in (*op.inputs, *op.outputs) if index >= 0}
    if types <= _COUNTING and any(other.kind == "SHAPE" for other in graph.operators):
        return (
            "It counts elements, as of a batch of any size: convert a function of fixed shapes, as of"
            " tf.TensorSpec((1, 28, 28, 1)), by TFLiteConverter.from_concrete_functions."
        )
    if types - _COUNTING == {"int8"}:  # it is quantized already
        others = activation_types(op.kind) if op.kind in REGISTERED else ()
        return (
            _REPLACE
            if "int8" in others or not others
            else f"{_REPLACE[:-1]}: TFLM's takes {', '.join(others)}."
        )
    return otherwise


def _check_signature(op: Operator) -> None:
    """Say of an operator with a tensor too few or too many that it is damaged, not that its types are wrong."""
    least, most = inputs_of(op.kind)
    if not least <= len(op.inputs) <= most:
        raise broken(f"an operator {op.kind} has {len(op.inputs)} inputs and {len(op.outputs)} outputs")
    if -1 in op.inputs[: min(least, _LEAST_WEIGHTED)]:
        raise broken(f"an operator {op.kind} lacks an input")


def _types(indices: tuple[int, ...], tensors: tuple[Tensor, ...]) -> str:
    return ", ".join(tensors[index].dtype if index >= 0 else "none" for index in indices) or "nothing"


def _why(graph: OpGraph, op: Operator) -> str:
    """TFLM's own word on models of which the weights alone are quantized."""
    if op.kind not in _WEIGHTED or len(op.inputs) < _LEAST_WEIGHTED or min(op.inputs[:2]) < 0:
        return ""
    types = {graph.tensors[at].dtype for at in op.inputs[:3] if at >= 0}
    if {"float32", "int8"} <= types:
        return ': "Hybrid models are not supported on TFLite Micro" (its weights are int8, dynamic-range quantization)'
    return ""


def check_calls(graph: OpGraph) -> None:
    """Refuse calls of subgraphs that the model does not have, that take other tensors, or that call themselves.

    Raises:
        UserError: Which operator is at fault.
    """
    parts = graph.subgraphs
    left = _MOST_CALLS

    def visit(number: int, above: tuple[int, ...]) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise broken(f"its subgraphs are called more than {_MOST_CALLS} times")
        for op in parts[number].operators:
            for at, name in enumerate(CALLED_SUBGRAPHS.get(op.kind, ())):
                options = op.options
                called = options[name] if isinstance(options, KernelOptions) else -1
                if not 0 < called < len(parts):
                    raise broken(f"{op.kind} calls subgraph {called} of {len(parts)}")
                if called in above:
                    raise broken(f"{op.kind} calls subgraph {called}, of which it is a part")
                if len(above) > _DEEPEST:
                    raise broken(f"its subgraphs call each other {len(above)} deep")
                _check_ends(op, at, parts[called])
                visit(called, (*above, called))

    visit(0, (0,))


def _check_ends(op: Operator, at: int, called: OpGraph) -> None:
    given = op.inputs[1:] if op.kind == "IF" else op.inputs
    wanted = 1 if op.kind == "WHILE" and at == 0 else len(op.outputs)
    fits = len(called.inputs) == len(given) and len(called.outputs) == wanted
    if op.kind != "CALL_ONCE" and not fits:
        raise broken(
            f"{op.kind} calls a subgraph of {len(called.inputs)} inputs and {len(called.outputs)} outputs"
        )


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
            if index in ready and not tensors[index].is_variable:
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
