"""What runs where the operating system is not Linux: the modules that it lacks are hidden in a subprocess."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_AS_ON_WINDOWS = """
import os, sys, types
import ray, optuna, rich.console  # their own ways to do without are theirs to test
locked = []
def locking(descriptor, mode, count):
    # One lock for a file, as LockFile has it: whoever opens it again is another.
    name = os.readlink(f"/proc/self/fd/{descriptor}")
    if name in locked:
        raise OSError(13, "Permission denied")
    locked.append(name)
sys.modules |= {"fcntl": None, "resource": None, "pwd": None, "grp": None, "termios": None}
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
lacking = "sysconf O_CLOEXEC O_NONBLOCK O_NOFOLLOW O_DIRECTORY getuid geteuid killpg setsid fork uname getloadavg"
for name in lacking.split():
    delattr(os, name)
import signal
lacking = "SIGHUP SIGKILL SIGQUIT SIGPIPE SIGUSR1 SIGUSR2 SIGALRM alarm setitimer pthread_kill pthread_sigmask"
for name in lacking.split():
    delattr(signal, name)
"""


def as_on_windows(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _AS_ON_WINDOWS + code],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_imports_without_what_only_posix_has(tmp_path: Path) -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("nas", "search_spaces", "cost_models")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name not in ("__main__.py", "__init__.py") and path.parent != ROOT / "nas" / "tf"
    ]
    assert len(modules) > 100
    as_on_windows(
        f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)\n", tmp_path
    )


def test_a_second_driver_is_kept_out_without_fcntl(tmp_path: Path) -> None:
    said = as_on_windows(
        "from pathlib import Path\n"
        "from cost_models.errors import UserError\n"
        "from nas.run.file_lock import lock_exclusively\n"
        "first, second = (os.open('.lock', os.O_RDWR | os.O_CREAT) for _ in range(2))\n"
        "lock_exclusively(first)\n"
        "try:\n    lock_exclusively(second)\nexcept OSError as error:\n    print(error.strerror)\n",
        tmp_path,
    )
    assert said == "Permission denied\n"


def test_limits_of_memory_that_the_system_does_not_state_are_none(tmp_path: Path) -> None:
    said = as_on_windows(
        "from nas.execute.memory_limit import fair_share, peak_bytes\n"
        "from nas.tasks.loading.memory import available_bytes\n"
        "print(fair_share() >= 4 << 30, peak_bytes(), available_bytes() > 0)\n",
        tmp_path,
    )
    assert said == "True 0 True\n"


def test_the_journal_is_written_and_read_without_posix_flags(tmp_path: Path) -> None:
    said = as_on_windows(
        "from pathlib import Path\n"
        "from nas.strategy.journal import RunJournal\n"
        "optuna.logging.set_verbosity(optuna.logging.ERROR)\n"
        "study = optuna.create_study(storage=RunJournal(Path('study.journal')))\n"
        "study.add_trial(optuna.trial.create_trial(value=1.0))\n"
        "again = optuna.load_study(study_name=study.study_name, storage=RunJournal(Path('study.journal')))\n"
        "print(len(again.trials))\n",
        tmp_path,
    )
    assert said == "1\n"


def test_a_search_can_be_asked_to_stop_without_posix_signals(tmp_path: Path) -> None:
    said = as_on_windows(
        "from nas.run.signals import GracefulStop\n"
        "with GracefulStop(print) as stop:\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print(stop())\n",
        tmp_path,
    )
    assert said == "Stopping: the best so far will be exported. Once more to end at once.\nTrue\n"


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_the_peak_of_memory_is_in_bytes_on_linux_and_on_macos(
    monkeypatch: pytest.MonkeyPatch, platform: str, unit: int
) -> None:
    from types import SimpleNamespace

    from nas.execute import memory_limit

    usage = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=1000))
    monkeypatch.setattr(memory_limit, "resource", usage)
    monkeypatch.setattr(sys, "platform", platform)
    assert memory_limit.peak_bytes() == 1000 * unit
