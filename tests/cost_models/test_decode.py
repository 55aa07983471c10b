"""Compressed weights: restored bit for bit by TFLM's DECODE, and costed to the byte."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cost_models import tflite_schema as schema
from cost_models.canonical import canonical_graph
from cost_models.code_size import CodeSizes
from cost_models.compressed import Coding, compress, compressed_graph, compressible, one_table
from cost_models.costing import CostModel
from cost_models.cycles.decoding import decode
from cost_models.decode_operator import coded
from cost_models.errors import UserError
from cost_models.graph import KernelOptions, Operator, Tensor
from cost_models.lean import lean
from cost_models.model_bytes import model_bytes
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph, read_model
from nas.bundle.operators import registration
from tests.cost_models.few_values import Bytes, in_steps, with_few_values

CALIBRATION = Path(__file__).parents[1] / "data" / "calibration"
MODELS = sorted(CALIBRATION.glob("*.tflite"))


def other_steps_by_channel(weights: Bytes) -> Bytes:
    """Four values in each channel, others in each: 1 to 16 times its number."""
    channel = np.arange(len(weights)).reshape(-1, *[1] * (weights.ndim - 1)) % 30
    return np.asarray((weights & 3) * (channel + 1) - channel)


def outputs(data: bytes, samples: Bytes) -> Bytes:
    runtime = pytest.importorskip("tflite_micro").runtime
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    rows = []
    for sample in samples:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        rows.append(interpreter.get_output(0).copy())
    return np.stack(rows)


def assert_same_outputs(first: bytes, second: bytes) -> None:
    graph = read_graph(first)
    samples = np.random.default_rng(0).integers(-128, 128, (4, *graph.tensors[graph.inputs[0]].shape))
    assert np.array_equal(outputs(first, samples.astype(np.int8)), outputs(second, samples.astype(np.int8)))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
@pytest.mark.parametrize("levels", [2, 4, 7, 15, 31, 60, 127])
def test_a_compressed_model_computes_in_tflm_what_the_model_computes(path: Path, levels: int) -> None:
    model = with_few_values(path.read_bytes(), in_steps(levels))
    assert_same_outputs(lean(model), compress(model))


def test_a_compressed_model_with_a_table_for_each_channel_computes_the_same() -> None:
    model = with_few_values((CALIBRATION / "resnet-20138.tflite").read_bytes(), other_steps_by_channel)
    compressed = compress(model)
    strides = {
        dict(op.options.values)["bits_0"]
        for op in read_graph(compressed).operators
        if isinstance(op.options, KernelOptions) and op.kind == schema.DECODE
    }
    assert strides == {2}
    assert len(compressed) < 0.65 * len(lean(model))
    assert_same_outputs(lean(model), compressed)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_the_bytes_of_a_model_of_sixteen_values_are_known_from_its_graph(path: Path) -> None:
    data = with_few_values(path.read_bytes(), in_steps(15))
    graph = read_graph(lean(data))
    predicted = canonical_graph(compressed_graph(graph, compressible(graph, one_table(4)))).graph
    compressed = compress(data)
    assert model_bytes(predicted) == len(compressed) <= len(lean(data))
    assert read_graph(compressed) == predicted
    assert lean(compressed) == compressed


def test_a_model_whose_weights_hold_many_values_stays_as_it_is() -> None:
    data = (CALIBRATION / "mbv2-20175.tflite").read_bytes()
    assert compress(data) == lean(data)


def test_a_model_is_compressed_once() -> None:
    compressed = compress(with_few_values((CALIBRATION / "ae-20027.tflite").read_bytes(), in_steps(15)))
    with pytest.raises(UserError, match="compressed already"):
        compress(compressed)


def test_the_costs_of_a_compressed_model_hold_its_restored_weights_its_code_and_its_work() -> None:
    data = with_few_values((CALIBRATION / "ds_cnn-20059.tflite").read_bytes(), in_steps(15))
    plain, packed = read_graph(lean(data)), read_graph(compress(data))
    model = CostModel(load_target("nrf52840"))
    before, after = model.explain(plain), model.explain(packed)
    added = after.costs.code_bytes - before.costs.code_bytes
    assert added == 18576  # as linked: more than these weights lose
    assert after.costs.flash_bytes - before.costs.flash_bytes == added - (
        len(lean(data)) - len(compress(data))
    )
    assert after.costs.flash_bytes > before.costs.flash_bytes
    assert after.costs.sram_bytes > before.costs.sram_bytes
    restored = [part for part in after.operators if part.kind == schema.DECODE]
    assert not after.uncounted
    assert not after.bounded
    assert sum(part.instructions or 0 for part in restored) == pytest.approx(
        (after.costs.instructions or 0) - (before.costs.instructions or 0), rel=0.01
    )


def test_the_resolver_has_a_line_for_decode() -> None:
    assert registration(schema.DECODE).method == "AddDecode"
    assert CodeSizes(kernels="reference", core="cortex-m0plus").of([schema.DECODE]).value_bytes > 18000


def looked_up(channels: int, run: int, bits: int, group: int) -> tuple[int, int]:
    """Groups and single values of DecompressToBufferWidth4_16 and its like, step by step as they run."""
    at = groups = singles = 0
    for _ in range(channels):
        count = run
        while count and at & (group - 1):
            at, count, singles = at + 1, count - 1, singles + 1
        while count >= group:
            at, count, groups = at + group, count - group, groups + 1
        at, singles = at + count, singles + count
    return groups, singles


@pytest.mark.parametrize(("bits", "group"), [(2, 16), (3, 32), (4, 16)])
@pytest.mark.parametrize(
    ("channels", "run"), [(1, 640), (7, 16), (8, 33), (5, 9), (16, 100), (3, 31), (4, 48)]
)
def test_groups_of_indices_are_counted_as_the_kernel_takes_them(
    bits: int, group: int, channels: int, run: int
) -> None:
    weights = Tensor(shape=(channels, 1, 1, run), scales=channels, zero_points=1)
    options = (("bits_0", bits), ("channels_0", channels), ("last_axis_0", 0))
    op = Operator(kind=schema.DECODE, inputs=(0, 1), outputs=(2,), options=KernelOptions(values=options))
    path, trips = decode(op, (weights, weights, weights), "dsp")
    assert path == f"decode_{bits}"
    assert trips == (1, 1, channels, *looked_up(channels, run, bits, group))


def test_indices_lie_in_the_file_with_their_highest_bit_first() -> None:
    codes, header = coded(bytes([5, 9, 5, 200, 9]), 2, 0, 1)
    assert codes == bytes([0b00_01_00_10, 0b01_00_00_00])
    assert header == bytes([0, 1, 0, 0, 1, 0xF2, 0, *[0] * 9, 5, 9, 200, 0])


def test_tables_by_channel_follow_each_other_at_their_stride() -> None:
    codes, header = coded(bytes([1, 2, 3, 7, 7, 4]), 2, 3, 2)
    assert codes == bytes([0b00_01_10_01, 0b01_00_00_00])
    assert header == bytes([0, 1, 0, 0, 1, 2, 3, *[0] * 9, 1, 2, 3, 4, 7, 0])


def damaged(at: int, value: int) -> bytes:
    """A compressed model with another byte in the first header."""
    data = compress(with_few_values((CALIBRATION / "ae-20027.tflite").read_bytes(), in_steps(15)))
    model = read_model(data)
    start, _ = model.data[next(op for op in model.graph.operators if op.kind == schema.DECODE).inputs[1]]
    return data[: start + at] + struct.pack("B", value) + data[start + at + 1 :]


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0, 1, r"weights in Huffman codes \(TFLM_DECODE\): what they take is not known"),
        (0, 2, "weights in pruning masks"),
        (0, 127, "weights in a code of their own"),
        (1, 2, "tables of another version than 1"),
        (4, 0, "tables of another version than 1"),
        (5, 0xF0, "indices of 0 bits"),
        (5, 0xF7, "indices of 7 bits"),
    ],
)
def test_a_decode_whose_cost_is_not_known_or_that_tflm_refuses_is_refused(
    at: int, value: int, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_graph(damaged(at, value))


def test_a_decode_that_reads_tables_behind_their_end_is_refused() -> None:
    data = with_few_values((CALIBRATION / "resnet-20138.tflite").read_bytes(), in_steps(15))
    compressed = compress(data)
    model = read_model(compressed)
    start, _ = model.data[next(op for op in model.graph.operators if op.kind == schema.DECODE).inputs[1]]
    with pytest.raises(UserError, match="16 bytes of tables for"):
        read_graph(compressed[: start + 6] + b"\x10" + compressed[start + 7 :])


def test_small_weights_and_those_of_two_readers_are_left_alone() -> None:
    graph = read_graph((CALIBRATION / "mbv2-20175.tflite").read_bytes())
    coding = Coding(bits=4, stride=0, table_bytes=16)
    chosen = compressible(graph, coding)
    assert 0 < len(chosen) < sum(op.kind in ("CONV_2D", "FULLY_CONNECTED") for op in graph.operators)
    assert all(graph.tensors[index].elements >= 384 for index in chosen)
    twice = replace(graph, operators=(*graph.operators, *graph.operators))
    assert not compressible(twice, coding)
