from __future__ import annotations

from pathlib import Path

from nas.run.config import keys
from nas.run.reference import reference_text

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_reference_is_that_of_the_configuration() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_text(), "scripts/reference writes it again"


def test_the_reference_names_every_flag_with_its_values() -> None:
    text = reference_text()
    for name in keys():
        assert f"| `--{name.replace('_', '-')}` |" in text
    assert (
        "| `--finalists` | whole number from 1 to 1,000 | how many are trained in full (default: 4) | may change |"
        in text
    )
    assert (
        "| `--metric` | `accuracy`, `balanced_accuracy`, `macro_f1`, `auc`, `partial_auc`, `rmse`, `mae`, `r2`,"
        " `auto` |" in text
    )
    assert "(for timeseries, audio)" in text
