"""What installs the project: interpreters, the lock file, the extras, the wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT_FILE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PROJECT_FILE["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
VERSIONS = ("3.11", "3.12", "3.13")

_FAKE_PYTHON = """#!/bin/sh
version=$(cat "$(dirname "$0")/$(basename "$0").version")
case "$1 $2" in
  "-V ") echo "Python $version" ;;
  "-c "*) case $version in 3.11.*|3.12.*|3.13.*) exit 0 ;; *) exit 1 ;; esac ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0.version" "$3/bin/python.version" ;;
  "-m pip") echo "$@" >>"$(dirname "$0")/../pip.log" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the environment script, and a folder `bin` in which a test puts interpreters."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "environment", tmp_path / "scripts")
    (tmp_path / "requirements.lock").write_text("")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "sh", "cat", "cksum", "dirname", "basename", "mkdir", "cp", "rm", "tail", "flock"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    return tmp_path


def put_python(folder: Path, name: str, version: str) -> None:
    (folder / name).write_text(_FAKE_PYTHON)
    (folder / name).chmod(0o755)
    (folder / f"{name}.version").write_text(version)


def source(checkout: Path) -> subprocess.CompletedProcess[str]:
    command = 'set -euo pipefail; source scripts/environment; "$python" -V'
    environ = {"PATH": str(checkout / "bin"), "HOME": os.environ.get("HOME", "/")}
    bash = str(checkout / "bin" / "bash")
    return subprocess.run(
        [bash, "-c", command], cwd=checkout, env=environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("present", "taken"),
    [
        ({"python3.11": "3.11.7", "python3.12": "3.12.1", "python3": "3.13.0"}, "3.11.7"),
        ({"python3.12": "3.12.1", "python3.13": "3.13.0"}, "3.12.1"),
        ({"python3.13": "3.13.0", "python3": "3.14.0"}, "3.13.0"),
        ({"python3": "3.12.3"}, "3.12.3"),
        ({"python3": "3.10.1", "python": "3.13.2"}, "3.13.2"),
    ],
)
def test_the_environment_takes_any_of_three_pythons_and_prefers_3_11(
    checkout: Path, present: dict[str, str], taken: str
) -> None:
    for name, version in present.items():
        put_python(checkout / "bin", name, version)
    done = source(checkout)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Python {taken}\n"
    assert f"with Python {taken} (once; some minutes)..." in done.stderr
    installs = (checkout / ".venv" / "pip.log").read_text().splitlines()
    assert "--require-hashes" in installs[0]
    assert "--no-deps" in installs[1]


def test_without_one_of_them_the_environment_says_which_it_needs(checkout: Path) -> None:
    put_python(checkout / "bin", "python3", "3.10.1")
    put_python(checkout / "bin", "python", "3.14.0")
    done = source(checkout)
    assert done.returncode == 2
    assert done.stderr == (
        "Python 3.11, 3.12 or 3.13 was not found. Install one (Debian: apt install python3 python3-venv)"
        " and try again.\n"
    )


def test_the_environment_is_made_once_and_again_when_its_python_changed(checkout: Path) -> None:
    put_python(checkout / "bin", "python3.12", "3.12.1")
    assert "Making the environment" in source(checkout).stderr
    assert source(checkout).stderr == ""
    (checkout / ".venv" / "bin" / "python.version").write_text("3.13.0")  # as an upgrade of the system does
    assert "Making the environment" in source(checkout).stderr
    assert source(checkout).stderr == ""
    (checkout / ".venv" / "bin" / "python").unlink()  # as the removal of that Python does
    assert "Making the environment" in source(checkout).stderr


def test_the_pythons_that_are_declared_are_the_same_everywhere() -> None:
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert tuple(declared) == VERSIONS
    assert PROJECT["requires-python"] == ">=3.11,<3.14"


def test_the_lock_file_pins_and_hashes_all_that_is_required() -> None:
    pinned = {match[1]: match[0] for match in re.finditer(r"(?m)^([a-z0-9._-]+)==\S+( ; .*?)? \\$", LOCK)}
    assert len(pinned) == len(re.findall(r"(?m)^[a-z]", LOCK))
    blocks = re.split(r"(?m)^(?=[a-z])", LOCK)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    extras = PROJECT["optional-dependencies"]
    locked = [
        *PROJECT["dependencies"],
        *extras["search"],
        *extras["vela"],
        *extras["calibrate"],
        *extras["dev"],
    ]
    names = {re.split(r"[^\w.-]", text)[0].lower() for text in locked} - {"mcu-nas"}
    assert names <= set(pinned), names - set(pinned)


