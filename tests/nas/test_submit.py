"""What a submitted job carries, and how its run folder comes home; the cluster itself is in execute/test_cluster."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.cli import submit
from nas.run.archive import packed, unpack
from nas.run.config import RunConfig, make_config


def test_a_job_carries_code_data_space_and_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    for name in ("mine.npz", "spaces/mine.py", "elsewhere/board.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    given = {
        "task": "npz:mine.npz", "space": "spaces/mine.py", "target": str(elsewhere / "board.toml"),
        "trials": 7, "gpus_per_trial": 0.5, "out": "here", "budget": 'sram="1"',
    }  # fmt: skip
    root = tmp_path / "job"
    submit.pack_job(root, make_config(given, {}), given)
    values = tomllib.loads((root / "job.toml").read_text())
    assert values == {
        "task": "npz:mine.npz", "space": "spaces/mine.py", "target": "files/board.toml", "trials": 7,
        "gpus_per_trial": 0.5, "budget": 'sram="1"',
    }  # fmt: skip
    assert (root / "mine.npz").read_text() == "mine.npz"
    assert (root / "files/board.toml").read_text() == "elsewhere/board.toml"
    assert (root / "nas/cli/run.py").exists()
    assert not list(root.rglob("__pycache__"))


def test_a_job_without_its_data_or_with_too_many_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RunConfig(task="npz:missing.npz")
    with pytest.raises(UserError, match=r"There is no missing\.npz\. Check the path\."):
        submit.pack_job(tmp_path / "a", config, {})
    monkeypatch.setattr(submit, "_MOST_BYTES", 1 << 10)
    with pytest.raises(
        UserError, match=r"Code and data are \d MiB; a submitted job carries 0 MiB\. Put the data"
    ):
        submit.pack_job(tmp_path / "b", RunConfig(), {})


def test_mistakes_of_submitting_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--deliver does not go with --submit"):
        submit.submit("http://127.0.0.1:1", RunConfig(deliver="x"), {}, follow=None, as_json=False)
    config = RunConfig(out=str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"^The cluster http://127\.0\.0\.1:1 takes no job \([^\n]+$"):
        submit.submit("http://127.0.0.1:1", config, {}, follow=None, as_json=False)
    assert not (tmp_path / "none").exists()


def test_a_run_folder_comes_home_in_lines_of_text(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "models").mkdir(parents=True)
    (run / "bundle").mkdir()
    (run / "models" / "a.tflite").write_bytes(bytes(range(256)) * 40)
    (run / "bundle" / "model.c").write_text("int x;")
    (run / ".lock").touch()
    lines = list(packed(run))
    assert max(map(len, lines)) <= 3000
    unpack(lines, tmp_path / "home")
    found = {
        p.relative_to(tmp_path / "home").as_posix() for p in (tmp_path / "home").rglob("*") if p.is_file()
    }
    assert found == {"models/a.tflite", "bundle/model.c"}
    assert (tmp_path / "home/models/a.tflite").read_bytes() == (run / "models/a.tflite").read_bytes()
    unpack(list(packed(run, most_bytes=100)), tmp_path / "small")
    assert not (tmp_path / "small/models").exists()
    assert (tmp_path / "small/bundle/model.c").exists()


def test_our_lines_are_told_from_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    log = submit._Log()
    for chunk in ("hel", "lo\n@mcu-nas-folder AA", "BB\n@mcu-nas-folder CC\n", "@mcu-nas-exit 3\nbye\n"):
        log.read(chunk, show=True)
    assert capsys.readouterr().err == "hello\nbye\n"
    assert log.folder == ["AABB", "CC"]
    assert log.code == 3


def test_a_job_carries_the_file_of_its_labels_and_no_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walks").mkdir()
    (tmp_path / "walks" / "a.csv").write_text("x\n1\n")
    (tmp_path / "labels.csv").write_text("file,label\na.csv,sit\n")
    for label, carried in (("labels.csv", True), ("activity", False)):
        given = {"task": "timeseries:walks", "window": "4", "label": label}
        root = tmp_path / label.replace(".", "-")
        submit.pack_job(root, make_config(given, {}), given)
        values = tomllib.loads((root / "job.toml").read_text())
        assert values == given
        assert (root / "labels.csv").exists() is carried
