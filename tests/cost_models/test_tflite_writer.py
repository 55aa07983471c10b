"""Models written from their graph: read back as they were, by this project and by FlatBuffers' own library."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ai_edge_litert import schema_py_generated as schema

from cost_models.errors import UserError
from cost_models.flatbuffer import Reader
from cost_models.graph import ConcatenationOptions, Operator, OpGraph, Tensor
from cost_models.tflite_graph import read_graph, read_model
from cost_models.tflite_schema import MODEL_SUBGRAPHS, SUBGRAPH_TENSORS, TENSOR_SHAPE
from cost_models.tflite_writer import _ModelFile, write_model
from tests.cost_models.signal_models import activation, filter_bank, rfft, window
from tests.cost_models.tflite_models import unpack

INT8 = Tensor(shape=(1, 2, 3), scales=1, zero_points=1)
JOINED = OpGraph(
    tensors=(INT8, INT8, replace(INT8, shape=(1, 2, 6)), replace(INT8, shape=(1, 2, 6))),
    operators=(
        Operator(kind="CONCATENATION", inputs=(0, 1), outputs=(2,), options=ConcatenationOptions(axis=2)),
        Operator(kind="QUANTIZE", inputs=(2,), outputs=(3,)),
    ),
    inputs=(0, 1),
    outputs=(3,),
)
SCALES = {0: (0.5, -128), 1: (0.5, -128), 2: (0.5, -128), 3: (0.25, 127)}


def test_a_graph_comes_back_as_it_was_written() -> None:
    model = read_model(write_model(JOINED, {}, SCALES))
    assert model.graph == JOINED
    assert model.zero_points == ((-128,), (-128,), (-128,), (127,))


@pytest.mark.parametrize("data", [window(), rfft(), filter_bank()], ids=["window", "rfft", "filter_bank"])
def test_the_library_of_flatbuffers_sees_the_same(data: bytes) -> None:
    model = unpack(data)
    (code,), (subgraph,) = model.operatorCodes, model.subgraphs
    assert code.builtinCode == schema.BuiltinOperator.CUSTOM
    assert code.customCode.decode() == read_graph(data).operators[0].kind
    for tensor, seen in zip(read_graph(data).tensors, subgraph.tensors, strict=True):
        assert tuple(seen.shape) == tensor.shape
        content = model.buffers[seen.buffer].data
        assert (0 if content is None else len(content)) == tensor.data_bytes


def test_constants_are_aligned_to_sixteen_bytes() -> None:
    model = read_model(filter_bank())
    assert [start % 16 for start, size in model.data if size] == [0] * 5


def test_equal_lists_stand_once() -> None:
    (subgraph,) = Reader(filter_bank()).root().tables(MODEL_SUBGRAPHS)
    places = [tensor.span(TENSOR_SHAPE, 4)[0] for tensor in subgraph.tables(SUBGRAPH_TENSORS)]
    shapes = [tensor.shape for tensor in read_graph(filter_bank()).tensors]
    assert len(set(places)) == len(set(shapes)) < len(shapes)


def test_options_that_cannot_be_written_are_refused() -> None:
    graph = OpGraph(
        tensors=(INT8, INT8),
        operators=(Operator(kind="LEAKY_RELU", inputs=(0,), outputs=(1,)),),
        inputs=(0,),
        outputs=(1,),
    )
    with pytest.raises(UserError) as caught:
        write_model(graph, {}, {0: (0.5, 0), 1: (0.5, 0)})
    assert str(caught.value) == "The options of LEAKY_RELU cannot be written. Use another operator."


def test_content_that_is_not_the_graphs_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="tensor 0 has 1 scales"):
        write_model(JOINED, {}, {})
    graph = OpGraph(tensors=(activation((4,), "int16"),), operators=(), inputs=(0,), outputs=(0,))
    with pytest.raises(ValueError, match="tensor 0 has 8 B, not 0"):
        write_model(graph, {0: bytes(8)})


def test_every_table_of_offsets_lies_at_an_even_place() -> None:
    """A core without unaligned loads reads its 16-bit entries."""
    alone = read_model(window())
    made = alone.graph.operators[0].outputs[0]
    graph = replace(
        alone.graph,
        tensors=(*alone.graph.tensors, replace(alone.graph.tensors[made], scales=1, zero_points=1)),
        operators=(
            *alone.graph.operators,
            Operator(kind="QUANTIZE", inputs=(made,), outputs=(len(alone.graph.tensors),)),
        ),
        outputs=(len(alone.graph.tensors),),
    )
    (weights,) = (index for index, tensor in enumerate(graph.tensors) if tensor.is_constant)
    constants = {weights: bytes(graph.tensors[weights].data_bytes)}
    file = _ModelFile(graph, constants, {len(alone.graph.tensors): (0.5, 0)})
    file.content()
    assert all(at % 2 == 0 for at in file._vtables.values())
