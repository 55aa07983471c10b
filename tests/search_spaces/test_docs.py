from __future__ import annotations

import re
from pathlib import Path

import pytest
from optuna.trial import FixedTrial

from nas.testing import check_space
from search_spaces.space import candidate, list_spaces, load_space

DOCS = Path(__file__).parents[2] / "docs" / "search-spaces.md"


def blocks() -> tuple[str, str]:
    """The space, and how it is checked."""
    space, check = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return space, check


def example(folder: Path) -> Path:
    code, _ = blocks()
    path = folder / "my_space.py"
    path.write_text(code)
    return path


def test_the_space_in_the_docs_works(tmp_path: Path) -> None:
    space = load_space(str(example(tmp_path)))
    trial = FixedTrial({"filters": 8, "growth": 2, "prune_ratio": 0.5})
    one = candidate(space, trial, input_shape=(8, 8, 1), classes=3)
    assert [shape[-1] for shape in one.wide.shapes] == [8, 8, 16, 16, 3]
    assert [shape[-1] for shape in one.narrow.shapes] == [4, 4, 8, 8, 3]


def test_the_space_in_the_docs_passes_the_check_in_the_docs(tmp_path: Path) -> None:
    space = load_space(str(example(tmp_path)))
    exec(blocks()[1], {"SPACE": space})
    check_space(space)


@pytest.mark.slow
@pytest.mark.parametrize("input_shape", [(8, 8, 1), (64, 6)])
def test_the_space_in_the_docs_is_predicted_exactly(tmp_path: Path, input_shape: tuple[int, ...]) -> None:
    from nas.tf.twins import difference

    space = load_space(str(example(tmp_path)))
    trial = FixedTrial({"filters": 8, "growth": 2, "prune_ratio": 0.5})
    assert difference(candidate(space, trial, input_shape=input_shape, classes=3).narrow) is None


def test_the_space_in_the_docs_takes_signals(tmp_path: Path) -> None:
    space = load_space(str(example(tmp_path)))
    trial = FixedTrial({"filters": 8, "growth": 2, "prune_ratio": 0.0})
    one = candidate(space, trial, input_shape=(64, 6), classes=3)
    assert one.wide.shapes[:3] == ((64, 1, 8), (32, 1, 8), (32, 1, 16))


def test_the_docs_name_every_space() -> None:
    named = re.findall(r"^\| `(\w+)`", DOCS.read_text(), re.MULTILINE)
    assert sorted(named) == list(list_spaces())
