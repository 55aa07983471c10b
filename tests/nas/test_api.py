"""The Python API: a small real search from arrays, what can be done with its result, and the mistakes of a call."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cost_models
import nas
from cost_models.cli import main as nas_cost

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests/data/calibration/ds_cnn-20059.tflite"
TINY: dict[str, Any] = {
    "space": "mlp", "budget": "16KB", "target": "rp2040", "trials": 3, "finalists": 1, "steps": 20,
    "final_steps": 40, "workers": 1, "seed": 1,
}  # fmt: skip


def blobs() -> tuple[np.ndarray, list[str]]:
    """Two classes that anything tells apart."""
    y = np.repeat([0, 1], 60)
    x = np.random.default_rng(0).normal(0, 1, (120, 6))
    x[y == 1] += 2
    return x.astype(np.float32), ["worn" if label else "good" for label in y]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> nas.RunResult:
    x, y = blobs()
    return nas.search(x, y, out=tmp_path_factory.mktemp("api") / "run", progress=False, **TINY)


@pytest.mark.slow
def test_arrays_become_a_verified_bundle(finished: nas.RunResult, capfd: pytest.CaptureFixture[str]) -> None:
    assert finished.chosen is not None
    assert finished.refusal == ""
    assert finished.summary.task.class_names == ["good", "worn"]
    assert finished.summary.config["trials"] == 3
    assert finished.test_accuracy is not None
    assert finished.test_accuracy > 0.7
    front = finished.front
    assert [model.accuracy for model in front] == sorted((model.accuracy for model in front), reverse=True)
    assert sum(model.chosen for model in front) == 1
    for model in front:
        assert model.sram_bytes <= 16 * 1024
        assert cost_models.cost(model.tflite, "rp2040").sram_bytes == model.sram_bytes
    assert "<html" in finished.report.read_text(encoding="utf-8")
    assert "fits rp2040" in str(finished)
    assert finished._repr_html_().startswith("<pre>")
    shown: list[str] = []
    finished._repr_pretty_(SimpleNamespace(text=shown.append), False)
    assert shown == [str(finished)], "what a terminal of IPython shows"
    assert finished.bundle is not None
    assert nas.verify(finished.bundle).golden_count > 0
    assert nas.verify(finished.path / "bundle").engine in ("tflm", "litert")
    assert capfd.readouterr() == ("", ""), "a library prints nothing"


@pytest.mark.slow
def test_a_result_without_a_model_says_why(finished: nas.RunResult) -> None:
    content = {**finished.content, "chosen": None}
    none = replace(
        finished, content=content, refusal="It is no better [than] chance.", refusal_notes=("Train on.",)
    )
    assert none.bundle is None
    assert none.test_accuracy is None
    assert str(none).endswith("No model was chosen.\nIt is no better [than] chance.\nTrain on.\n")
    assert "It is no better [than] chance." in none._repr_html_()


@pytest.mark.slow
def test_a_result_is_found_again_by_its_folder(finished: nas.RunResult) -> None:
    again = nas.load_run(finished.path)
    assert again == finished
    assert again.front == finished.front


@pytest.mark.slow
def test_another_choice_of_a_result_is_exported_without_training(
    finished: nas.RunResult, tmp_path: Path
) -> None:
    small = nas.export(finished, tmp_path / "small", policy="smallest", name="wear", format="cmake")
    assert (small.manifest.name, small.manifest.format) == ("wear", "cmake")
    assert finished.chosen is not None
    assert small.manifest.costs.sram_bytes <= finished.chosen.costs["sram_bytes"]
    assert small.manifest.costs.sram_bytes in {model.sram_bytes for model in finished.front}
    assert nas.verify(small).golden_count > 0
    last = finished.front[-1].number
    one = nas.export(str(finished.path), tmp_path / "one", model=last)
    assert json.loads((one.path / "manifest.json").read_text())["provenance"]["trial"] == last
    with pytest.raises(nas.UserError, match="has no model 99"):
        nas.export(finished, tmp_path / "none", model=99)


@pytest.mark.slow
def test_a_bundle_that_was_changed_is_not_verified(finished: nas.RunResult, tmp_path: Path) -> None:
    bundle = nas.export(finished, tmp_path / "bundle")
    header = bundle.path / "model.h"
    header.write_text(header.read_text() + "\n")
    with pytest.raises(nas.BundleError):
        nas.verify(bundle.path)


@pytest.mark.slow
def test_a_result_is_resumed_and_nothing_is_repeated(finished: nas.RunResult, tmp_path: Path) -> None:
    copy = replace(finished, path=tmp_path / "copy")
    shutil.copytree(finished.path, copy.path)
    before = finished.summary.trials
    again = nas.resume(copy, trials=4, progress=False)
    assert again.path == copy.path
    assert again.summary.trials[: len(before)] == before
    assert len({trial.digest for trial in again.summary.evaluated()}) == 4
    with pytest.raises(nas.UserError, match=r"^budget cannot change in a resumed run\."):
        nas.resume(copy, budget="1KB", progress=False)


def nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> list[nas.RunConfig]:
    """What searches would have been begun with."""
    from nas.run import pipeline

    begun: list[nas.RunConfig] = []

    def start(config: nas.RunConfig, *_: object) -> nas.RunResult:
        begun.append(config)
        return nas.RunResult(path=Path("none"), content={"trials": [], "front": [], "chosen": None})

    monkeypatch.setattr(pipeline, "start", start)
    return begun


def test_the_same_arrays_are_kept_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begun = nothing_is_searched(monkeypatch)
    x, y = blobs()
    nas.search(x, y)
    nas.search(x.tolist(), np.array(y, object), timeout="2m")
    nas.search(x.astype(np.float64), y)
    first, again, other = (config.task for config in begun)
    assert again != first, "lists of floats are float64"
    assert again == other
    files = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert sorted(f"npz:runs/{name}" for name in files) == sorted({first, again})
    content = (tmp_path / "runs" / files[0]).read_bytes()
    (tmp_path / "runs" / files[0]).unlink()
    nas.search(x, y)
    nas.search(x.astype(np.float64), y)
    assert (tmp_path / "runs" / files[0]).read_bytes() == content
    assert begun[1].timeout == 120


def test_parts_groups_and_names_are_kept_as_an_npz_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = nothing_is_searched(monkeypatch)
    x, y = np.arange(12).reshape(6, 2), np.arange(6) % 2
    out = tmp_path / "there" / "run"
    nas.search(x, y, test_data=(x, y), groups=list("aabbcc"), class_names=["good", "worn"], out=out)
    nas.search(x, y, validation_data=(x, y), test_data=[x, y], out=str(out), warm_start=tmp_path)  # type: ignore[arg-type]
    assert begun[0].out == str(out), "the folder of the run is a path or its name"
    assert begun[1].warm_start == str(tmp_path)
    files = [Path(config.task.removeprefix("npz:")) for config in begun]
    assert {path.parent for path in files} == {out.parent}
    with np.load(files[0]) as kept:
        assert sorted(kept) == ["X_test", "X_train", "class_names", "groups_train", "y_test", "y_train"]
        assert kept["groups_train"].tolist() == list("aabbcc")
    with np.load(files[1]) as kept:
        assert sorted(kept) == ["X_test", "X_train", "X_val", "y_test", "y_train", "y_val"]
        assert (kept["X_val"] == x).all()


def test_numbers_in_other_clothes_keep_their_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begun = nothing_is_searched(monkeypatch)
    x, y = np.arange(12).reshape(6, 2), np.arange(6) % 2
    unmasked = np.ma.masked_greater(x, 99)
    nas.search(
        unmasked,
        y.astype(object),
        class_names=("0", "1"),
        trials=np.int64(3),
        timeout=np.float32(60),
    )
    assert (begun[0].trials, begun[0].timeout) == (3, 60)
    with np.load(begun[0].task.removeprefix("npz:")) as kept:
        assert (kept["X"] == x).all()
        assert (kept["y"] == y).all()
        assert kept["class_names"].tolist() == ["0", "1"]


@pytest.mark.parametrize("call", [nas.resume, nas.verify, nas.load_run, lambda run: nas.export(run, "b")])
@pytest.mark.parametrize("folder", ["a" * 300, "a/" * 3000])
def test_a_path_that_the_file_system_refuses_is_a_usage_error(call: Any, folder: str) -> None:
    with pytest.raises(nas.UserError):
        call(folder)


@pytest.mark.parametrize("call", [nas.resume, nas.verify, lambda run: nas.export(run, "b")])
def test_what_is_neither_a_result_nor_a_folder_is_a_usage_error(call: Any) -> None:
    for run in (None, 3, b"run", ""):
        with pytest.raises(nas.UserError, match="is neither a result nor a folder"):
            call(run)


def test_a_whole_configuration_is_taken_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = nothing_is_searched(monkeypatch)
    config = nas.RunConfig(trials=7, budget="64KB")
    nas.search(config=config)
    assert begun == [config]


X, Y = [[1.0, 2.0], [3.0, 4.0]], [0, 1]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"X": X}, "y is missing. Give a class for each sample: nas.search(X, y, ...)."),
        ({"y": Y}, "X is missing. Give the samples of the labels: nas.search(X, y, ...)."),
        ({"groups": Y}, "X is missing. Give the samples of the labels: nas.search(X, y, ...)."),
        (
            {"X": X, "y": Y, "task": "digits"},
            "X and task are both given. Give the samples, or name the task.",
        ),
        ({"X": X, "y": Y, "trails": 3}, "trails is unknown. Did you mean trials?"),
        ({"X": X, "y": Y, "trials": 0}, "trials is 0. It must be at least 1."),
        ({"X": X, "y": Y, "timeout": "soon"}, "timeout is 'soon'. Write a time like 90s, 30m or 8h."),
        ({"X": X, "y": Y, "policy": "small"}, "policy is 'small'. Did you mean smallest?"),
        (
            {"X": [[1.0, 2.0], [3.0]], "y": Y},
            "X is not an array of numbers of one shape. Give samples of one length, as an array of numbers.",
        ),
        (
            {"X": np.array([{}, {}]), "y": Y},
            "X is not an array of numbers of one shape. Give samples of one length, as an array of numbers.",
        ),
        (
            {"X": X, "y": ["a", None]},
            "y holds neither numbers nor words alone. Give one number or one word for each sample.",
        ),
        (
            {"X": X, "y": [0, [1]]},
            "y holds neither numbers nor words alone. Give one number or one word for each sample.",
        ),
        (
            {"X": X, "y": Y, "groups": [None, "b"]},
            "groups holds neither numbers nor words alone. Give one number or one word for each sample.",
        ),
        (
            {"X": X, "y": Y, "validation_data": (X, Y)},
            "test_data is missing. Beside validation_data give test_data, or leave both out.",
        ),
        (
            {"X": X, "y": Y, "test_data": X[0][0]},
            "test_data is not a pair. Give samples and labels: test_data=(X, y).",
        ),
        (
            {"X": X, "y": Y, "validation_data": (X,), "test_data": (X, Y)},
            "validation_data is not a pair. Give samples and labels: validation_data=(X, y).",
        ),
        (
            {"X": np.ma.masked_greater(X, 0), "y": Y},
            "X has masked values, and arrays in files have no masks."
            " Leave these samples out, or fill them: array.filled(value).",
        ),
        (
            {"X": X, "y": np.ma.masked_equal(Y, 1)},
            "y has masked values, and arrays in files have no masks."
            " Leave these samples out, or fill them: array.filled(value).",
        ),
        (
            {"X": X, "y": [1, "1"] * (len(Y) // 2)},
            "y holds neither numbers nor words alone. Give one number or one word for each sample.",
        ),
        *(
            (
                {"X": X, "y": Y, "class_names": names},
                "class_names is not a list of names. Give the names in the order of the class indices.",
            )
            for names in ("ab", {"a", "b"}, {0: "a", 1: "b"}, 2, [], [None, None])
        ),
        (
            {"config": {"trials": 3}},
            "config is not a nas.RunConfig. Give settings by their names: nas.search(X, y, trials=100).",
        ),
        ({"X": X, "y": Y, "target": ""}, "target is empty. Give it a value, or leave it out."),
        (
            {"config": nas.RunConfig(), "trials": 3},
            "config is a whole configuration. Leave the other arguments out.",
        ),
        (
            {"config": nas.RunConfig(), "budget": "64KB"},
            "config is a whole configuration. Leave the other arguments out.",
        ),
        (
            {"config": nas.RunConfig(), "test_data": (X, Y)},
            "config is a whole configuration. Leave the other arguments out.",
        ),
    ],
)
def test_a_mistake_of_a_call_is_a_sentence_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(nas.UserError) as error:
        nas.search(**call)
    assert str(error.value) == said
    assert not list(tmp_path.iterdir())


def test_samples_that_cannot_be_kept_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        nas.UserError, match=r"^The samples cannot be written to .* \(.+\)\. Give another folder"
    ):
        nas.search(X, Y, out=tmp_path / "file" / "runs" / "one")


def test_what_cannot_fit_is_its_own_error(tmp_path: Path) -> None:
    x, y = blobs()
    with pytest.raises(nas.NothingFitsError, match=r"^Nothing fits: ") as error:
        nas.search(x, y, out=tmp_path / "run", progress=False, **TINY | {"budget": "100"})
    assert isinstance(error.value, nas.UserError)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda there: nas.load_run(there), "{0} is not a run: it has no config.json."),
        (lambda there: nas.resume(there), "{0} is not a run: it has no config.json."),
        (lambda there: nas.resume(there / "no"), "There is no run folder {0}/no."),
        (lambda there: nas.export(there, there / "b"), "{0} is not a run: it has no config.json."),
        (
            lambda there: nas.export(there, there / "b", policy="smallest"),
            "{0} is not a run: it has no config.json.",
        ),
        (
            lambda there: nas.verify(there),
            "{0} is not a bundle: manifest.json cannot be read: No such file or directory.",
        ),
    ],
)
def test_a_folder_that_is_none_of_ours_is_said(tmp_path: Path, call: Any, said: str) -> None:
    with pytest.raises(nas.UserError) as error:
        call(tmp_path)
    assert error.value.message == said.format(tmp_path)
    assert error.value.hint


HEAVY = ("numpy", "tensorflow", "ray", "optuna", "pydantic", "sklearn", "rich")


@pytest.mark.parametrize(
    "code",
    [
        "import nas, cost_models; nas.__version__; dir(nas); dir(cost_models)",
        "import nas\ntry:\n    nas.no_such_name\nexcept AttributeError:\n    pass",
        "from cost_models import UserError",
    ],
)
def test_an_import_alone_stays_light(code: str) -> None:
    check = f"{code}\nimport sys\nassert not {{*{HEAVY}}} & set(sys.modules), {{*{HEAVY}}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_packages_list_their_public_names_and_have_them() -> None:
    assert dir(nas) == [
        "BundleError", "NothingFitsError", "RunConfig", "RunResult", "UserError", "__version__", "export",
        "load_run", "resume", "search", "verify",
    ]  # fmt: skip
    assert dir(cost_models) == [
        "Budget", "CostModel", "Costs", "Target", "UserError", "compress", "cost", "load_target", "parse_budget",
    ]  # fmt: skip
    for package in (nas, cost_models):
        assert all(getattr(package, name) for name in dir(package))
        with pytest.raises(AttributeError, match="has no attribute 'sreach'"):
            package.sreach  # noqa: B018 - asked for
    assert nas.UserError is cost_models.UserError


@pytest.mark.parametrize("target", ["nrf52840", "rp2040", "esp32-s3"])
def test_costs_from_python_are_those_of_the_command(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert nas_cost([str(MODEL), "--target", target, "--json"]) == 0
    (printed,) = json.loads(capsys.readouterr().out)["models"]
    costs = asdict(cost_models.cost(MODEL, target))
    assert cost_models.cost(MODEL.read_bytes(), cost_models.load_target(target)) == cost_models.cost(
        MODEL, target
    )
    shared = costs.keys() & printed.keys()
    assert {"ops", "macs", "sram_bytes", "flash_bytes", "model_bytes", "cycles", "latency_us"} <= shared
    for key in shared:
        exact = costs[key]
        assert printed[key] == (pytest.approx(exact, abs=0.1) if isinstance(exact, float) else exact)


def test_a_model_that_cannot_be_costed_is_said(tmp_path: Path) -> None:
    with pytest.raises(cost_models.UserError, match=r"no_such\.tflite"):
        cost_models.cost("no_such.tflite")
    with pytest.raises(cost_models.UserError):
        cost_models.cost(b"no model")
    with pytest.raises(cost_models.UserError, match="There is no target"):
        cost_models.cost(MODEL, "rp2041")
