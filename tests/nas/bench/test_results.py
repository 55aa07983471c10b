from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.bench import results
from nas.tasks import load_task
from nas.tasks.options import TaskOptions
from tests.nas.report.synthetic_summary import synthetic_summary
from tests.nas.runs_on_disk import write_run


def test_recordings_of_an_npz_become_folders_that_the_audio_task_reads(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    rng = np.random.default_rng(0)
    parts: dict[str, Any] = {
        f"X_{part}": rng.integers(-9000, 9000, (4, 4000)).astype(np.int16)
        for part in ("train", "val", "test")
    }
    labels: dict[str, Any] = {f"y_{part}": np.arange(4) % 2 for part in ("train", "val", "test")}
    np.savez(tmp_path / "words.npz", sample_rate=8000, class_names=np.array(["no", "yes"]), **parts, **labels)
    task = results.write_recordings(tmp_path / "words.npz", tmp_path / "out")
    data = load_task(task, TaskOptions(augment=0))
    assert data.info.class_names == ("no", "yes")
    assert data.info.samples == {"train": 4, "val": 4, "test": 4}
    assert results.write_recordings(tmp_path / "words.npz", tmp_path / "out") == task


def test_a_row_that_has_a_result_is_not_run_again_and_stands_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*words: object, **more: object) -> None:
        raise AssertionError(words)

    monkeypatch.setattr("nas.bench.results.subprocess.run", fail)
    write_run(tmp_path / "har-small-1", synthetic_summary())
    assert results.main([str(tmp_path), "--rows", "har-small", "--out", str(tmp_path)]) == 0
    head, _, row = capsys.readouterr().out.strip().split("\n")
    assert head.count("|") == row.count("|")


def test_a_row_that_is_not_known_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        results.main([str(tmp_path), "--rows", "nothing"])
    assert "There is no row 'nothing'" in capsys.readouterr().err


def test_a_search_beside_a_reference_gets_its_memory_and_half_of_its_cycles(tmp_path: Path) -> None:
    summary = synthetic_summary() | {"budget": []}
    folder = write_run(tmp_path / "har-reference-1", summary)
    costs = summary["chosen"]["costs"]
    assert results.matched_budget(folder) == (
        f"sram={costs['sram_bytes']}B,flash={costs['flash_bytes']}B,cycles={costs['cycles'] // 2}"
    )


def test_what_a_front_end_took_off_the_limits_is_in_those_of_the_search_beside_it(tmp_path: Path) -> None:
    summary = synthetic_summary()
    summary["config"] |= {"budget": "sram=64KB,flash=512KB,cycles=9M", "target": "nrf52840"}
    left = {"sram": 64 * 1024 - 500, "flash": 512 * 1024 - 7000, "cycles": 9_000_000 - 1000}
    summary["budget"] = [{"resource": name, "limit": limit} for name, limit in left.items()]
    costs = summary["chosen"]["costs"]
    assert results.matched_budget(write_run(tmp_path / "fsdd-reference-1", summary)) == (
        f"sram={costs['sram_bytes'] + 500}B,flash={costs['flash_bytes'] + 7000}B,"
        f"cycles={costs['cycles'] // 2 + 1000}"
    )
