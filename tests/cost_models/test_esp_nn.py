"""Espressif's kernels: memory as ESP-NN's own functions ask for it, code, and which targets take them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from cost_models.arena import arena, needs
from cost_models.arena.allocator import demands
from cost_models.arena.build import find_build
from cost_models.code_size import CodeSizes
from cost_models.costing import CostModel
from cost_models.errors import UserError
from cost_models.graph import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    Operator,
    OpGraph,
    Options,
    Padding,
    SoftmaxOptions,
    Tensor,
)
from cost_models.target import load_target

SCRATCH = Path(__file__).parents[1] / "data" / "esp_nn_scratch.csv"
CORES = {
    "generic": ("xtensa-lx6", "riscv32"),
    "esp32s3": ("xtensa-lx7",),
    "esp32p4": ("riscv32-pie",),
}
KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SOFTMAX")


def rows() -> list[dict[str, str]]:
    with SCRATCH.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def layer(
    kind: str,
    input_: tuple[int, int, int],
    filter_: tuple[int, ...],
    output: tuple[int, int],
    options: Options,
) -> OpGraph:
    """A graph of one convolution with a bias."""
    channels = filter_[0] if kind == "CONV_2D" else filter_[3]
    return OpGraph(
        tensors=(
            Tensor(shape=(1, *input_), scales=1, zero_points=1),
            Tensor(shape=filter_, data_bytes=1, scales=channels, zero_points=channels),
            Tensor(shape=(channels,), dtype="int32", data_bytes=4 * channels, scales=channels),
            Tensor(shape=(1, *output, channels), scales=1, zero_points=1),
        ),
        operators=(Operator(kind=kind, inputs=(0, 1, 2), outputs=(3,), options=options),),
        inputs=(0,),
        outputs=(3,),
    )


def softmax(shape: tuple[int, ...], output: str = "int8") -> OpGraph:
    return OpGraph(
        tensors=(
            Tensor(shape=shape, scales=1, zero_points=1),
            Tensor(shape=shape, dtype=output, scales=1, zero_points=1),
        ),
        operators=(Operator(kind="SOFTMAX", inputs=(0,), outputs=(1,), options=SoftmaxOptions()),),
        inputs=(0,),
        outputs=(1,),
    )


def graph_of(row: dict[str, str]) -> OpGraph:
    def numbers(name: str) -> tuple[int, ...]:
        return tuple(int(part) for part in row[name].split("x"))

    height, width, channels = (int(row[name]) for name in ("height", "width", "channels"))
    filter_ = numbers("filter")
    (stride_h, stride_w), (dilation_h, dilation_w) = numbers("strides"), numbers("dilations")
    out_h, out_w = numbers("output")
    padding: Padding = "SAME" if row["padding"] == "SAME" else "VALID"
    common = Conv2DOptions(
        padding=padding, stride_h=stride_h, stride_w=stride_w, dilation_h=dilation_h, dilation_w=dilation_w
    )
    options: Options = common
    if row["kind"] == "DEPTHWISE_CONV_2D":
        options = DepthwiseConv2DOptions(
            padding=padding,
            stride_h=stride_h,
            stride_w=stride_w,
            dilation_h=dilation_h,
            dilation_w=dilation_w,
            depth_multiplier=filter_[3] // channels,
        )
    return layer(row["kind"], (height, width, channels), filter_, (out_h, out_w), options)


@pytest.mark.parametrize("row", rows(), ids=lambda row: "-".join(row.values()))
def test_scratch_is_what_esp_nns_own_functions_return(row: dict[str, str]) -> None:
    graph, expected = graph_of(row), int(row["bytes"])
    for core in CORES[row["chip"]]:
        scratches = demands(graph, find_build("esp_nn", core))[0][5]
        assert scratches == ((expected,) if expected else ())


def test_every_path_of_the_scratch_rules_is_among_the_rows() -> None:
    counts = {(row["chip"], row["kind"]): 0 for row in rows()}
    for row in rows():
        counts[row["chip"], row["kind"]] += 1
    assert counts["esp32s3", "CONV_2D"] >= 9
    assert counts["esp32s3", "DEPTHWISE_CONV_2D"] >= 15
    assert counts["esp32p4", "CONV_2D"] >= 15


def test_a_softmax_keeps_its_exponentials_by_the_second_dimension() -> None:
    for core in ("xtensa-lx6", "xtensa-lx7", "riscv32", "riscv32-pie"):
        build = find_build("esp_nn", core)
        assert demands(softmax((1, 12)), build)[0][2:6] == (64, (), 120, (48,))
        assert demands(softmax((1, 5, 7, 3)), build)[0][5] == (20,)
        assert demands(softmax((1, 12), output="int16"), build)[0][5] == ()
    assert demands(softmax((1, 12)), find_build("reference", "riscv32"))[0][5] == ()


def test_a_softmax_of_one_dimension_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        arena(softmax((12,)), kernels="esp_nn", core="xtensa-lx7")
    assert str(caught.value) == (
        "ESP-NN's SOFTMAX sizes its memory by the second dimension, and this tensor has none: its memory is that of"
        " chance. Give the softmax a batch dimension, or set kernels to reference."
    )
    assert arena(softmax((12,)), kernels="reference", core="xtensa-lx7").min_bytes > 0


def test_generic_kernels_take_the_portable_ones_memory_and_the_s3_more() -> None:
    row = next(row for row in rows() if row["chip"] == "esp32s3" and int(row["bytes"]) > 1000)
    graph = graph_of(row)
    portable = arena(graph, kernels="reference", core="xtensa-lx6")
    generic = arena(graph, kernels="esp_nn", core="xtensa-lx6")
    vector = arena(graph, kernels="esp_nn", core="xtensa-lx7")
    assert generic.planned_bytes == portable.planned_bytes
    assert generic.persistent_bytes - portable.persistent_bytes in (0, 16)
    assert vector.planned_bytes >= generic.planned_bytes + int(row["bytes"])
    assert max(size for _, _, size in needs(graph, kernels="esp_nn", core="xtensa-lx7")) <= vector.min_bytes


@pytest.mark.parametrize("name", ["esp32", "esp32s3", "esp32c3", "esp32p4"])
def test_espressifs_targets_take_esp_nn_and_a_file_can_ask_for_the_portable_kernels(
    name: str, tmp_path: Path
) -> None:
    target = load_target(name)
    assert (target.kernels, target.weights_memory) == ("esp_nn", "xip")
    assert target.sources["kernels"] == "espressif/esp-tflite-micro@99f49e14: ESP-NN is its default"
    sram = CostModel(target).bases()["sram_bytes"]
    assert sram == (
        "exact for TFLM 90b983c2 in esp-tflite-micro 99f49e14 with ESP-NN d45b843c on " + target.core
    )
    path = tmp_path / "portable.toml"
    path.write_text(f'extends = "{name}"\nkernels = "reference"\n', encoding="utf-8")
    portable = load_target(path)
    assert portable == replace(target, name="portable", kernels="reference", class_rates=None)
    assert CostModel(portable).bases()["sram_bytes"] == f"exact for TFLM 90b983c2 on {target.core}"


def test_esp_nn_adds_code_to_the_portable_kernels_with_a_wider_interval() -> None:
    for core, added in (
        ("riscv32", 11154),
        ("riscv32-pie", 21584),
        ("xtensa-lx6", 12882),
        ("xtensa-lx7", 30750),
    ):
        portable = CodeSizes(kernels="reference", core=core).of(KINDS)
        sizes = CodeSizes(kernels="esp_nn", core=core)
        size = sizes.of(KINDS)
        assert abs(size.value_bytes - portable.value_bytes - added) <= 1
        assert abs(portable.low_bytes - size.low_bytes + 0.6 * added) <= 2
        assert abs(size.high_bytes - portable.high_bytes - 1.4 * added) <= 2
        assert sizes.basis.endswith(", and what ESP-NN's kernels add, +-40% of that")
        assert sizes.of(["RESHAPE"]) == CodeSizes(kernels="reference", core=core).of(["RESHAPE"])
    with pytest.raises(UserError, match="The code size of esp_nn kernels on cortex-m4 is not known"):
        CodeSizes(kernels="esp_nn", core="cortex-m4")
