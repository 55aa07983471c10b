"""What TFLM refuses in Prepare, or would read and write beyond its tensors for, is refused here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.costing import CostModel
from cost_models.errors import UserError
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from tests.cost_models.tflite_models import edited

OPERATORS = Path(__file__).parents[1] / "data" / "operators"
MODELS = sorted(path.stem for path in OPERATORS.glob("*.tflite"))


def operator(model: Any, code: int | None = None) -> Any:
    """The last operator, or the first of a built-in code."""
    graph = model.subgraphs[0]
    if code is None:
        return graph.operators[-1]
    return next(op for op in graph.operators if model.operatorCodes[op.opcodeIndex].builtinCode == code)


def tensor(model: Any, index: int) -> Any:
    return model.subgraphs[0].tensors[index]


def constant(model: Any, index: int, values: list[int], dtype: type = np.int32) -> None:
    """Another content for a constant tensor."""
    model.buffers[tensor(model, index).buffer].data = np.frombuffer(
        np.asarray(values, dtype).tobytes(), dtype=np.uint8
    )


@pytest.mark.parametrize("name", MODELS)
def test_what_the_converter_made_is_taken(name: str) -> None:
    read_graph((OPERATORS / f"{name}.tflite").read_bytes())


@pytest.mark.parametrize("name", MODELS)
def test_an_output_of_another_shape_is_refused_for_every_operator(name: str) -> None:
    def stretch(model: Any) -> None:
        op = model.subgraphs[0].operators[0]
        shape = tensor(model, op.outputs[0])
        shape.shape = [*shape.shape[:-1], int(shape.shape[-1]) + 1]

    with pytest.raises(UserError):
        read_graph(edited((OPERATORS / f"{name}.tflite").read_bytes(), stretch))


def paddings(values: list[int]) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        constant(model, operator(model, 34).inputs[1], values)

    return edit


def _same_scale(model: Any) -> None:
    for index in operator(model, 2).inputs:
        tensor(model, index).quantization.scale = [0.5]


def _beta(model: Any) -> None:
    model.subgraphs[0].operators[-1].builtinOptions.beta = 0.0


def _zero_scale(model: Any) -> None:
    tensor(model, model.subgraphs[0].inputs[0]).quantization.scale = [0.0]


def _nan_scale(model: Any) -> None:
    tensor(model, model.subgraphs[0].inputs[0]).quantization.scale = [float("nan")]


def _zero_point(model: Any) -> None:
    tensor(model, model.subgraphs[0].inputs[0]).quantization.zeroPoint = [300]


def _bias_scale(model: Any) -> None:
    tensor(model, operator(model, 9).inputs[2]).quantization.scale = [7.0]


def _axes(model: Any) -> None:
    constant(model, operator(model, 39).inputs[1], [0, 1, 1, 3])


def _strides(model: Any) -> None:
    constant(model, operator(model, 45).inputs[3], [0, 0, 0, 0])


def _split_axis(model: Any) -> None:
    constant(model, operator(model, 49).inputs[0], [9])


def _gathered(model: Any) -> None:
    op = operator(model, 36)
    count = len(model.buffers[tensor(model, op.inputs[1]).buffer].data) // 4
    constant(model, op.inputs[1], [1000] * count)


def _no_second_input(model: Any) -> None:
    operator(model).inputs = operator(model).inputs[:1]


FAULTS: list[tuple[str, Callable[[Any], None], str]] = [
    ("pad", paddings([0, 0, -1, 1, 1, 1, 0, 0]), r"\(PAD\) has a padding of -1"),
    ("pad", paddings([0, 0, 1, 1, 1, 9, 0, 0]), r"\(PAD\) cannot make"),
    ("concatenation", _same_scale, r"joins tensors of several scales"),
    ("dense_of_one", _zero_scale, "has a scale of 0"),
    ("dense_of_one", _nan_scale, "has a scale of nan"),
    ("dense_of_one", _zero_point, "has a zero point that is not int8"),
    ("dense_of_one", _bias_scale, "bias of another scale"),
    ("transpose", _axes, "has an order of axes that is none"),
    ("strided_slice", _strides, "has a stride of 0"),
    ("split", _split_axis, "splits along an axis that its input does not have"),
    ("gather", _gathered, "gathers a place beyond"),
    ("maximum", _no_second_input, "has 1 inputs and 1 outputs"),
]


@pytest.mark.parametrize(("name", "edit", "message"), FAULTS, ids=[f"{n}-{m}" for n, _, m in FAULTS])
def test_a_planted_fault_is_refused_by_name(name: str, edit: Callable[[Any], None], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_graph(edited((OPERATORS / f"{name}.tflite").read_bytes(), edit))


def test_transpose_conv_is_costed_from_its_file() -> None:
    costs = CostModel(load_target("cortex_m4")).estimate(
        read_graph((OPERATORS / "transpose_conv.tflite").read_bytes())
    )
    assert costs.sram_bytes > 0


def batched(name: str, batch: int) -> bytes:
    """A model whose tensors have another batch; its constants stay."""

    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        for entry in graph.tensors:
            held = model.buffers[entry.buffer].data
            if (held is None or len(held) == 0) and len(entry.shape) > 1:
                entry.shape = [batch, *[int(size) for size in entry.shape[1:]]]

    return edited((OPERATORS.parent / "calibration" / f"{name}.tflite").read_bytes(), edit)


@pytest.mark.parametrize("name", ["plain-20067", "mbv2-20175", "ds_cnn-20059"])
@pytest.mark.parametrize("target", ["nrf52840", "corstone300", "rp2040"])
def test_a_batch_costs_at_least_as_much_as_its_samples(name: str, target: str) -> None:
    model = CostModel(load_target(target))
    one, four = (model.estimate(read_graph(batched(name, batch))) for batch in (1, 4))
    assert one.instructions is not None
    assert four.instructions is not None
    # The fast depthwise kernels take batches of one, so a batch may cost more than its samples one by one.
    assert 3.6 * one.instructions < four.instructions < 40 * one.instructions
    assert four.macs == 4 * one.macs
    assert four.sram_bytes > one.sram_bytes


def test_a_dynamic_batch_that_does_not_fit_is_not_called_damaged() -> None:
    def dynamic(model: Any) -> None:
        op = operator(model, 9)
        shape = tensor(model, op.inputs[0])
        shape.shapeSignature = [-1, *[int(size) for size in shape.shape[1:]]]
        tensor(model, op.outputs[0]).shape = [3, 3]

    with pytest.raises(UserError) as caught:
        read_graph(edited((OPERATORS / "dense_biased.tflite").read_bytes(), dynamic))
    assert str(caught.value) == (
        "The model has dynamic shapes, such as its batch, and those stored in their place do not fit together:"
        " TFLM does not run it. Convert it with fixed shapes and a batch of 1."
    )
