"""Tasks of the user's own: files and modules that export TASK, their mistakes, and who may run their code."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cost_models.errors import UserError
from nas.cli import export, submit
from nas.cli.run import main
from nas.run import pipeline
from nas.run.config import RunConfig, make_config
from nas.run.folder import RunFolder, save_config
from nas.run.listeners import Silent
from nas.tasks import load_task
from nas.testing import check_task

MODEL = Path(__file__).parents[2] / "data/calibration/tcn-20013.tflite"
TASK = """\
import numpy as np

from nas.tasks import split_parts


def load(argument, options):
    rng = np.random.default_rng(int(argument or 0))
    return split_parts(name="noise", samples=rng.normal(size=(60, 5)), labels=np.arange(60) % 3)


TASK = load
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(TASK)
    return path


def refusal(text: str) -> str:
    with pytest.raises(UserError) as error:
        load_task(text)
    assert error.value.hint
    return str(error.value)


def test_a_file_is_given_what_stands_after_the_colon(own: Path) -> None:
    one, other = load_task(f"{own}:1"), load_task(f"{own}:2")
    assert one.info.name == "noise"
    assert one.info.samples == {"train": 36, "val": 12, "test": 12}
    assert one.digest() != other.digest()
    assert load_task(str(own)).digest() == load_task(f"{own}:0").digest()


def test_a_module_is_named_as_in_an_import(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = own.parent / "gearbox_data"
    package.mkdir()
    (package / "__init__.py").touch()
    own.rename(package / "rows.py")
    monkeypatch.syspath_prepend(str(own.parent))
    assert load_task("gearbox_data.rows:1").info.name == "noise"
    assert refusal("gearbox_data.columns") == (
        "The task gearbox_data.columns cannot be imported: No module named 'gearbox_data.columns'."
        " Check the module's name and its path."
    )


def test_a_file_may_hold_data_classes_with_annotations_as_text(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from __future__ import annotations\n\nfrom dataclasses import dataclass\n\n\n"
        f"@dataclass\nclass Row:\n    speed: float\n\n\n{TASK}"
    )
    assert load_task(str(path)).info.name == "noise"


def test_a_file_that_is_missing_is_said_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    said = "There is no task file no/such.py. Give a path to a Python file that exports TASK."
    assert refusal("no/such.py:rows.csv") == said
    assert main(["--task", "no/such.py:rows.csv", "--dry-run"]) == 2
    assert " ".join(capsys.readouterr().err.split()) == f"nas-run: {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "{} exports no TASK. See `Your own task` in docs/data.md."),
        ("TASK = 3\n", "{} exports no TASK. See `Your own task` in docs/data.md."),
        (
            "def TASK(argument, options):\n    return [1]\n",
            "The task {} returns list, not a Dataset. Return what split_parts or make_dataset of nas.tasks make."
            " See `Your own task` in docs/data.md.",
        ),
        (
            "def TASK(argument, options):\n    rows = {}\n    return rows['speed']\n",
            "The task {} fails: KeyError: 'speed' (own.py, line 3). Correct the file, or what it is given.",
        ),
        (
            "class Rows:\n    def __call__(self, argument, options):\n        return 1 / 0\n\n\nTASK = Rows()\n",
            "The task {} fails: ZeroDivisionError: division by zero (own.py, line 3)."
            " Correct the file, or what it is given.",
        ),
        (
            "def TASK(argument):\n    return argument\n",
            "The task {} fails: TypeError: TASK() takes 1 positional argument but 2 were given."
            " Correct the file, or what it is given.",
        ),
        (
            "rows = []\nfirst = rows[0]\n",
            "The task {} fails to load: IndexError: list index out of range (own.py, line 2). Correct the file.",
        ),
        (
            "TASK = (\n",
            "The task {} fails to load: SyntaxError: '(' was never closed (own.py, line 1). Correct the file.",
        ),
        (
            "import sys\n\n\ndef TASK(argument, options):\n    sys.exit(3)\n",
            "The task {} fails: SystemExit: 3 (own.py, line 5). Correct the file, or what it is given.",
        ),
        (
            "import argparse\nargparse.ArgumentParser().parse_args(['--no'])\n",
            "The task {} fails to load: SystemExit: 2 (own.py, line 2). Correct the file.",
        ),
        (
            "from nas.tasks import make_dataset\n\n\ndef TASK(argument, options):\n"
            "    rows = {'train': [[1.0, 2.0]] * 9, 'test': [[1.0, 2.0]] * 9}\n"
            "    return make_dataset(name='m', samples=rows, labels={'train': [0], 'test': [1]})\n",
            "m: X_val is missing. Give samples and labels of train, val and test; split_parts splits samples of one"
            " heap.",
        ),
        (
            "from nas.tasks import split_parts\n\n\ndef TASK(argument, options):\n"
            "    return split_parts(name='m', samples=[[1.0, 2.0], [1.0]], labels=['a', 'b'])\n",
            "m: X is not an array of numbers of one shape. Give samples of one length, as an array of numbers.",
        ),
        (
            "from cost_models.errors import UserError\n\n\ndef TASK(argument, options):\n"
            "    raise UserError('The column speed is missing.', 'Add it.')\n",
            "The column speed is missing. Add it.",
        ),
    ],
)
def test_a_mistake_in_a_task_is_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    assert refusal(str(path)) == said.format(path)


