"""Each example runs as it stands, small: with few trainings, in a folder of its own."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nas.cli.run import _parser, main
from nas.run.config import make_config, read_job_file
from nas.tasks import load_task

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
TINY = [
    "--trials",
    "2",
    "--finalists",
    "1",
    "--steps",
    "20",
    "--final-steps",
    "40",
    "--workers",
    "1",
    "--seed",
    "1",
]


def run(folder: Path, *words: str) -> str:
    """What a Python command prints that is run in a folder, with one training where an example asks how many."""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": paths, "TRIALS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shortened(code: str) -> str:
    """The same with less time, all of which the one training would take."""
    assert code.count('timeout="2m"') == 1
    return code.replace('timeout="2m"', 'timeout="20s"')


@pytest.mark.slow
def test_the_script_exports_the_smallest_model(tmp_path: Path) -> None:
    said = run(tmp_path, "-c", shortened((EXAMPLES / "search_digits.py").read_text(encoding="utf-8")))
    assert "fits rp2040" in said
    assert re.search(r"^trial \d+: accuracy 0\.\d{3}, [\d,]+ B of SRAM$", said, re.MULTILINE)
    assert re.search(r"^bundle runs/digits-smallest, [\d,]+ B of flash$", said, re.MULTILINE)
    assert (tmp_path / "runs/digits-smallest/manifest.json").is_file()


NOTEBOOK = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
# As a notebook does it: all cells in one namespace, and the value that a cell ends with is shown.
RUN_CELLS = """
import ast, json, sys
names = {"__name__": "__main__"}
for source in json.load(open(sys.argv[1])):
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
        print(value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
"""


def cells(kind: str) -> list[dict[str, Any]]:
    return [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == kind]


@pytest.mark.slow
def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path: Path) -> None:
    sources = tmp_path / "cells.json"
    code = ["".join(cell["source"]) for cell in cells("code")]
    sources.write_text(json.dumps([shortened(one) if "timeout" in one else one for one in code]))
    said = run(tmp_path, "-c", RUN_CELLS, str(sources))
    assert "<pre>" in said, "the verdict, inline"
    assert "fits rp2040" in said
    assert "runs/digits-smallest" in said
    assert re.search(r"^rp2040 +SRAM [\d,]+ B, flash [\d,]+ B, [\d,]+ cycles$", said, re.MULTILINE)
    assert (tmp_path / "runs/digits-smallest/manifest.json").is_file()


def test_the_notebook_has_words_between_its_cells_and_small_text_outputs_alone() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    kinds = [cell["cell_type"] for cell in NOTEBOOK["cells"]]
    assert kinds == ["markdown", "code"] * len(cells("code"))
    for cell in cells("code"):
        ast.parse("".join(cell["source"]))
        for output in cell["outputs"]:
            assert output["output_type"] in ("stream", "execute_result")
            assert set(output.get("data", {"text/plain": ""})) == {"text/plain"}
        assert len(json.dumps(cell["outputs"])) < 5000
        assert str(ROOT.parent) not in json.dumps(cell["outputs"])


def test_the_notebook_searches_what_the_script_searches() -> None:
    (script,) = re.findall(r"result = .*", (EXAMPLES / "search_digits.py").read_text(encoding="utf-8"))
    assert any(script in "".join(cell["source"]) for cell in cells("code"))


@pytest.mark.parametrize(("document", "example"), [("search-spaces", "own_space"), ("data", "own_task")])
def test_the_code_in_the_docs_is_the_example_word_for_word(document: str, example: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / f"docs/{document}.md").read_text(), re.DOTALL)
    (code,) = [block for block in blocks if re.search("^(SPACE|TASK) = ", block, re.MULTILINE)]
    assert code == (EXAMPLES / f"{example}.py").read_text(encoding="utf-8")


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    """Signals of three speeds."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    steps = np.arange(32)
    signals = np.stack([np.sin(steps * (0.3 + 0.4 * label) + rng.uniform(0, 6)) for label in labels])
    samples = signals[..., None] * 900 + rng.normal(0, 90, (150, 32, 2))
    path = tmp_path / "waves.npz"
    np.savez(path, X=samples.astype(np.int16), y=labels, class_names=np.array(["slow", "mid", "fast"]))
    return path


def test_the_search_space_has_networks_for_pictures_and_for_signals(
    waves: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--space", str(EXAMPLES / "own_space.py"), "--dry-run", "--json"]
    assert main(words) == 0
    pictures = json.loads(capsys.readouterr().out)
    assert main([*words, "--task", f"npz:{waves}"]) == 0
    signals = json.loads(capsys.readouterr().out)
    assert pictures["data"]["taken_as"] != signals["data"]["taken_as"]
    assert pictures["fitting"] > 0
    assert signals["fitting"] > 0


@pytest.mark.slow
def test_the_search_space_is_searched_on_signals(tmp_path: Path, waves: Path) -> None:
    words = [
        "--space",
        str(EXAMPLES / "own_space.py"),
        "--task",
        f"npz:{waves}",
        "--out",
        "run",
        "--json",
        *TINY,
    ]
    result = json.loads(run(tmp_path, "-m", "nas", *words))
    assert result["chosen"]["bundle"]
    assert all({"filters", "growth"} <= set(trial["params"]) for trial in result["trials"])


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Ten machines, each with good and with worn bearings."""
    rng = np.random.default_rng(0)
    path = tmp_path / "rows.csv"
    lines = ["machine,state,x,y,z,temperature"]
    for machine in range(10):
        for state, level in (("good", 1.0), ("worn", 3.0)):
            lines += [
                f"press-{machine},{state}," + ",".join(f"{value:.3f}" for value in rng.normal(level, 0.5, 4))
                for _ in range(10)
            ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_task_reads_rows_and_keeps_machines_together(
    rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = f"{EXAMPLES / 'own_task.py'}:{rows}"
    assert main(["--task", task, "--space", "mlp", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fitting"] > 0
    dataset = load_task(task)
    assert dataset.info.class_names == ("good", "worn")
    assert dataset.info.input_shape == (4,)
    assert dataset.info.samples == {"train": 120, "val": 40, "test": 40}, "six, two and two machines"


@pytest.mark.slow
def test_the_task_is_searched_to_a_bundle(tmp_path: Path, rows: Path) -> None:
    task = f"{EXAMPLES / 'own_task.py'}:rows.csv"
    result = json.loads(
        run(tmp_path, "-m", "nas", "--task", task, "--space", "mlp", "--out", "run", "--json", *TINY)
    )
    assert result["task"]["name"] == "machines"
    assert result["chosen"]["bundle"]


def test_the_job_for_a_cluster_is_one() -> None:
    path = EXAMPLES / "cluster/job.toml"
    values = read_job_file(path)
    config = make_config(values, {key: f"{path}: key {key}" for key in values})
    assert (config.timeout, config.trial_timeout) == (8 * 3600, 600)
    text = (EXAMPLES / "cluster/README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (EXAMPLES / "cluster" / target).exists(), target
    for flag in set(re.findall(r"--[\w-]+", text)):
        assert flag in _parser()._option_string_actions


def test_the_workflow_of_a_firmware_repository_calls_this_repositorys_action() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    text = (EXAMPLES / "firmware-ci.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    (job,) = workflow["jobs"].values()
    (step,) = (step for step in job["steps"] if "/mcu-nas@" in step["uses"])
    assert set(step["with"]) <= set(action["inputs"])
    needed = {name for name, given in action["inputs"].items() if given.get("required")}
    assert needed <= set(step["with"])
    assert workflow["permissions"] == {"contents": "read"}
    shown = re.search(
        r"```yaml\n(.*?)```", (ROOT / "docs/firmware.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert shown is not None
    assert yaml.safe_load(shown[1]) == job["steps"], "docs/firmware.md shows the same steps"


def test_the_readme_and_the_docs_link_every_example() -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    )
    for path in EXAMPLES.rglob("*"):
        if path.is_file() and path.suffix in (".py", ".ipynb", ".yml", ".toml"):
            assert f"{path.relative_to(ROOT)})" in text, path
