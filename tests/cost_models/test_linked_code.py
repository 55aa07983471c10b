"""The fitted base of the code sizes: its median, and errors of programs that it was not fitted to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cost_models.code_size import CodeSizes
from cost_models.linked_code import LinkedCase, base_shift, left_out_errors, linked_cases


def case(linked: int, lacking: int) -> LinkedCase:
    return LinkedCase(operators=frozenset({"ADD"}), linked=linked, lacking=lacking)


def test_the_base_is_fitted_without_the_program_that_it_predicts() -> None:
    cases = [case(100, 0), case(100, 0), case(100, 10)]
    assert base_shift(cases) == 0
    # Without the third the base lacks nothing, so the third lacks 10 of its 100 bytes; the others get half.
    assert left_out_errors(cases) == [0.05, 0.05, -0.1]


@pytest.mark.parametrize(("kernels", "registrations"), [("cmsis_nn", "int8"), ("reference", "default")])
def test_programs_are_those_of_the_library_with_its_registrations(
    kernels: str, registrations: str, tmp_path: Path
) -> None:
    value = CodeSizes(kernels=kernels, core="cortex-m4").of(["ADD"]).value_bytes
    programs = [
        {"operators": ["ADD"], "kernels": library, "registrations": names, "code_bytes": value + 7}
        if (library, names) == (kernels, registrations)
        else {"operators": ["MUL"], "kernels": library, "registrations": names, "code_bytes": 1}
        for library in ("cmsis_nn", "reference")
        for names in ("int8", "default")
    ]
    (tmp_path / "code_size.json").write_text(json.dumps(programs))
    expected = LinkedCase(operators=frozenset({"ADD"}), linked=value + 7, lacking=7)
    assert linked_cases(tmp_path, kernels) == [expected]