def test_a_task_may_hand_over_lists_and_columns_of_words(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "import numpy as np\nfrom nas.tasks import split_parts\n\n\ndef TASK(argument, options):\n"
        "    rows = [[float(i), float(i % 7)] for i in range(40)]\n"
        "    words = ['run', 'rest'] * 20\n"
        "    if argument:\n        words = np.array(words, dtype=object)\n"
        "    return split_parts(name='m', samples=rows, labels=words, groups=[str(i // 4) for i in range(40)])\n"
    )
    of_lists, of_objects = load_task(str(path)), load_task(f"{path}:objects")
    assert of_lists.info.class_names == ("rest", "run")
    assert of_lists.digest() == of_objects.digest()
    assert not set(of_lists.groups["train"]) & set(of_lists.groups["test"])


def test_options_that_an_own_task_does_not_read_are_refused(own: Path) -> None:
    with pytest.raises(UserError, match=re.escape(f"--image-size is of no use to the task {own}.")):
        load_task(str(own), RunConfig(image_size=32))


def test_an_own_task_that_hands_its_options_on_finds_anomalies(own: Path) -> None:
    own.write_text(TASK.replace("% 3)", "% 3, options=options)"))
    data = load_task(str(own), RunConfig(normal="1", false_alarms=0.1))
    assert data.info.class_names == ("1", "anomaly")
    assert data.info.false_alarms == 0.1
    assert not data.labels["train"].any()
    check_task(str(own), options=RunConfig(normal="1"))
    numbers = load_task(str(own), RunConfig(metric="rmse"))
    assert [target.name for target in numbers.info.targets] == ["y"]


@pytest.mark.parametrize(("config", "flag"), [({"normal": "1"}, "--normal"), ({"metric": "mae"}, "--metric")])
def test_an_own_task_that_keeps_its_options_to_itself_is_told(
    own: Path, config: dict[str, Any], flag: str
) -> None:
    with pytest.raises(
        UserError, match=re.escape(f"The task {own} makes nothing of {flag}. Hand its options on")
    ):
        load_task(str(own), make_config(config, {}))


@pytest.fixture
def begun(own: Path) -> Path:
    """A run with a task whose code leaves a mark; its data have changed since."""
    own.write_text(f"open({str(own.parent / 'RAN')!r}, 'w').close()\n{TASK}")
    folder = RunFolder(path=own.parent / "run")
    (folder.path / "models").mkdir(parents=True)
    save_config(folder, RunConfig(task=f"{own}:1", seed=1), "of other data")
    return folder.path


