from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas.bundle import verify
from nas.cli.exit_codes import DONE, USER_ERROR
from nas.cli.export import main
from nas.run.config import RunConfig
from nas.run.folder import RunFolder, save_config
from nas.tasks import load_task

from .conftest import TCN

DIGEST = "0123456789abcdef"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one trained network, as nas-run leaves it; the network is the tests' own."""
    base = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(3)
    data = base / "gestures.npz"
    count = 50
    np.savez(
        data,
        X=rng.integers(-2000, 2000, (count, 64, 1, 9)).astype(np.int16),
        y=np.arange(count) % 5,
        class_names=np.array(["up", "down", "left", "right", "still"]),
    )
    folder = RunFolder(path=base / "run")
    (folder.path / "models").mkdir(parents=True)
    config = RunConfig(task=f"npz:{data}", seed=5, name="gesture", budget="64KB")
    save_config(folder, config, load_task(config.task).digest())
    folder.save_model(DIGEST + "-10", TCN.read_bytes())
    folder.save_model(DIGEST + "-40", TCN.read_bytes())
    trial = {"state": "evaluated", "digest": DIGEST, "params": {"width": 8}}
    result = {
        "front": [1],
        "chosen": {"number": 1},
        "trials": [
            {**trial, "number": 0, "steps": 10},
            {**trial, "number": 1, "steps": 40},
            {**trial, "number": 2, "steps": 10, "state": "rejected"},
            {**trial, "number": 3, "steps": 10, "digest": "fedcba9876543210"},
        ],
    }
    folder.result_file.write_text(json.dumps(result))
    return folder.path


def test_the_chosen_model_leaves_verified_under_the_runs_name(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run), "--out", str(tmp_path / "b"), "--json"]) == DONE
    data = json.loads(capsys.readouterr().out)
    assert (data["name"], data["format"], data["delivery"]) == ("gesture", "tflm", None)
    assert data["verified"]["golden_count"] == 16
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["provenance"]["trial"] == 1
    assert manifest["budget"][0] == {"resource": "sram", "limit": 65536.0}
    assert [entry["part"] for entry in manifest["accuracies"]] == ["val", "test"]


@pytest.mark.parametrize(("model_id", "number"), [("0", 0), ("012345", 1), (DIGEST, 1)])
def test_any_model_leaves_by_number_or_digest(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model_id: str, number: int
) -> None:
    words = [
        str(run),
        "--model",
        model_id,
        "--format",
        "zephyr",
        "--name",
        "kws",
        "--out",
        str(tmp_path / "b"),
    ]
    assert main(words) == DONE
    assert capsys.readouterr().out == f"bundle {tmp_path / 'b'}\n"
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["provenance"]["trial"] == number
    assert (tmp_path / "b" / "zephyr" / "module.yml").is_file()


def test_the_same_model_exported_twice_has_the_same_bytes(run: Path, tmp_path: Path) -> None:
    for out in ("a", "b"):
        assert main([str(run), "--out", str(tmp_path / out)]) == DONE
    first, second = ((tmp_path / out / "manifest.json").read_bytes() for out in ("a", "b"))
    assert first == second


def test_a_model_is_delivered_in_the_same_call(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = tmp_path / "firmware"
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.com")):
        subprocess.run(["git", "-C", str(repo), "config", key, value], check=True)
    words = [str(run), "--out", str(tmp_path / "b"), "--deliver", f"{repo}:nets/gesture", "--branch", "model"]
    assert main(words) == DONE
    assert "on model\n| | old | new | change |" in capsys.readouterr().out
    shown = subprocess.run(
        ["git", "-C", str(repo), "ls-tree", "-r", "--name-only", "model"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "nets/gesture/gesture.cc" in shown.stdout
    assert main(words) == DONE
    assert "branch model has this very bundle already" in capsys.readouterr().out


def test_an_exported_bundle_verifies_without_the_run(run: Path, tmp_path: Path) -> None:
    assert main([str(run), "--out", str(tmp_path / "b")]) == DONE
    assert verify(tmp_path / "b", compiler=None).golden_count == 16


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--out", "b"], "There is no run folder nowhere."),
        (["{run}", "--out", "b", "--model", "99"], "has no model 99. Its front: 1."),
        (["{run}", "--out", "b", "--model", "2"], "has no model 2."),
        (["{run}", "--out", "b", "--model", "3"], "The model of trial 3 is not in"),
        (["{run}", "--out", "b", "--format", "zefyr"], "There is no format 'zefyr'. Did you mean zephyr?"),
        (["{run}", "--out", "b", "--name", "Kws"], "'Kws' cannot name a model"),
        (["{run}", "--out", "b", "--branch", "x"], "--branch needs --deliver."),
        (["{run}", "--out", "b", "--deliver", "nowhere"], "nowhere is not a git repository."),
        (["{run}", "--out", "b", "--formt", "tflm"], "There is no flag --formt. Did you mean --format?"),
        (["{run}", "--policy", "larest"], "--policy is 'larest'. Did you mean smallest?\n"),
        (["{run}", "--policy", "9"], "--policy is '9'. Known: accuracy, balanced, smallest.\n"),
        (["{run}"], "--out is missing. Give the folder of the bundle, or --list to see what there is."),
    ],
)
def test_mistakes_are_a_sentence_and_exit_code_2(
    run: Path,
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([word.format(run=run) for word in words]) == USER_ERROR
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nas-export: ")
    assert message in captured.err


def test_a_run_without_a_result_is_told_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / "config.json").write_bytes((run / "config.json").read_bytes())
    assert main([str(fresh), "--out", str(tmp_path / "b")]) == USER_ERROR
    assert "has no result yet." in capsys.readouterr().err
    (fresh / "result.json").write_text(json.dumps({"trials": [], "front": [], "chosen": None}))
    assert main([str(fresh), "--out", str(tmp_path / "b")]) == USER_ERROR
    assert "chose no model. Nothing of it fits its budget." in capsys.readouterr().err


def test_other_data_than_the_runs_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.json", "result.json"):
        (other / name).write_bytes((run / name).read_bytes())
    saved = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**saved, "data_sha256": "0"}))
    (other / "models").mkdir()
    (other / "models" / f"{DIGEST}-40.tflite").write_bytes(TCN.read_bytes())
    assert main([str(other), "--out", str(tmp_path / "b")]) == USER_ERROR
    assert "has changed since" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from nas.cli.export import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "heavy = {'numpy', 'jinja2', 'pydantic', 'tensorflow', 'tflite_micro'} & set(sys.modules)\n"
    code += "sys.exit(bool(heavy))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
