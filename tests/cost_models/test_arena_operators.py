"""Every operator's memory rule equals what real TFLM builds reported for small models of that operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cost_models.arena import arena, plan, timeline, verify_plan
from cost_models.arena.rules import RULES
from cost_models.graph import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    KernelOptions,
    NoOptions,
    Operator,
    OpGraph,
    Options,
    SignalOptions,
    Tensor,
    TransposeConv2DOptions,
)
from cost_models.signal_operators import PARAMETERS
from cost_models.target_file import load_target
from cost_models.timeline_text import timeline_text

MODELS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "arena_operators.json").read_text(encoding="utf-8")
)["models"]
BUILDS = {
    "plain": ("cmsis_nn", "cortex-m3"),
    "dsp": ("cmsis_nn", "cortex-m4"),
    "mve": ("cmsis_nn", "cortex-m55"),
    "reference": ("reference", "cortex-m4"),
    "wide": ("reference", "riscv32"),
}


def options_of(kind: str, values: dict[str, Any]) -> Options:
    match kind:
        case "CONV_2D":
            return Conv2DOptions(**values)
        case "DEPTHWISE_CONV_2D":
            return DepthwiseConv2DOptions(**values)
        case "TRANSPOSE_CONV":
            return TransposeConv2DOptions(**values)
        case _ if kind in PARAMETERS:
            return SignalOptions(values=tuple(values.items()))
        case _ if values:
            return KernelOptions(values=tuple(values.items()))
        case _:
            return NoOptions()


def graph_of(model: dict[str, Any]) -> OpGraph:
    return OpGraph(
        tensors=tuple(
            Tensor(
                shape=tuple(shape),
                dtype=dtype,
                data_bytes=data_bytes,
                scales=scales,
                zero_points=zero_points,
                is_variable=bool(variable),
            )
            for shape, dtype, data_bytes, scales, zero_points, variable in model["tensors"]
        ),
        operators=tuple(
            Operator(
                kind=kind, inputs=tuple(inputs), outputs=tuple(outputs), options=options_of(kind, options)
            )
            for kind, inputs, outputs, options in model["operators"]
        ),
        inputs=tuple(model["inputs"]),
        outputs=tuple(model["outputs"]),
        others=tuple(graph_of(other) for other in model.get("others", ())),
    )


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model["name"])
def test_arena_of_a_small_model_equals_the_measured_one_on_every_build(model: dict[str, Any]) -> None:
    graph = graph_of(model)
    for build, measured in model["bytes"].items():
        kernels, core = BUILDS[build]
        memory = arena(graph, kernels=kernels, core=core)
        assert (build, memory.used_bytes, memory.min_bytes) == (build, *measured)
        assert not verify_plan(plan(graph, kernels=kernels, core=core), memory.planned_bytes)


def test_every_rule_was_checked_against_a_real_build() -> None:
    parts = [part for model in MODELS for part in (model, *model.get("others", ()))]
    checked = {operator[0] for part in parts for operator in part["operators"]}
    assert checked == set(RULES) - {"ETHOS_U"}  # that one: test_ethos_u.py


@pytest.mark.parametrize(
    "model", [model for model in MODELS if "others" in model], ids=lambda model: model["name"]
)
def test_the_timeline_of_a_model_of_several_subgraphs_shows_their_fullest_moment(
    model: dict[str, Any],
) -> None:
    graph = graph_of(model)
    memory = timeline(graph, kernels="reference", core="cortex-m4")
    assert 0 < memory.steps[memory.peak].live_bytes <= memory.planned_bytes
    assert "Peak at operator" in timeline_text("m", graph, load_target("nrf52840"))
