"""What happens where TFLM's interpreter has no wheel: LiteRT without delegates answers, and this is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.bundle import BundleError
from nas.bundle.verify import verify
from nas.runtimes.litert import LARGEST_DIFFERENCE, LiteRtError, LiteRtModel
from nas.runtimes.reference import NOT_BY_TFLM, reference_engine, reference_model
from nas.runtimes.tflm import TflmModel

from . import conftest
from .conftest import TCN, Finished, make_finished

ROOT = Path(__file__).parents[3]
MODELS = sorted((ROOT / "tests" / "data" / "operators").glob("*.tflite"))


@pytest.fixture
def without_tflm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tflite_micro"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tflite_micro", None)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_litert_answers_as_tflm_but_for_a_last_bit(path: Path) -> None:
    tflm, litert = TflmModel(path.read_bytes()), LiteRtModel(path.read_bytes())
    assert (tflm.input, tflm.output) == (litert.input, litert.output)
    samples = np.random.default_rng(5).integers(-128, 128, (16, *tflm.input.shape)).astype(np.int8)
    difference = np.abs(tflm.run(samples).astype(int) - litert.run(samples))
    assert difference.max() <= LARGEST_DIFFERENCE


def test_tflm_is_taken_where_it_is() -> None:
    assert reference_engine() == "tflm"
    assert reference_model(TCN.read_bytes()).engine == "tflm"


def test_litert_is_taken_where_tflm_is_not(without_tflm: None) -> None:
    assert reference_engine() == "litert"
    model = reference_model(TCN.read_bytes())
    assert model.engine == "litert"
    assert model.run(np.zeros((0, 64, 1, 9), np.int8)).shape == (0, 5)
    with pytest.raises(ValueError, match=r"inputs are int8 \(64, 9\), not int8 \(64, 1, 9\)"):
        model.run(np.zeros((1, 64, 9), np.int8))


@pytest.mark.parametrize("data", [b"", b"TFL3", TCN.read_bytes()[:1000]])
def test_bytes_that_are_no_model_are_refused_by_litert_too(data: bytes) -> None:
    with pytest.raises((LiteRtError, UserError)):
        LiteRtModel(data)


def test_a_bundle_exported_without_tflm_names_litert_and_is_proved_by_tflm_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hidden:
        for name in [name for name in sys.modules if name.partition(".")[0] == "tflite_micro"]:
            hidden.delitem(sys.modules, name)
        hidden.setitem(sys.modules, "tflite_micro", None)
        bundle = make_finished_without_tflm().export(tmp_path / "b")
        found = verify(bundle, compiler=None)
    assert bundle.manifest.engine == "litert"
    assert any("by LiteRT without delegates" in note for note in bundle.manifest.notes)
    golden = (bundle.path / bundle.manifest.paths("golden_source")[0]).read_text()
    assert "what LiteRT without delegates answered when" in golden
    assert "not by TFLM's interpreter" in (bundle.path / "MODEL_CARD.md").read_text()
    assert found.engine == "litert"
    assert NOT_BY_TFLM in found.notes
    again = verify(bundle, compiler=None)
    assert again.engine == "tflm"
    assert NOT_BY_TFLM not in again.notes


def make_finished_without_tflm() -> Finished:
    """`make_finished` asks TFLM's interpreter for the ports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conftest, "TflmModel", LiteRtModel)
        return make_finished()


class _OffBy:
    """An interpreter whose first answer differs from the model's."""

    def __init__(self, model: TflmModel, engine: str, difference: int) -> None:
        self._model, self.engine, self._difference = model, engine, difference
        self.input, self.output = model.input, model.output

    def run(self, inputs: np.ndarray) -> np.ndarray:
        answers = self._model.run(inputs)
        first = int(answers[0].flat[0])
        answers[0].flat[0] = first + self._difference if first < 100 else first - self._difference
        return answers


@pytest.mark.parametrize(
    ("engine", "difference", "passes"),
    [("litert", 1, True), ("litert", 2, False), ("tflm", 1, False)],
)
def test_a_last_bit_is_forgiven_to_another_engine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, difference: int, passes: bool
) -> None:
    bundle = make_finished().export(tmp_path / "b")
    monkeypatch.setattr(
        sys.modules["nas.bundle.content"],
        "reference_model",
        lambda data: _OffBy(TflmModel(data), engine, difference),
    )
    if passes:
        assert any(
            "1 of 3 golden vectors differ by 1 between LiteRT and TFLM's interpreter" in note
            for note in verify(bundle, compiler=None).notes
        )
    else:
        with pytest.raises(BundleError, match="The golden vectors are stale"):
            verify(bundle, compiler=None)


def test_nas_check_says_in_its_verdict_what_was_not_verified(tmp_path: Path) -> None:
    bundle = make_finished().export(tmp_path / "b")
    code = "import sys; sys.modules['tflite_micro'] = None; from nas.cli.check import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle.path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("; golden vectors by LiteRT, not verified by TFLM\n")
    assert f"nas-check: {NOT_BY_TFLM}\n" in done.stderr
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle.path), "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["engine"] == "litert"


@pytest.mark.slow
def test_a_search_without_tflm_ends_in_a_bundle_that_says_so(tmp_path: Path) -> None:
    # Ray's workers are processes of their own: a module that fails to import stands before the wheel on their path.
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "tflite_micro.py").write_text("raise ImportError('hidden by a test')\n")
    words = ["--space", "mlp", "--trials", "1", "--steps", "20", "--final-steps", "30", "--finalists", "1"]
    words += ["--workers", "1", "--seed", "1", "--out", "run"]
    environ = os.environ | {"PYTHONPATH": f"{tmp_path / 'shadow'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "nas", *words],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "int8, measured by LiteRT, no delegate\n" in done.stdout
    assert f"  Not verified   {NOT_BY_TFLM}" in done.stdout
    manifest = json.loads((tmp_path / "run" / "bundle" / "manifest.json").read_text())
    assert manifest["engine"] == "litert"
    assert {accuracy["engine"] for accuracy in manifest["accuracies"]} == {"litert"}
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert all(trial["tflm_accuracy"] is None for trial in result["trials"])
    assert NOT_BY_TFLM in result["notes"]
