from __future__ import annotations

from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.bundle.names import check_name
from nas.run.config import RunConfig

from .conftest import Finished

TAKE_WORD = "Take lower-case letters, digits and single underscores, a letter first, no keyword of C."


@pytest.mark.parametrize(
    "name", ["KWS", "1st", "int", "a-b", "", "a__b", "main", "a\n", "nullptr", "gr\u00f6sse"]
)
def test_a_name_that_is_no_c_identifier_is_refused(finished: Finished, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError) as caught:
        finished.with_model(name=name).export(tmp_path / "b")
    assert (
        str(caught.value) == f"{name!r} cannot name a model: files and C symbols begin with it. {TAKE_WORD}"
    )


@pytest.mark.parametrize("name", ["string", "math", "time", "stdint", "errno", "locale", "arduino"])
def test_a_name_whose_header_would_hide_a_system_header_is_refused(name: str) -> None:
    with pytest.raises(UserError) as caught:
        check_name(name)
    assert caught.value.message == (
        f"{name!r} cannot name a model: {name}.h is a system header, which the model's own would hide."
    )
    assert caught.value.hint == f"Take another, like {name}_net."


@pytest.mark.parametrize("ending", ["_model", "_golden", "_io", "_frontend", "_self_test", "_self_test_main"])
def test_a_name_that_ends_as_a_bundles_files_do_is_refused(ending: str) -> None:
    with pytest.raises(UserError) as caught:
        check_name("kws" + ending)
    assert caught.value.message == (f"'kws{ending}' cannot name a model: files of a bundle end in {ending}.")


def test_the_longest_name_is_the_configurations_too() -> None:
    check_name("a" * 32)
    assert RunConfig.model_validate({"name": "a" * 32}).name == "a" * 32
    with pytest.raises(UserError, match=r"it has 33 characters\. Take 32 at most\."):
        check_name("a" * 33)
    with pytest.raises(ValueError, match="name"):
        RunConfig.model_validate({"name": "a" * 33})


@pytest.mark.parametrize("name", ["model", "kws", "io", "timer", "model2", "x"])
def test_plain_names_are_taken(name: str) -> None:
    check_name(name)
