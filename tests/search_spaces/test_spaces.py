"""The contract of search spaces, run over every file in `search_spaces/spaces`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import FixedTrial

from cost_models.errors import UserError
from nas.testing import check_space
from search_spaces.space import SearchSpace, candidate, list_spaces, load_space

INPUT_SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (96, 96, 3), (64, 6), (128, 2), (8000, 1), (49, 10, 1)]


@pytest.fixture(params=list_spaces())
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return load_space(request.param)


@pytest.mark.parametrize("shape", INPUT_SHAPES, ids=str)
def test_every_space_keeps_the_contract(space: SearchSpace, shape: tuple[int, ...]) -> None:
    check_space(space, shape, classes=10)
    check_space(space, shape, classes=3)


def test_optunas_trials_are_answers_as_they_stand(space: SearchSpace) -> None:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)).ask()
    first = candidate(space, trial, input_shape=(32, 32, 3), classes=3)
    assert candidate(space, FixedTrial(trial.params), input_shape=(32, 32, 3), classes=3) == first


def test_every_space_is_named_like_its_file(space: SearchSpace) -> None:
    assert load_space(space.name) is space


def test_spaces_import_neither_optuna_nor_tensorflow(space: SearchSpace) -> None:
    code = (
        "import sys; from search_spaces.space import load_space; import search_spaces.lower;"
        f"load_space({space.name!r});"
        "print([name for name in ('optuna', 'tensorflow', 'ray', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_space_comes_from_a_file_or_a_module(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from search_spaces.spaces.ds_cnn import SPACE\n")
    assert load_space(str(path)) is load_space("ds_cnn")
    assert load_space("search_spaces.spaces.ds_cnn") is load_space("ds_cnn")


def test_a_space_that_is_not_there_is_a_sentence_and_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_space("ds_cmm")
    assert str(caught.value) == "There is no search space 'ds_cmm'. Did you mean ds_cnn?"
    with pytest.raises(UserError, match=r"There is no search space file .*none\.py"):
        load_space(str(tmp_path / "none.py"))
    with pytest.raises(
        UserError, match=r"The search space no_such\.module cannot be imported: No module named"
    ):
        load_space("no_such.module")
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    with pytest.raises(UserError, match="fails to load: ZeroDivisionError: division by zero"):
        load_space(str(broken))
    broken.write_text("SPACE = 3\n")
    with pytest.raises(UserError, match=r"exports no search space\. It needs SPACE ="):
        load_space(str(broken))


def test_plain_vectors_are_refused_by_convolutional_spaces() -> None:
    with pytest.raises(UserError) as caught:
        load_space("ds_cnn").build(FixedTrial({}), input_shape=(64,), classes=2)
    assert str(caught.value) == (
        "This search space needs images (height, width, channels) or signals (time, channels), not (64,). "
        "For plain vectors take the space mlp."
    )


BROKEN_SPACE = """
class Space:
    name = "mine"

    def build(self, trial, *, input_shape, classes):
        height, width, channels = input_shape
        return height


SPACE = Space()
"""


def test_a_users_space_that_raises_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "my_space.py"
    path.write_text(BROKEN_SPACE)
    with pytest.raises(UserError) as caught:
        candidate(load_space(str(path)), FixedTrial({}), input_shape=(64, 6), classes=2)
    assert str(caught.value) == (
        "The search space mine fails for input (64, 6): ValueError: not enough values to unpack (expected 3, got 2)"
        " (my_space.py, line 6). Each answer to its choices must give a network that can be built."
    )
    with pytest.raises(UserError) as caught:
        candidate(load_space(str(path)), FixedTrial({}), input_shape=(8, 8, 1), classes=2)
    assert str(caught.value) == (
        "The build method of the search space mine returns int. It must return an ArchSpec, as Sketch.spec() makes it."
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1\ny = x / 0\n", r"ZeroDivisionError: division by zero \(my_space\.py, line 2\)\."),
        ("def f(:\n", r"SyntaxError: invalid syntax \(my_space\.py, line 1\)\."),
        (
            "import no_such_thing\n",
            r"ModuleNotFoundError: No module named 'no_such_thing' \(my_space\.py, line 1\)\.",
        ),
    ],
)
def test_a_space_file_that_fails_to_load_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    (tmp_path / "my_space.py").write_text(text)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path / "my_space.py"), "my_space.py", "./my_space.py", "below/../my_space.py"):
        with pytest.raises(UserError, match=r"The search space .*my_space\.py fails to load: " + fault):
            load_space(path)
