"""The import rules: three packages, one direction; heavy libraries have one home each."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("tensorflow", "tf_keras", "ray", "optuna", "tensorflow_model_optimization")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", modules("cost_models"), ids=str)
def test_cost_models_import_neither_of_the_other_packages(path: Path) -> None:
    assert not tops(path) & {"nas", "search_spaces", *HEAVY}


@pytest.mark.parametrize("path", modules("search_spaces"), ids=str)
def test_search_spaces_import_only_the_graph_and_the_errors_of_cost_models(path: Path) -> None:
    assert not tops(path) & {"nas", *HEAVY}
    theirs = {name for name in imported(path) if name.startswith("cost_models")}
    allowed = ("cost_models.graph", "cost_models.errors")
    assert all(name.startswith(allowed) for name in theirs), theirs


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("tensorflow", "nas/tf"),
        ("tf_keras", "nas/tf"),
        ("tensorflow_model_optimization", "nas/tf"),
        ("optuna", "nas/search"),
        ("ray", "nas/execute"),
    ],
)
def test_a_heavy_library_is_imported_in_its_home_only(library: str, home: str) -> None:
    strangers = [p for p in modules("nas") if library in tops(p) and not p.is_relative_to(ROOT / home)]
    assert not strangers


@pytest.mark.parametrize(
    "code",
    [
        "import nas, search_spaces, cost_models",
        "from nas.cli.run import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from nas.cli.run import main; assert main(['--task', 'nothing']) == 2",
        "from cost_models.cli import main; assert main(['no-such-file']) == 2",
    ],
)
def test_help_and_imports_and_plain_mistakes_load_nothing_heavy(code: str) -> None:
    heavy = ", ".join(repr(name) for name in (*HEAVY, "sklearn", "plotly", "ai_edge_litert"))
    check = f"{code}\nimport sys\nassert not {{{heavy}}} & set(sys.modules), sorted({{{heavy}}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
