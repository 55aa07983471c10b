"""nas-run from the command line to a verified bundle, small but real."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SMALL = ["--steps", "40", "--final-steps", "60", "--finalists", "1", "--seed", "7"]

pytestmark = pytest.mark.slow


def nas_run(*argv: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "nas", *argv], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def bundle_hashes(run: Path) -> dict[str, str]:
    files = sorted(p for p in (run / "bundle").rglob("*") if p.is_file())
    assert files
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("runs") / "first"
    done = nas_run("--budget", "32KB", "--trials", "3", "--workers", "1", "--out", str(out), "--json", *SMALL)
    return out, json.loads(done.stdout)


def test_a_run_leaves_its_record_its_report_and_a_verified_bundle(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    from nas.bundle import verify

    out, result = finished
    assert json.loads((out / "result.json").read_text()) == result
    assert json.loads((out / "config.json").read_text())["config"]["seed"] == 7
    evaluated = [t for t in result["trials"] if t["state"] == "evaluated"]
    assert sum(t["steps"] == 40 for t in evaluated) == 3
    assert 1 <= sum(t["rung"] == "full" for t in evaluated) <= 2
    assert all((t["steps"] == 60) == (t["rung"] == "full") for t in evaluated)
    chosen = result["chosen"]
    assert chosen["costs"]["sram_bytes"] <= 32 * 1024
    assert chosen["test_accuracy"]["engine"] == "tflm"
    assert chosen["test_accuracy"]["low"] < chosen["test_accuracy"]["value"] < chosen["test_accuracy"]["high"]
    assert sum(layer["cycles"] or 0 for layer in chosen["layers"]) == (chosen["costs"]["cycles"] or 0)
    assert "<html" in (out / "report.html").read_text()
    verify(out / "bundle")


def test_another_sampler_searches_vectors_of_pictures_to_a_verified_bundle(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = [
        "--space",
        "mlp",
        "--sampler",
        "tpe",
        "--trials",
        "3",
        "--workers",
        "1",
        "--out",
        str(out),
        *SMALL,
    ]
    result = json.loads(nas_run(*words, "--json").stdout)
    assert result["chosen"]["test_accuracy"]["engine"] == "tflm"
    full = [t for t in result["trials"] if t["rung"] == "full"]
    artifacts = list((out / "artifacts").iterdir())
    assert len(artifacts) == len(full)
    assert {one.stat().st_nlink for one in artifacts} == {2}, "links to the files in models/"
    refused = subprocess.run(
        [sys.executable, "-m", "nas", "--resume", str(out), "--sampler", "nsga2"],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "--sampler cannot change in a resumed run." in refused.stderr


def test_the_same_seed_with_one_worker_gives_the_same_trials_and_the_same_bytes(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    first, result = finished
    out = tmp_path / "second"
    done = nas_run("--budget", "32KB", "--trials", "3", "--workers", "1", "--out", str(out), "--json", *SMALL)
    again = json.loads(done.stdout)
    kept = ("number", "state", "steps", "digest", "params", "accuracy", "tflm_accuracy", "costs")
    assert [{k: t[k] for k in kept} for t in again["trials"]] == [
        {k: t[k] for k in kept} for t in result["trials"]
    ]
    assert bundle_hashes(out) == bundle_hashes(first)


def test_a_run_begins_with_the_weights_of_an_earlier_one_and_resumes_without_it(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    earlier, before = finished
    source, out = tmp_path / "source", tmp_path / "run"
    shutil.copytree(earlier, source)
    kept = {t["digest"] for t in before["trials"] if t["rung"] == "full" and t["weights_sha256"]}
    assert {path.stem for path in (source / "weights").iterdir()} == {f"{digest}-60" for digest in kept}
    words = ["--budget", "32KB", "--workers", "1", "--out", str(out), "--json", *SMALL]
    first = nas_run(*words, "--trials", "2", "--init-from", str(source))
    assert f"networks begin with the weights of {source} (" in first.stderr
    shutil.rmtree(source)
    result = json.loads(nas_run("--resume", str(out), "--trials", "3", "--json").stdout)
    began = [trial for trial in result["trials"] if trial["init"] is not None]
    assert began
    assert all(
        (out / "models" / f"{t['digest']}-{t['steps']}-from-{t['init']['source'][:8]}.tflite").is_file()
        for t in began
    )
    chosen = next(t for t in result["trials"] if t["number"] == result["chosen"]["number"])
    manifest = json.loads((out / "bundle" / "manifest.json").read_text())
    assert manifest["provenance"].get("init") == chosen["init"]
    (out / "init.npz").write_bytes(b"")
    refused = nas_run("--resume", str(out), "--trials", "4", expect=2)
    assert "init.npz is not what the run's trainings began with." in refused.stderr


def test_the_chosen_network_is_trained_again_on_all_samples_where_asked(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    from nas.run.stored_model import load_run_model

    out, before = finished
    run = tmp_path / "all"
    shutil.copytree(out, run)
    done = nas_run("--resume", str(run), "--final-on", "all", "--workers", "1", "--json")
    result = json.loads(done.stdout)
    *earlier, last = result["trials"]
    assert [trial["digest"] for trial in earlier] == [trial["digest"] for trial in before["trials"]]
    first = before["chosen"]
    assert (last["retrains"], last["digest"]) == (first["number"], first["digest"])
    assert result["chosen"]["number"] == last["number"]
    assert result["chosen"]["validation_accuracy"] == first["validation_accuracy"]
    # So is what is expected of them: the choice was among the trainings without them.
    optimism = result["chosen"]["optimism"]
    assert optimism == first["optimism"]
    assert optimism["paired"]
    assert optimism["networks"] == sum(trial["rung"] == "full" for trial in earlier)
    assert (run / "models" / f"{last['digest']}-60-all.tflite").is_file()
    assert (run / "models" / f"{last['digest']}-60.tflite").is_file()
    manifest = json.loads((run / "bundle" / "manifest.json").read_text())
    assert manifest["provenance"]["trained_on"] == ["train", "val"]
    assert manifest["provenance"]["optimism"] == optimism
    assert "is of the same network trained without them" in (run / "bundle" / "MODEL_CARD.md").read_text()
    text = done.stderr + (run / "report.html").read_text()
    assert f"is of trial {first['number']}, the same network trained without them" in text
    # An export of the run states the same.
    validation, test = load_run_model(run).model.accuracies
    assert validation.correct == result["chosen"]["validation_accuracy"]["correct"]
    assert test.correct == result["chosen"]["test_accuracy"]["correct"]


def test_finalists_are_judged_in_folds_where_asked(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    from nas.run.reselect import reselect
    from nas.run.stored_model import load_run_model

    out, before = finished
    run = tmp_path / "folds"
    shutil.copytree(out, run)
    asked = ["--resume", str(run), "--folds", "3", "--finalists", "2", "--final-on", "all", "--workers", "1"]
    result = json.loads(nas_run(*asked, "--json").stdout)
    judged = [trial for trial in result["trials"] if trial["folded"] is not None]
    firsts = [trial for trial in judged if trial["retrains"] is None]
    folded, chosen = result["chosen"]["folded"], result["chosen"]
    # Training and validation samples of the digits, each once.
    assert {trial["folded"]["total"] for trial in judged} == {1077 + 360} == {folded["samples"]}
    assert (folded["folds"], folded["networks"]) == (3, len(firsts))
    assert folded["score"] == max(trial["folded"]["score"] for trial in firsts)
    assert 0.3 < folded["low"] < folded["score"] < folded["high"]
    assert chosen["optimism"]["folds"] == (3 if len(firsts) > 1 else 0)
    last = next(trial for trial in result["trials"] if trial["number"] == chosen["number"])
    assert last["retrains"] in {trial["number"] for trial in firsts}
    assert not list((run / "models").glob("*fold*"))
    assert len(list((run / "models").glob("*.tflite"))) == len(result["trials"])
    manifest = json.loads((run / "bundle" / "manifest.json").read_text())
    assert manifest["provenance"]["folded"] == folded
    for place in ("bundle/MODEL_CARD.md", "report.html"):
        assert "samples, each left out of one of 3 trainings" in (run / place).read_text()
    assert load_run_model(run).model.provenance["folded"] == folded
    assert reselect(run).chosen.folded is not None
    # All of it again: nothing is left to train.
    again = json.loads(nas_run(*asked, "--json").stdout)
    assert [trial["number"] for trial in again["trials"]] == [trial["number"] for trial in result["trials"]]
    assert [trial["digest"] for trial in before["trials"]] == [
        t["digest"] for t in again["trials"][: len(before["trials"])]
    ]


def test_a_resumed_run_goes_on_and_repeats_nothing(finished: tuple[Path, dict[str, Any]]) -> None:
    out, result = finished
    mistake = nas_run("--resume", str(out), "--seed", "8", expect=2)
    assert "--seed cannot change in a resumed run" in mistake.stderr
    again = json.loads(nas_run("--resume", str(out), "--trials", "4", "--workers", "1", "--json").stdout)
    before, after = result["trials"], again["trials"]
    assert after[: len(before)] == before
    assert len({(t["digest"], t["steps"]) for t in after}) == len(after)
    assert len({t["digest"] for t in after if t["state"] == "evaluated"}) == 4


def test_ctrl_c_exports_the_best_so_far(tmp_path: Path) -> None:
    out = tmp_path / "run"
    argv = ["--budget", "64KB", "--trials", "500", "--workers", "2", "--out", str(out), *SMALL]
    running = subprocess.Popen(
        [sys.executable, "-m", "nas", *argv],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    give_up = time.monotonic() + 300
    while not list(out.glob("models/*.tflite")) and time.monotonic() < give_up:
        time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output
    assert "Stopping: the best so far will be exported." in output
    assert json.loads((out / "result.json").read_text())["stopped_by"] == "interrupt"
    assert (out / "bundle" / "manifest.json").is_file()


def test_arrays_of_signals_become_a_bundle_through_every_flag_and_a_job_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    time_axis = np.arange(64)
    waves = [np.sin(time_axis * (0.2 + 0.3 * label) + rng.uniform(0, 6)) for label in labels]
    samples = (np.stack(waves)[..., None] * 900 + rng.normal(0, 90, (300, 64, 2))).astype(np.int16)
    np.savez(tmp_path / "waves.npz", X=samples, y=labels, class_names=np.array(["slow", "mid", "fast"]))
    job = tmp_path / "job.toml"
    job.write_text(
        f'task = "npz:{tmp_path / "waves.npz"}"\nspace = "tcn"\ntarget = "cortex_m4"\nname = "waves"\n'
        'budget = "sram=16KB,flash=256KB"\ntrials = 9\nsparsity = 0.5\n'
    )
    out, repo = tmp_path / "run", tmp_path / "firmware"
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    for key in ("user.name", "user.email"):
        subprocess.run(["git", "-C", str(repo), "config", key, "tester@example.org"], check=True)
    argv = ["--trials", "2", "--policy", "balanced", "--deliver", f"{repo}:models/waves", "--branch", "new"]
    done = nas_run("--config", str(job), "--out", str(out), *argv, *SMALL)
    assert "waves" in " ".join(p.name for p in (out / "bundle").iterdir())
    result = json.loads((out / "result.json").read_text())
    assert result["config"]["trials"] == 2
    assert result["chosen"]["test_accuracy"]["value"] > 0.5
    assert f"bundle {out}/bundle" in done.stdout
    assert " on new" in done.stderr
    listed = subprocess.run(
        ["git", "-C", str(repo), "ls-tree", "-r", "--name-only", "new"],
        capture_output=True,
        text=True,
        check=True,
    )
    delivered = {line.removeprefix("models/waves/") for line in listed.stdout.split()}
    assert delivered == {p.name for p in (out / "bundle").iterdir()}
    again = nas_run("--resume", str(out), "--workers", "1")
    assert "branch new has this very bundle already" in again.stderr