def test_only_tflms_interpreter_is_bound_to_a_platform_and_litert_takes_its_place() -> None:
    bound = {
        text.partition(";")[0].strip(): text.partition(";")[2].strip() for text in PROJECT["dependencies"]
    }
    here = "sys_platform == 'linux' and platform_machine == 'x86_64'"
    elsewhere = "sys_platform != 'linux' or platform_machine != 'x86_64'"
    assert bound["tflite-micro"] == here
    assert bound["ai-edge-litert>=2.3,<2.4"] == elsewhere
    assert re.search(
        r"(?m)^tflite-micro==\S+ ; platform_machine == 'x86_64' and sys_platform == 'linux' \\$", LOCK
    )


def test_the_wheel_holds_what_runs_and_no_benchmark(tmp_path: Path) -> None:
    finder = PROJECT_FILE["tool"]["setuptools"]["packages"]["find"]
    found = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in ROOT.glob("*/**/__init__.py")
    }
    kept = {
        name
        for name in found
        if any(fnmatch(name, pattern) for pattern in finder["include"])
        and not any(fnmatch(name, pattern) for pattern in finder["exclude"])
    }
    assert {
        "nas",
        "nas.tf",
        "nas.bundle",
        "nas.testing",
        "search_spaces.spaces",
        "cost_models.cycles",
    } <= kept
    assert not any("bench" in name for name in kept)
    importers = [
        path
        for package in ("nas", "search_spaces", "cost_models")
        for path in (ROOT / package).rglob("*.py")
        if "nas.bench" in path.read_text(encoding="utf-8") and "bench" not in path.parts
    ]
    assert not importers, "what is not in the wheel cannot be imported from it"


def test_the_image_copies_files_that_are_there_and_that_its_builder_gets() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    base = re.search(r"(?m)^FROM python:(3\.\d+)-slim$", dockerfile)
    assert base is not None
    assert base[1] in VERSIONS
    passed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line[:1] == "!"
    }
    copied = {name for line in re.findall(r"(?m)^COPY (.+) \S+$", dockerfile) for name in line.split()}
    assert copied == passed
    assert all((ROOT / name).exists() for name in copied)
    packages = {
        match.partition("*")[0] for match in PROJECT_FILE["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    assert packages <= copied
    assert "pip install --no-cache-dir --require-hashes -r requirements.lock" in dockerfile
    assert "USER nas" in dockerfile


def test_the_clusters_image_is_the_one_that_is_built_with_its_ray() -> None:
    head, claim = yaml.safe_load_all((ROOT / "scripts/cluster/kuberay.yaml").read_text(encoding="utf-8"))
    cluster = head["spec"]["rayClusterSpec"]
    assert f"\nray=={cluster['rayVersion']} " in LOCK
    templates = [
        group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    ]
    assert {pod["containers"][0]["image"] for pod in templates} == {"REGISTRY/mcu-nas:latest"}
    uid = re.search(r"useradd .*--uid (\d+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert uid is not None
    assert templates[0]["securityContext"] == {"fsGroup": int(uid[1])}
    assert claim["kind"] == "PersistentVolumeClaim"


@pytest.fixture
def action_step(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the last step of the action as a runner does, with this checkout in the place of what pip installs."""
    (tmp_path / "mcu-nas").symlink_to(ROOT)
    step = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"][-1]

    def run(**inputs: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": "/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path)}
        for name, value in step["env"].items():
            key = re.search(r"inputs\.(\S+)", value)
            environ[name] = inputs.get(key[1], "") if key else sys.executable
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", step["run"]],
            cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_the_action_checks_a_model_and_hands_on_its_limits(
    action_step: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    model = str(ROOT / "tests" / "nas" / "bundle" / "data" / "tcn.tflite")
    done = action_step(path=model)
    assert (done.returncode, done.stdout[:5]) == (0, "PASS "), done.stderr
    done = action_step(path=model, budget="2927B", target="nrf52840")
    assert (done.returncode, done.stdout[:5]) == (1, "FAIL "), done.stderr
    done = action_step(path="$(touch harm)")
    assert done.returncode == 2
    assert done.stderr.startswith("nas-check: $(touch harm) does not exist.")


def test_the_action_is_composite_and_names_what_it_takes() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert action["runs"]["using"] == "composite"
    assert {name for name, given in action["inputs"].items() if given.get("required")} == {"path"}
    assert action["inputs"]["python-version"]["default"] in VERSIONS
    for step in action["runs"]["steps"]:
        assert "uses" in step or step["shell"] == "bash"
        assert "${{" not in step.get("run", ""), "an input in a script's text would be run"


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["version"], citation["license"]) == (
        PROJECT["name"], PROJECT["version"], PROJECT["license"],
    )  # fmt: skip
    assert citation["authors"]


def test_documents_for_contributors_name_files_that_are_there() -> None:
    for name in ("CONTRIBUTING.md", "SECURITY.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        paths = re.findall(r"\]\(([\w./-]+)\)", text)
        paths += re.findall(r"`((?:scripts|\.ci|nas|docs|cost_models)/[\w./-]+)", text)
        assert paths
        for path in paths:
            assert "NAME" in path or (ROOT / path).exists(), f"{name} names {path}"
