"""The import rules: three packages, one direction; heavy libraries have one home each."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
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
    ("library", "homes"),
    [
        ("tensorflow", ["nas/tf"]),
        ("tf_keras", ["nas/tf"]),
        ("tensorflow_model_optimization", ["nas/tf"]),
        ("optuna", ["nas/strategy", "nas/testing/samplers.py"]),
        ("ray", ["nas/execute", "nas/cli/submit.py"]),
    ],
)
def test_a_heavy_library_is_imported_in_its_homes_only(library: str, homes: list[str]) -> None:
    strangers = [
        path
        for path in modules("nas")
        if library in tops(path) and not any(path.is_relative_to(ROOT / home) for home in homes)
    ]
    assert not strangers


# Rooms of `nas`, from the top down: a room imports from the layers below its own, never from its own layer or above.
LAYERS = (
    ("__main__", "__init__", "api", "bench", "testing"),
    ("cli",),
    ("run",),
    ("tf", "bundle", "report"),
    ("strategy",),
    ("execute", "tasks"),
    ("frontend",),
    ("runtimes",),
    ("model",),
)


def room(path: Path) -> str:
    return path.relative_to(ROOT / "nas").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules("nas"), ids=str)
def test_rooms_import_only_from_lower_layers(path: Path) -> None:
    level = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}
    own = room(path)
    upward = {
        name
        for name in imported(path)
        if name.startswith("nas.") and name.split(".")[1] in level and name.split(".")[1] != own
        if level[name.split(".")[1]] <= level[own] and own != "__init__"
    }
    assert not upward


def test_only_the_command_lines_print() -> None:
    homes = (ROOT / "nas/cli", ROOT / "nas/bench", ROOT / "nas/tf/twins.py")
    for path in modules("nas"):
        calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        prints = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
        assert not prints or any(path.is_relative_to(home) for home in homes), path


@pytest.mark.parametrize("package", ["nas", "cost_models", "search_spaces"])
def test_no_module_is_imported_by_what_it_imports(package: str) -> None:
    """No circle, wherever in a file the import stands."""
    names = {module_name(path): path for path in modules(package)}
    graph = {name: _imported_modules(path, names) - {name} for name, path in names.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def _imported_modules(path: Path, known: Mapping[str, Path]) -> set[str]:
    """The modules that a file imports; for a sub-module, not the package that it is in."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & known.keys() or {node.module}
    return found & known.keys()


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize(
    "code",
    [
        "import nas, search_spaces, cost_models",
        "from nas.cli.run import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from nas.cli.run import main; assert main(['--task', 'nothing']) == 2",
        "from cost_models.cli import main; assert main(['no-such-file']) == 2",
        "from nas.cli.runs import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass",
        "from nas.cli.runs import main; assert main(['no-such-folder']) == 2",
    ],
)
def test_help_and_imports_and_plain_mistakes_load_nothing_heavy(code: str) -> None:
    heavy = ", ".join(repr(name) for name in (*HEAVY, "sklearn", "plotly", "ai_edge_litert"))
    check = f"{code}\nimport sys\nassert not {{{heavy}}} & set(sys.modules), sorted({{{heavy}}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
