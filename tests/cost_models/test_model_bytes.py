"""model_bytes is the length of the lean flatbuffer, to the byte, from the graph alone."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.canonical import canonical_graph
from cost_models.errors import UserError
from cost_models.graph import Operator, OpGraph
from cost_models.lean import lean
from cost_models.model_bytes import model_bytes
from cost_models.tflite_graph import read_graph
from tests.cost_models.tflite_models import CALIBRATION, OPERATORS, SAMPLES, dense_chain, name


@pytest.mark.parametrize("path", SAMPLES + OPERATORS, ids=name)
def test_the_length_is_predicted_to_the_byte(path: Path) -> None:
    data = path.read_bytes()
    leaned = lean(data)
    assert model_bytes(read_graph(leaned)) == len(leaned)
    assert model_bytes(canonical_graph(read_graph(data)).graph) == len(leaned)


@pytest.mark.skipif(not CALIBRATION.is_dir(), reason="the full calibration set is not beside this checkout")
def test_over_the_calibration_set_the_length_is_predicted_to_the_byte() -> None:
    paths = sorted(CALIBRATION.glob("*.tflite"))
    assert len(paths) >= 200
    for path in paths:
        leaned = lean(path.read_bytes())
        assert model_bytes(read_graph(leaned)) == len(leaned), path.name


layers = st.lists(st.tuples(st.integers(1, 21), st.booleans(), st.booleans()), min_size=1, max_size=7)


@settings(max_examples=150, deadline=None)
@given(first=st.integers(1, 21), rest=layers)
def test_any_widths_leave_holes_that_are_counted_right(
    first: int, rest: list[tuple[int, bool, bool]]
) -> None:
    widths, biased, per_channel = zip(*rest)
    data = dense_chain([first, *widths], biased, per_channel)
    leaned = lean(data)
    graph = read_graph(leaned)
    assert model_bytes(graph) == len(leaned)
    assert graph == canonical_graph(read_graph(data)).graph


def test_more_weights_never_shrink_the_model() -> None:
    sizes = [
        model_bytes(read_graph(lean(dense_chain([8, units, 4], [True] * 2, [True] * 2))))
        for units in range(1, 40)
    ]
    assert sizes == sorted(sizes)


def test_an_operator_that_cannot_be_stored_lean_is_refused() -> None:
    graph = read_graph(lean(SAMPLES[0].read_bytes()))
    last = graph.operators[-1]
    odd = dataclasses.replace(
        graph,
        operators=(*graph.operators[:-1], Operator(kind="ONE_HOT", inputs=last.inputs, outputs=last.outputs)),
    )
    with pytest.raises(UserError) as caught:
        model_bytes(odd)
    assert caught.value.message == "The model has an operator ONE_HOT, which cannot be made lean."
    assert caught.value.hint == "Export it without leaning, or use operators that TFLM runs on int8."


def test_the_prediction_takes_microseconds() -> None:
    graph = max((read_graph(lean(path.read_bytes())) for path in SAMPLES), key=lambda g: len(g.operators))
    best = min(_timed(graph) for _ in range(20))
    assert best / len(graph.operators) < 20e-6


def _timed(graph: OpGraph) -> float:
    start = time.perf_counter()
    model_bytes(graph)
    return time.perf_counter() - start
