"""What a user types wrong gets one sentence, a hint and exit code 2."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from cost_models.errors import UserError
from nas.cli.run import main
from nas.run.config import parse_time

MISTAKES = [
    (["--task", "digitz"], "There is no task digitz. Did you mean digits?"),
    (["--task", "nothing"], "There is no task nothing. Known: audio, digits, images, npz, timeseries."),
    (["--space", "ds_cn"], "There is no search space 'ds_cn'. Did you mean ds_cnn?"),
    (["--sampler", "nsga3"], "There is no sampler 'nsga3'. Did you mean nsga2?"),
    (
        ["--sampler", "mine.py"],
        "There is no sampler file mine.py. Give a path to a Python file that exports SAMPLER.",
    ),
    (["--target", "nrf52480"], "There is no target 'nrf52480'. Did you mean nrf52840?"),
    (["--trails", "3"], "There is no flag --trails. Did you mean --trials?"),
    (["--trials", "0"], "--trials is 0. It must be at least 1."),
    (
        ["--sparsity", "half"],
        "Argument --sparsity: 'half' is not a share. Write it like 0.05 or 5%. nas-run --help lists the flags.",
    ),
    (["--sparsity", "150%"], "--sparsity is 1.5. It must be less than 1.0."),
    (["--trials", "many"], "--trials is 'many'. Write a whole number in digits, such as 1000."),
    (["--trials", "1e3"], "--trials is '1e3'. Write a whole number in digits, such as 1000."),
    (["--target", ""], "--target is empty. Give it a value, or leave it out."),
    (["--deliver="], "--deliver is empty. Give it a value, or leave it out."),
    (
        ["--space", "s" * 300 + ".py"],
        f"{'s' * 98} ... {'s' * 95}.py cannot be used: File name too long. Check the path and its permissions.",
    ),
    (["--sparsity", "1"], "--sparsity is 1.0. It must be less than 1.0."),
    (["--policy", "ballanced"], "--policy is 'ballanced'. Did you mean balanced?"),
    (
        ["--name", "My Model"],
        "--name is 'My Model'. Use at most 32 lower-case letters, digits and _, a letter first.",
    ),
    (["--timeout", "soon"], "--timeout is 'soon'. Write a time like 90s, 30m or 8h."),
    (["--timeout", "-5"], "--timeout is '-5'. Write a time like 90s, 30m or 8h."),
    (["digits"], "'digits' is not expected here. nas-run --help lists what is."),
    (["--resume", "r", "--submit", "u"], "--resume and --submit do not go together. Leave one of them out."),
    (["--dry-run", "--submit", "u"], "--dry-run and --submit do not go together. Leave one of them out."),
    (["--follow", "j"], "--follow needs --submit. Say which cluster has the job: --submit http://HEAD:8265."),
    (["--dry-run", "--resume", "r"], "--dry-run and --resume do not go together. Leave one of them out."),
    (
        ["--space", "../../etc"],
        "There is no search space '../../etc'. Known: autoencoder, ds_cnn, mbv2, mixed, mlp, plain, resnet, tcn.",
    ),
    (
        ["--space", "no.such.module"],
        "The search space no.such.module cannot be imported: No module named 'no'."
        " Check the module's name and its path.",
    ),
    (["--format", "tflmm"], "There is no format 'tflmm'. Did you mean tflm?"),
    (
        ["--name", "string"],
        "'string' cannot name a model: string.h is a system header, which the model's own would hide."
        " Take another, like string_net.",
    ),
    (["--branch", "b"], "--branch needs --deliver. Say which repository: --deliver REPO[:PATH]."),
    (
        ["--deliver", "none"],
        "none is not a git repository. Give the folder of a checkout, REPO or REPO:PATH.",
    ),
    (["--config", "none.toml"], "There is no job file none.toml. Check the path after --config."),
    (
        ["--resume", "none"],
        "There is no run folder none. --resume takes the folder that an earlier run made.",
    ),
    (["--task", "npz"], "The task npz needs a file. Write npz:PATH, for example npz:data/wearable.npz."),
    (["--task", "npz:no.npz"], "There is no file no.npz. Check the path after npz:."),
    (
        ["--task", "images:"],
        "The task images needs a folder. Write images:FOLDER, with one folder for each class.",
    ),
    (["--task", "images:none"], "There is no folder none. Check the path after images:."),
]


@pytest.mark.parametrize(("argv", "message"), MISTAKES)
def test_a_mistake_gets_a_sentence_a_hint_and_exit_code_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"nas-run: {message}\n"


@pytest.mark.parametrize(
    "budget", ["256XB", "-1KB", "0", "", "sram=", "ram=3KB", "sram=1KB,sram=2KB", "1e400KB"]
)
def test_a_budget_that_is_none_is_refused(budget: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--budget", budget]) == 2
    assert capsys.readouterr().err.startswith("nas-run: ")


def test_an_unknown_key_of_a_job_file_is_named_with_the_nearest_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = tmp_path / "job.toml"
    job.write_text("trails = 3\n")
    assert main(["--config", str(job)]) == 2
    assert capsys.readouterr().err == f"nas-run: {job}: key trails is unknown. Did you mean trials?\n"


def test_a_job_file_with_a_value_of_the_wrong_kind_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = tmp_path / "job.toml"
    job.write_text("trials = true\n")
    assert main(["--config", str(job)]) == 2
    assert f"{job}: key trials is True." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--battery 230mAh", "--battery needs --period. Say how often it infers: --period 1s."),
        ("--period soon", "--period is 'soon'. Write a time with its unit, like 100ms, 1s, 5m or 1h."),
        ("--budget power=1mW", "power cannot be limited without a period."),
        (
            "--budget power=1mW --period 1s --target rp2040",
            "power cannot be limited: target rp2040 has no",
        ),
        ("--budget power=1uW --period 1s --dry-run", "Nothing fits: "),
    ],
)
def test_a_period_that_cannot_be_meant_or_kept_is_a_sentence(
    flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags.split()) in (2, 3)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags", [["--storage", "foo"], ["--ray-address", "127.0.0.1:1"], ["--budget", "100"]]
)
def test_a_run_that_never_began_leaves_no_folder_in_the_way(flags: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["--out", str(out), "--seed", "1", *flags]) in (2, 3)
    assert not out.exists()


def test_a_job_file_that_is_not_toml_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = tmp_path / "job.toml"
    job.write_text("trials: 3\n")
    assert main(["--config", str(job)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"nas-run: {job} is not TOML: ")
    assert "line 1" in err


def test_a_folder_that_is_not_a_run_is_neither_used_nor_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    assert main(["--out", str(tmp_path)]) == 2
    assert (
        capsys.readouterr().err
        == f"nas-run: {tmp_path} exists and is not a run. Give an empty or new folder.\n"
    )
    assert main(["--resume", str(tmp_path)]) == 2
    assert "is not a run: it has no config.json" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_an_out_that_is_a_file_or_cannot_be_made_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main(["--out", str(file)]) == 2
    assert capsys.readouterr().err == f"nas-run: {file} is a file. Give a folder that does not exist yet.\n"
    assert main(["--out", str(file / "below")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_dry_run_says_how_much_fits_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--dry-run", "--budget", "256KB", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "random networks fit" in out
    assert not list(tmp_path.iterdir())


def test_nothing_that_fits_is_exit_code_3_with_the_limit_that_blocks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--dry-run", "--budget", "100", "--seed", "3"]) == 3
    err = capsys.readouterr().err
    assert err.startswith("nas-run: Nothing fits: ")
    assert "the closest misses by sram " in err
    assert "over the limit of 100 B (0.1 KB). Raise the sram limit" in err


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("8h", 28800), ("1.5", 1.5)])
def test_times_are_read_with_their_units(text: str, seconds: float) -> None:
    assert parse_time(text, "--timeout") == seconds


def test_a_full_disk_is_one_sentence_and_the_run_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nas.run import pipeline as run

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "run" / "models" / "a.tflite"))

    monkeypatch.setattr(run, "_search_feasible", full)
    out = tmp_path / "run"
    assert main(["--out", str(out), "--seed", "1"]) == 2
    err = capsys.readouterr().err
    assert err.endswith(
        f"nas-run: {out}/models/a.tflite cannot be written (No space left on device). Free some space;"
        f" --resume {out} goes on, and no trial that ended is lost.\n"
    )


def test_a_cluster_or_storage_that_goes_away_is_one_sentence_and_the_run_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import optuna

    from nas.model.errors import BackendLostError
    from nas.run import pipeline as run

    reasons: list[Exception] = [
        BackendLostError("The Ray cluster auto went away (connection refused)."),
        optuna.exceptions.StorageInternalError("no connection"),
    ]

    def fails(*_: object, **__: object) -> int:
        raise reasons.pop(0)

    monkeypatch.setattr(run, "_search_feasible", fails)
    for name, reason in (("a", "went away (connection refused)"), ("b", "any more: no connection")):
        out = tmp_path / name
        assert main(["--out", str(out), "--seed", "1"]) == 2
        goes_on = f"No trial that ended is lost; --resume {out} goes on."
        assert capsys.readouterr().err.endswith(f"{reason}. {goes_on}\n")


def test_a_bundle_that_fails_its_verification_is_never_presented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nas.bundle import BundleError
    from nas.run import pipeline as run

    def fails(*_: object, **__: object) -> int:
        raise BundleError("golden", "Vector 3 differs.")

    monkeypatch.setattr(run, "_search_feasible", fails)
    assert main(["--out", str(tmp_path / "run"), "--seed", "1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "The bundle failed its verification (golden): Vector 3 differs." in err


def test_a_second_driver_stays_out_of_a_run_folder(tmp_path: Path) -> None:
    from nas.run.folder import RunFolder

    first, second = RunFolder(path=tmp_path), RunFolder(path=tmp_path)
    with first.locked(), pytest.raises(UserError, match="Another nas-run is at work in"), second.locked():
        pass
    with second.locked():
        pass


def test_a_damaged_or_foreign_run_cannot_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text("{")
    assert main(["--resume", str(tmp_path)]) == 2
    assert "config.json cannot be read. The run is damaged; start a new one." in capsys.readouterr().err
    config.write_text('{"schema": 99}')
    assert main(["--resume", str(tmp_path)]) == 2
    assert "was written by another version of nas-run. Start a new run." in capsys.readouterr().err
    for damaged, key in (
        ('{"schema": 1}', "config"),
        ('{"schema": 1, "config": []}', "config"),
        ('{"schema": 1, "config": {}}', "data_sha256"),
        ('{"schema": 1, "config": {}, "data_sha256": 3}', "data_sha256"),
        ('{"schema": 1, "config": {}, "data_sha256": "x"}', "started"),
    ):
        config.write_text(damaged)
        assert main(["--resume", str(tmp_path)]) == 2
        assert (
            f"is damaged: its {key} is missing or of another type. Start a new run."
            in capsys.readouterr().err
        )
    config.write_text(
        '{"schema": 1, "config": {"task": "digits", "colour": 3}, "data_sha256": "", "started": ""}'
    )
    assert main(["--resume", str(tmp_path)]) == 2
    assert "key colour is unknown" in capsys.readouterr().err


def test_a_run_whose_data_changed_cannot_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"schema": 1, "config": {"task": "digits", "seed": 1}, "data_sha256": "other", "started": ""}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert main(["--resume", str(tmp_path)]) == 2
    assert " has changed since " in capsys.readouterr().err


def test_no_report_shows_the_password_of_a_storage() -> None:
    from nas.run.config import RunConfig

    for user in ("me", "me:secret", ""):
        shown = RunConfig(storage=f"postgresql://{user}@host:5432/db").shown()["storage"]
        login = f"{user.replace('secret', '***')}@" if user else ""
        assert shown == f"postgresql://{login}host:5432/db"
    assert RunConfig().shown()["storage"] is None
