"""The length of a lean flatbuffer, by arithmetic on its graph: no weights, no bytes."""

from __future__ import annotations

from cost_models.canonical import BIAS_INPUTS, FILTER_INPUT
from cost_models.graph import OpGraph, Options
from cost_models.lean_layout import (
    BUFFER_FIELDS,
    CUSTOM_CODE_BYTES,
    EMPTY_TABLE,
    HEADER_BYTES,
    MODEL_FIELDS,
    SUBGRAPH_FIELDS,
    TableLayout,
    code_fields,
    fill_holes,
    modelled_layout,
    operator_layout,
    other_layout,
    quantization_layout,
    table_layout,
    tensor_layout,
)
from cost_models.tflite_schema import DECODE, MODELLED_OPTIONS

_MODEL, _SUBGRAPH, _BUFFER = (table_layout(f) for f in (MODEL_FIELDS, SUBGRAPH_FIELDS, BUFFER_FIELDS))
_FIXED_VTABLES = (_MODEL.vtable, _SUBGRAPH.vtable, EMPTY_TABLE.vtable)
# The counts of five lists (operator codes, subgraphs, tensors, operators, buffers), the entries of the one
# subgraph and of buffer 0.
_FIXED_BYTES = _MODEL.size_bytes + _SUBGRAPH.size_bytes + EMPTY_TABLE.size_bytes + 5 * 4 + 2 * 4
_UNSEEN = TableLayout(0, (), ())


def model_bytes(graph: OpGraph) -> int:
    """The length of `lean`'s output for a model with this canonical graph, to the byte.

    It is exact by construction, because `lean` stores nothing whose size depends on values that the graph does
    not hold: constants are shared only when the graph shows that they are equal (`Tensor.values`), zero points
    only where they are 0 for every model, and options are left out only at values that the graph holds.

    Args:
        graph: A canonical graph, from `search_spaces.lower`, `read_graph` of lean bytes or `canonical_graph`.

    Raises:
        UserError: An operator that cannot be stored lean.
    """
    tensors = graph.tensors
    lists = {graph.inputs, graph.outputs}
    vtables = set(_FIXED_VTABLES)
    body = _FIXED_BYTES

    codes: dict[str, int] = {}
    options: dict[tuple[str, Options], TableLayout | None] = {}
    symmetric: set[int] = set()
    restored: set[int] = set()
    operators = [0, 0, 0, 0]
    for op in graph.operators:
        kind = op.kind
        inputs = op.inputs
        code = codes.setdefault(kind, len(codes))
        lists.add(inputs)
        lists.add(op.outputs)
        if kind in MODELLED_OPTIONS:
            key = (kind, op.options)
            layout = options.get(key, _UNSEEN)
            if layout is _UNSEEN:
                layout = options[key] = modelled_layout(kind, op.options)
                if layout is not None:
                    body += layout.size_bytes
                    vtables.add(layout.vtable)
        else:
            layout = other_layout(kind)
            if layout is not None:
                body += layout.size_bytes
                vtables.add(layout.vtable)
                if kind == "SQUEEZE":
                    body += 4 + 4 * (len(tensors[inputs[0]].shape) - len(tensors[op.outputs[0]].shape))
        if kind == DECODE:
            restored.update(op.outputs)
        bias = BIAS_INPUTS.get(kind)
        if bias is not None:
            symmetric.add(inputs[FILTER_INPUT])
            symmetric.update(inputs[bias : bias + 1])
        operators[2 * (code == 0) + (layout is not None)] += 1
    for form, count in enumerate(operators):
        if count:
            layout = operator_layout(form > 1, form % 2 > 0)
            vtables.add(layout.vtable)
            body += count * (4 + layout.size_bytes)
    for kind in codes:
        layout = table_layout(code_fields(kind))
        vtables.add(layout.vtable)
        body += 4 + layout.size_bytes
    if DECODE in codes:
        body += CUSTOM_CODE_BYTES

    shared_zero = 0
    data = last = constants = twelves = eights = 0
    tables = wide_tables = zero_points = zero_point_bytes = odd = scale_bytes = 0
    forms = [0] * 8
    for index, tensor in enumerate(tensors):
        size = tensor.data_bytes
        scales = tensor.scales
        form = 4 if tensor.is_variable else 0
        lists.add(tensor.shape)
        if size:
            form += 2
            constants += 1
            last = size + 4
            padded = (size + 19) // 16 * 16
            data += padded
            hole = padded - last
            if hole >= 12:
                twelves += 1
            elif hole >= 8:
                eights += 1
        if scales:
            form += 1
            if tensor.quantized_dimension:
                wide_tables += 1
            else:
                tables += 1
            scale_bytes += 4 + 4 * scales
            if not scales % 2:
                odd += 1
            if index in symmetric and (size or index in restored):
                shared_zero = 1
            else:
                zero_points += 1
                zero_point_bytes += 4 + 8 * tensor.zero_points
        forms[form] += 1
    for form, count in enumerate(forms):
        if count:
            layout = tensor_layout(form & 2 > 0, form & 1 > 0, form > 3)
            vtables.add(layout.vtable)
            body += count * (4 + layout.size_bytes)
    zero_points += shared_zero
    zero_point_bytes += 12 * shared_zero
    narrow, wide = quantization_layout(False), quantization_layout(True)
    if tables:
        vtables.add(narrow.vtable)
    if wide_tables:
        vtables.add(wide.vtable)
    if constants:
        vtables.add(_BUFFER.vtable)
        body += constants * (4 + _BUFFER.size_bytes)
        # No hole follows the last constant.
        hole = -last % 16
        data -= hole
        if hole >= 12:
            twelves -= 1
        elif hole >= 8:
            eights -= 1

    singles = pairs = 0
    for numbers in lists:
        length = len(numbers)
        body += 4 + 4 * length
        if length == 1:
            singles += 1
        elif length == 2:
            pairs += 1
    holes = fill_holes(twelves, eights, tables, pairs, singles)
    body -= 8 * holes.singles + 12 * holes.pairs

    at = HEADER_BYTES + sum([vtable[0] for vtable in vtables])
    at = (at + 3) // 4 * 4 + body
    if constants:
        at += (12 - at) % 16 + data
        at = (at + 3) // 4 * 4
    at += (tables - holes.tables) * narrow.size_bytes + wide_tables * wide.size_bytes
    if zero_points:
        at += (4 - at) % 8 + 4 * max(0, zero_points - 1 - odd)
    return at + scale_bytes + zero_point_bytes
