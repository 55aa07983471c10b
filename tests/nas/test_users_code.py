"""Files of users whose code ends or fails in unusual ways: a sentence, and never an exit code of theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.strategy.samplers import make_sampler
from nas.tasks import load_task
from search_spaces.space import load_space

LOADS: dict[str, Callable[[str], object]] = {
    "task": load_task,
    "sampler": lambda name: make_sampler(name, 1),
    "search space": load_space,
}
FAULTS = {
    "class Fault(Exception):\n    def __str__(self):\n        raise ValueError\nraise Fault": "Fault (own.py, line 4).",
    "def __getattr__(name):\n    raise RuntimeError('none')": "RuntimeError: none (own.py, line 2).",
    "raise SystemExit(3)": "SystemExit: 3 (own.py, line 1).",
}


@pytest.mark.parametrize("code", FAULTS)
@pytest.mark.parametrize("what", LOADS)
def test_a_file_that_fails_oddly_is_a_sentence(what: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(code)
    with pytest.raises(UserError) as caught:
        LOADS[what](str(path))
    assert caught.value.message == f"The {what} {path} fails to load: {FAULTS[code]}"


def test_a_sampler_that_exits_does_not_end_the_run_with_its_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("import sys\n\ndef SAMPLER(seed):\n    sys.exit(0)\n")
    with pytest.raises(UserError, match=r"fails to start: SystemExit: 0 \(own\.py, line 4\)\."):
        make_sampler(str(path), 1)
