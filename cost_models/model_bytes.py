"""The length of a lean flatbuffer, by arithmetic on its graph: no weights, no bytes."""

from __future__ import annotations

from cost_models import tflite_schema as schema
from cost_models.canonical import symmetric_tensors
from cost_models.graph import OpGraph
from cost_models.lean_layout import (
    BUFFER_FIELDS,
    EMPTY_TABLE,
    HEADER_BYTES,
    MODEL_FIELDS,
    SUBGRAPH_FIELDS,
    code_fields,
    fill_holes,
    modelled_layout,
    operator_layout,
    other_layout,
    quantization_layout,
    table_layout,
    tensor_layout,
)


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
    model, subgraph, buffer = (table_layout(f) for f in (MODEL_FIELDS, SUBGRAPH_FIELDS, BUFFER_FIELDS))
    vtables = {model.vtable, subgraph.vtable, EMPTY_TABLE.vtable}
    layouts = set()
    body = model.size_bytes + subgraph.size_bytes + EMPTY_TABLE.size_bytes
    # The counts of seven lists: codes, subgraphs and its one entry, tensors, operators, buffers and the empty one.
    body += 4 + 8 + 4 + 4 + 8

    codes: dict[str, int] = {}
    option_tables = set()
    for op in graph.operators:
        kind = op.kind
        code = codes.setdefault(kind, len(codes))
        lists.add(op.inputs)
        lists.add(op.outputs)
        if kind in schema.MODELLED_OPTIONS:
            options = modelled_layout(kind, op.options)
            if options is not None:
                option_tables.add((kind, op.options))
        else:
            options = other_layout(kind)
            if options is not None:
                body += options.size_bytes
                vtables.add(options.vtable)
                if kind == "RESHAPE":
                    lists.add(tensors[op.outputs[0]].shape)
                elif kind == "SQUEEZE":
                    body += 4 + 4 * (len(tensors[op.inputs[0]].shape) - len(tensors[op.outputs[0]].shape))
        layout = operator_layout(code == 0, options is not None)
        layouts.add(layout)
        body += 4 + layout.size_bytes
    for kind, held in option_tables:
        options = modelled_layout(kind, held)
        assert options is not None
        body += options.size_bytes
        vtables.add(options.vtable)
    for kind in codes:
        layout = table_layout(code_fields(kind))
        layouts.add(layout)
        body += 4 + layout.size_bytes

    symmetric = symmetric_tensors(graph)
    shared_zero = False
    twelves = eights = data = last = constants = 0
    tables = wide_tables = zero_points = zero_point_bytes = odd = scale_bytes = 0
    for index, tensor in enumerate(tensors):
        size = tensor.data_bytes
        scales = tensor.scales
        lists.add(tensor.shape)
        layout = tensor_layout(size > 0, scales > 0, tensor.is_variable)
        layouts.add(layout)
        body += 4 + layout.size_bytes
        if size:
            constants += 1
            last = size + 4
            padded = (size + 19) // 16 * 16
            data += padded
            hole = (padded - last) // 4
            if hole == 3:
                twelves += 1
            elif hole == 2:
                eights += 1
        if scales:
            if tensor.quantized_dimension:
                wide_tables += 1
            else:
                tables += 1
            scale_bytes += 4 + 4 * scales
            odd += not scales % 2
            if index in symmetric:
                shared_zero = True
            else:
                zero_points += 1
                zero_point_bytes += 4 + 8 * tensor.zero_points
    for layout in layouts:
        vtables.add(layout.vtable)
    if shared_zero:
        zero_points += 1
        zero_point_bytes += 12
    narrow, wide = quantization_layout(False), quantization_layout(True)
    if tables:
        vtables.add(narrow.vtable)
    if wide_tables:
        vtables.add(wide.vtable)
    if constants:
        vtables.add(buffer.vtable)
        body += constants * (4 + buffer.size_bytes)
        # No hole follows the last constant.
        padded = (last + 15) // 16 * 16
        data += last - padded
        hole = (padded - last) // 4
        if hole == 3:
            twelves -= 1
        elif hole == 2:
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
