from __future__ import annotations

import ast
from pathlib import Path

import pytest

from cost_models import cycles
from cost_models.summing import ordered_sum


def test_a_sum_is_added_from_left_to_right_on_every_python() -> None:
    """From 3.12 on the built-in `sum` gives 2.0, which is right, and not what 3.11 gives."""
    assert ordered_sum([1.0, 1e100, 1.0, -1e100]) == 0.0
    assert ordered_sum([]) == 0
    assert ordered_sum(iter([1, 2])) == 3


@pytest.mark.parametrize("name", ["model", "classes", "conv"])
def test_a_prediction_does_not_depend_on_the_pythons_sum(name: str) -> None:
    text = (Path(cycles.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    calls = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "sum"]