def test_a_resume_does_not_run_a_task_that_only_the_run_folder_names(
    begun: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--resume", str(begun)]) == 2
    assert " ".join(capsys.readouterr().err.split()) == (
        f"nas-run: The run {begun} learns the task {own}:1, which is code that a resume would execute."
        f" Add --trust-space if you trust it, or name it yourself: --task {own}:1."
    )
    assert not (own.parent / "RAN").exists()


@pytest.mark.parametrize("how", ["trusted", "named"])
def test_a_resume_runs_a_task_that_the_user_trusts_or_names(
    begun: Path, own: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--trust-space"] if how == "trusted" else ["--task", f"{own}:1"]
    assert main(["--resume", str(begun), *words]) == 2
    assert "has changed since" in capsys.readouterr().err
    assert (own.parent / "RAN").exists()


def test_a_resume_takes_no_other_task(begun: Path, own: Path) -> None:
    with pytest.raises(UserError, match=r"^--task cannot change in a resumed run\."):
        pipeline.resume(str(begun), {"task": f"{own}:2"}, {"task": "--task"}, Silent())
    assert not (own.parent / "RAN").exists()


@pytest.mark.parametrize("trusted", [False, True])
def test_an_export_runs_such_a_task_only_where_it_is_trusted(
    begun: Path, own: Path, tmp_path: Path, trusted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    (begun / "models/0123456789abcdef-10.tflite").write_bytes(MODEL.read_bytes())
    trial = {"number": 0, "state": "evaluated", "digest": "0123456789abcdef", "steps": 10, "params": {}}
    (begun / "result.json").write_text(json.dumps({"front": [0], "chosen": {"number": 0}, "trials": [trial]}))
    words = [str(begun), "--out", str(tmp_path / "bundle"), *(["--trust-space"] if trusted else [])]
    assert export.main(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert (own.parent / "RAN").exists() == trusted
    if trusted:
        assert "has changed since" in said
    else:
        assert said == (
            f"nas-export: The run {begun} learns the task {own}:1, which is code that an export would execute."
            " Add --trust-space if you trust it."
        )


def packed(root: Path, **given: str) -> dict[str, object]:
    submit.pack_job(root, make_config(given, {}), given)
    return tomllib.loads((root / "job.toml").read_text())


def test_a_submitted_job_carries_the_file_and_what_its_argument_names(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("speed\n1\n")
    assert packed(tmp_path / "a", task="own.py:rows.csv") == {"task": "own.py:rows.csv"}
    assert (tmp_path / "a/own.py").read_text() == TASK
    assert (tmp_path / "a/rows.csv").read_text() == "speed\n1\n"
    assert packed(tmp_path / "b", task=f"{own}:{tmp_path / 'rows.csv'}") == {
        "task": "files/own.py:files/rows.csv"
    }
    assert (tmp_path / "b/files/rows.csv").exists()


def test_an_argument_of_a_submitted_task_need_not_be_a_file(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert packed(tmp_path / "a", task="own.py:1") == {"task": "own.py:1"}
    assert packed(tmp_path / "b", task="own.py:") == {"task": "own.py:"}
    assert packed(tmp_path / "c", task="gearbox_data.rows:1") == {"task": "gearbox_data.rows:1"}
    for name in "bc":
        carried = {path.name for path in (tmp_path / name).iterdir()}
        assert carried - {"own.py"} == {"nas", "search_spaces", "cost_models", "job.toml"}


def test_files_of_one_name_from_two_folders_are_both_carried(own: Path, tmp_path: Path) -> None:
    space = tmp_path / "spaces" / "own.py"
    space.parent.mkdir()
    space.write_text("SPACE = None\n")
    values = packed(tmp_path / "job", task=str(own), space=str(space))
    assert values == {"task": "files/own.py", "space": "files-2/own.py"}
    assert (tmp_path / "job/files/own.py").read_text() == TASK
    assert (tmp_path / "job/files-2/own.py").read_text() == "SPACE = None\n"


def test_a_dry_run_of_an_own_task_trains_nothing(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", f"{own}:1", "--space", "mlp", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["task"] == f"{own}:1"
