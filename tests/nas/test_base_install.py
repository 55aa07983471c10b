"""What `pip install mcu-nas` alone gives: nas-cost, nas-check and nas-runs, and a sentence from the other commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from cost_models import calibrate
from nas.cli import export as export_cli
from nas.cli import run as cli
from nas.strategy.study import open_storage
from tests.nas.report.synthetic_summary import synthetic_summary
from tests.nas.runs_on_disk import write_run

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests" / "nas" / "bundle" / "data" / "tcn.tflite"
# Of every extra; scipy and flatbuffers come with some of them alone.
_EXTRA = (
    "ai_edge_litert", "ethosu", "google.protobuf", "grpc", "h5py", "keras", "optuna", "PIL", "plotly", "psycopg", "ray",
    "scipy", "sklearn", "sqlalchemy", "tensorflow", "tensorflow_model_optimization", "tf_keras", "threadpoolctl",
)  # fmt: skip


def run_without_extras(code: str, *argv: str) -> subprocess.CompletedProcess[str]:
    hide = f"import sys\nsys.modules |= dict.fromkeys({_EXTRA!r})\n"
    return subprocess.run(
        [sys.executable, "-c", hide + code, *argv], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_nas_cost_needs_no_extra() -> None:
    done = run_without_extras(
        "from cost_models.cli import main; sys.exit(main())", str(MODEL), "--per-op", "--lean"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "2,928" in done.stdout


def test_nas_check_needs_no_extra() -> None:
    done = run_without_extras("from nas.cli.check import main; sys.exit(main())", str(MODEL))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("PASS ")


def test_nas_check_verifies_a_bundle_without_extras(tmp_path: Path) -> None:
    """Exported in the same process, so that it needs no trained model; the export has no need of them either."""
    code = (
        "from pathlib import Path\n"
        "from tests.nas.bundle.conftest import make_finished\n"
        "bundle = make_finished().export(Path(sys.argv[1]))\n"
        "from nas.cli.check import main\n"
        "sys.exit(main([str(bundle.path)]))\n"
    )
    done = run_without_extras(code, str(tmp_path / "bundle"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PASS ")


def test_nas_runs_lists_shows_and_compares_without_extras(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("other", 2)):
        write_run(tmp_path / name, synthetic_summary(seed=seed))
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    for argv in ([str(tmp_path)], ["show", one], ["compare", one, other]):
        done = run_without_extras("from nas.cli.runs import main; sys.exit(main())", *argv)
        assert (done.returncode, done.stderr) == (0, ""), argv
        assert "98.6 %" in done.stdout
    page = ("compare", one, other, "--html", str(tmp_path / "page.html"))
    done = run_without_extras("from nas.cli.runs import main; sys.exit(main())", *page)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "nas-runs: plotly is not installed, which nas-runs compare --html needs."
        " Install it: pip install 'mcu-nas[search]'.\n"
    )


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata as of an installation without extras, whatever is installed here."""
    requires = [
        "numpy<2.5,>=2.4",
        'ai-edge-litert<2.4,>=2.3; extra == "search"',
        'scipy>=1.15; extra == "calibrate"',
        'psycopg[binary]>=3.2; extra == "postgresql"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda name: requires)

    def version(name: str) -> str:
        if name != "numpy":
            raise metadata.PackageNotFoundError(name)
        return "2.4"

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize(
    ("main", "argv", "text"),
    [
        (
            cli.main,
            ["--budget", "256KB"],
            "nas-run: ai-edge-litert is not installed, which nas-run needs. Install it: pip install 'mcu-nas[search]'.",
        ),
        (
            export_cli.main,
            ["runs/x", "--out", "b"],
            "nas-export: ai-edge-litert is not installed, which nas-export needs."
            " Install it: pip install 'mcu-nas[search]'.",
        ),
        (
            calibrate.main,
            ["a.csv", "--target", "b.toml"],
            "nas-calibrate: scipy is not installed, which nas-calibrate needs."
            " Install it: pip install 'mcu-nas[calibrate]'.",
        ),
    ],
)
def test_a_command_whose_extra_is_missing_says_which_to_install(
    bare: None,
    main: Callable[[list[str]], int],
    argv: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"{text}\n")


def test_a_postgresql_storage_without_its_driver_says_which_extra_to_install(
    bare: None, tmp_path: Path
) -> None:
    with pytest.raises(
        Exception, match=r"psycopg is not installed, which --storage postgresql:// needs\."
    ) as caught:
        open_storage("postgresql://me@nowhere/db", tmp_path / "study.journal")
    assert str(caught.value).endswith("Install it: pip install 'mcu-nas[postgresql]'.")


def test_a_checkout_that_was_not_installed_is_not_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert cli.main(["--task", "nothing"]) == 2
    assert "not installed" not in capsys.readouterr().err
