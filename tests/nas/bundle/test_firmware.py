"""The emitted runner against real TFLM builds; docs/firmware.md says what TFLM_DIR holds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cost_models.tflite_graph import read_graph
from nas.bundle import Bundle
from nas.bundle.compiler import CXX17, WARNINGS
from nas.bundle.content import sha256
from nas.model.input_quantization import quantize_input
from nas.model.trained import RawType
from nas.runtimes.tflm import TflmModel
from tests.nas import vela_stub

from .conftest import Finished, make_finished

TFLM_DIR = os.environ.get("TFLM_DIR")
BUILDS = sorted(path.parent.name for path in Path(TFLM_DIR).glob("*/build.json")) if TFLM_DIR else []
NO_TFLM = "TFLM_DIR names no folder of TFLM builds: the runner was not compiled and run"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not BUILDS, reason=NO_TFLM)]


@dataclass(frozen=True)
class TflmBuild:
    """One folder of TFLM_DIR."""

    folder: Path
    scratch: Path

    @property
    def settings(self) -> dict[str, list[str] | str]:
        settings: dict[str, list[str] | str] = json.loads((self.folder / "build.json").read_text())
        return settings

    @property
    def target_name(self) -> str:
        return str(self.settings["target"])

    @property
    def is_host(self) -> bool:
        return self.settings["run"] == ["{program}"]

    def words(self, key: str, program: Path | None = None) -> list[str]:
        words = [word.replace("{dir}", str(self.folder)) for word in self.settings[key]]
        return [word.replace("{program}", str(program)) for word in words]

    def program(self, sources: list[Path], program: Path, *macros: str) -> Path:
        """Compile with all warnings as errors, and link."""
        objects = [self.object(source, *macros) for source in sources]
        command = [str(self.settings["cxx"]), *self.words("flags"), *map(str, objects)]
        _succeed([*command, *self.words("link", program), "-o", str(program)])
        return program

    def object(self, source: Path, *macros: str) -> Path:
        """Compiled once in a test session: the runner includes a large part of TFLM."""
        texts = [source.read_bytes(), *(path.read_bytes() for path in sorted(source.parent.glob("*.h")))]
        key = sha256(b"\0".join([*texts, *map(str.encode, (*macros, str(self.folder)))]))
        made = self.scratch / f"{key}.o"
        if not made.exists():
            command = [
                str(self.settings["cxx"]),
                *CXX17,
                *WARNINGS,
                "-Werror",
                *self.words("flags"),
                *macros,
            ]
            _succeed([*command, "-I", str(source.parent), "-c", str(source), "-o", str(made)])
        return made

    def run(self, program: Path, data: bytes = b"") -> bytes:
        command = self.words("run", program)
        return subprocess.run(command, input=data, capture_output=True, timeout=300, check=False).stdout

    def self_test(self, bundle: Bundle, *macros: str) -> str:
        sources = sorted(bundle.path.glob("*.cc"))
        return self.run(self.program(sources, bundle.path / "program", *macros)).decode()

    def sections(self, made: Path) -> dict[str, int]:
        """Bytes of an object's sections."""
        size = str(self.settings["cxx"]).removesuffix("g++") + "size"
        listed = subprocess.run([size, "-A", str(made)], capture_output=True, text=True, check=True).stdout
        rows = [words for words in map(str.split, listed.splitlines()) if len(words) == 3]
        return {words[0]: int(words[1]) for words in rows if words[1].isdigit()}

    def run_by_cmake(self, folder: Path) -> None:
        """Build a project with the bundle in its folder `kws`, and run the self-test."""
        flags = self.words("flags")
        includes = [after for word, after in pairwise(flags) if word in ("-isystem", "-I")]
        defines = [word.removeprefix("-D") for word in flags if word.startswith("-D")]
        (folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.16)\nproject(firmware C CXX)\nenable_testing()\n"
            "add_library(tflite STATIC IMPORTED)\n"
            f"set_target_properties(tflite PROPERTIES IMPORTED_LOCATION {self.folder}/libtflm.a)\n"
            f"target_include_directories(tflite SYSTEM INTERFACE {' '.join(includes)})\n"
            f"target_compile_definitions(tflite INTERFACE {' '.join(defines)})\n"
            "set(KWS_SELF_TEST ON)\nset(KWS_TFLM_TARGET tflite)\nadd_subdirectory(kws)\n"
        )
        _succeed(["cmake", "-S", str(folder), "-B", str(folder / "build")])
        _succeed(["cmake", "--build", str(folder / "build")])
        _succeed(["ctest", "--test-dir", str(folder / "build"), "--output-on-failure", "--no-tests=error"])


def _succeed(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(params=BUILDS)
def build(request: pytest.FixtureRequest, scratch: Path) -> TflmBuild:
    return TflmBuild(Path(str(TFLM_DIR)) / request.param, scratch)


@pytest.fixture
def exported(build: TflmBuild, tmp_path: Path) -> Bundle:
    return make_finished(target_name=build.target_name).export(tmp_path / "b")


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text()
    after = change(before)
    assert after != before
    path.write_text(after)


@pytest.mark.parametrize("raw_type", ["uint8", "int16", "float32"])
def test_the_self_test_passes_in_the_emitted_arena(
    build: TflmBuild, tmp_path: Path, raw_type: RawType
) -> None:
    finished = make_finished(target_name=build.target_name, raw_type=raw_type)
    line = build.self_test(finished.export(tmp_path / "b"))
    found = re.fullmatch(r"mcu-nas self-test kws: PASS 3/3 \(ok\), arena (\d+) of (\d+) bytes used\n", line)
    assert found, line
    if not build.is_host:
        assert (int(found[1]), int(found[2])) == (finished.costs.arena_used_bytes, finished.costs.sram_bytes)


def test_an_arena_of_16_bytes_less_is_refused_with_its_status(build: TflmBuild, exported: Bundle) -> None:
    needed = exported.manifest.costs.sram_bytes
    line = build.self_test(exported, f"-DKWS_ARENA_BYTES={needed - 16}u")
    assert line.startswith("mcu-nas self-test kws: FAIL 0/3 (arena too small)"), line


def test_tflm_itself_fails_in_an_arena_of_16_bytes_less(build: TflmBuild, exported: Bundle) -> None:
    if build.is_host:
        pytest.skip("the exact size is that of 32-bit chips")
    needed = exported.manifest.costs.sram_bytes
    line = build.self_test(exported, f"-DKWS_ARENA_BYTES={needed - 16}u", "-DKWS_ARENA_BYTES_LEAST=1u")
    assert line.startswith("mcu-nas self-test kws: FAIL 0/3 (arena too small)"), line


def test_the_arena_lies_in_the_section_asked_for(build: TflmBuild, exported: Bundle) -> None:
    attribute = '-DKWS_ARENA_ATTRIBUTE=__attribute__((section(".bss.arena_here")))'
    runner = build.object(exported.path / "kws.cc", attribute)
    sections = build.sections(runner)
    assert sections[".bss.arena_here"] >= exported.manifest.costs.sram_bytes
    assert sections.get(".data", 0) == 0
    assert not any(name.startswith(".init_array") for name in sections), "a global constructor"


def test_a_flipped_weight_is_caught_on_the_device(build: TflmBuild, exported: Bundle) -> None:
    """Weights lie in the middle of the file; a bit of one must change an answer."""

    def flip(text: str) -> str:
        rows = text.splitlines(keepends=True)
        for at in range(len(rows) // 2, len(rows) // 2 + 20):
            rows[at] = re.sub(r"0x(..)", lambda match: f"0x{int(match[1], 16) ^ 0x40:02x}", rows[at])
        return "".join(rows)

    edit(exported.path / "kws_model.cc", flip)
    assert "FAIL 0/3 (golden output differs)" in build.self_test(exported)


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "reason"),
    [
        ("kws.cc", r".*AddSoftmax\(.*\n", "", "operator missing from the resolver"),
        ("kws.cc", r"OpResolver<4>", "OpResolver<3>", "operator missing from the resolver"),
        ("kws_golden.cc", r"(?s)(_golden_output.*?)-?\d+,", r"\g<1>0, ", "golden output differs"),
        ("kws_golden.cc", r"\n        -?\d+,", "\n        0,", "golden input differs"),
        ("kws.h", r"INPUT_ZERO_POINT \((-?\d+)\)", r"INPUT_ZERO_POINT (\g<1> + 1)", "golden input differs"),
        ("kws.h", r"OUTPUT_SIZE 5u", "OUTPUT_SIZE 4u", "model interface differs"),
    ],
)
def test_planted_faults_end_in_their_status(
    build: TflmBuild, exported: Bundle, file: str, pattern: str, replacement: str, reason: str
) -> None:
    if reason == "model interface differs":
        edit(exported.path / "kws_golden.h", lambda text: text.replace("[3][5]", "[3][KWS_OUTPUT_SIZE + 1]"))
    edit(exported.path / file, lambda text: re.sub(pattern, replacement, text, count=1))
    line = build.self_test(exported)
    assert f"FAIL 0/3 ({reason})" in line


def test_a_tflm_without_its_ethos_u_kernel_is_refused(
    build: TflmBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if build.target_name != "corstone300":
        pytest.skip("an Ethos-U stands beside a Cortex-M55")
    vela_stub.install(monkeypatch, tmp_path)
    bundle = make_finished(target_name="corstone300_u55_128").export(tmp_path / "b")
    assert "FAIL 0/3 (operator missing from the resolver)" in build.self_test(bundle)


def test_another_schema_version_is_refused(build: TflmBuild, exported: Bundle) -> None:
    data = bytearray((exported.path / "kws.tflite").read_bytes())
    root = int.from_bytes(data[:4], "little")
    table = root - int.from_bytes(data[root : root + 4], "little", signed=True)
    at = root + int.from_bytes(data[table + 4 : table + 6], "little")
    assert data[at] == 3
    data[at] = 4
    row, column = divmod(at, 16)

    def change(text: str) -> str:
        rows = text.splitlines(keepends=True)
        first = next(i for i, line in enumerate(rows) if line.startswith("    0x"))
        words = rows[first + row].split(", ")
        words[column] = words[column].replace("0x03", "0x04")
        rows[first + row] = ", ".join(words)
        return "".join(rows)

    edit(exported.path / "kws_model.cc", change)
    assert "FAIL 0/3 (schema version differs)" in build.self_test(exported)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no CMake")
def test_the_cmake_layout_builds_as_a_subdirectory(build: TflmBuild, tmp_path: Path) -> None:
    if not build.is_host:
        pytest.skip("one build of this machine shows it")
    bundle = make_finished().export(tmp_path / "kws", format="cmake")
    build.run_by_cmake(tmp_path)
    assert bundle.manifest.format == "cmake"


def test_profile_mode_prints_what_nas_calibrate_reads(
    build: TflmBuild, exported: Bundle, tmp_path: Path
) -> None:
    if not build.is_host:
        pytest.skip("a build for chips may leave TFLM's profiler out")
    text = build.self_test(exported, "-DKWS_PROFILE")
    verdict, remark, header, *rows = text.splitlines()
    assert remark == "# model: kws.tflite"
    assert verdict.startswith("mcu-nas self-test kws: PASS")
    assert header == '"Event","Tag","Ticks"'
    graph = read_graph((exported.path / "kws.tflite").read_bytes())
    assert [row.split(",")[:2] for row in rows] == [[str(i), op.kind] for i, op in enumerate(graph.operators)]
    assert all(int(row.split(",")[2]) >= 0 for row in rows)


STREAM = """
#include <cstdio>
#include "kws.h"
int main() {
  static kws_raw_t sample[KWS_INPUT_SIZE];
  if (kws_set_input(sample, KWS_INPUT_SIZE) != KWS_ERROR_NOT_INITIALIZED || kws_input() != nullptr) return 2;
  if (kws_init() != KWS_OK || kws_set_input(sample, KWS_INPUT_SIZE - 1) != KWS_ERROR_INPUT) return 3;
  if (kws_set_input(nullptr, KWS_INPUT_SIZE) != KWS_ERROR_INPUT) return 4;
  while (std::fread(sample, sizeof(sample), 1, stdin) == 1) {
    size_t index = 99;
    float score = -1.0f;
    if (kws_classify(sample, KWS_INPUT_SIZE, &index, &score) != KWS_OK) return 5;
    std::fwrite(kws_output(), 1, KWS_OUTPUT_SIZE, stdout);
    std::fputc(static_cast<int>(index), stdout);
    std::fwrite(&score, sizeof(score), 1, stdout);
  }
  return 0;
}
"""


@pytest.mark.parametrize("raw_type", ["uint8", "int16", "float32"])
def test_c_and_python_agree_on_a_thousand_random_samples(
    build: TflmBuild, tmp_path: Path, raw_type: RawType
) -> None:
    if not build.is_host:
        pytest.skip("samples are piped through programs of this machine")
    finished: Finished = make_finished(raw_type=raw_type, golden_count=1000)
    bundle = make_finished(raw_type=raw_type, golden_count=1).export(tmp_path / "b")
    main = bundle.path / "stream_main.cc"
    main.write_text(STREAM)
    sources = [path for path in sorted(bundle.path.glob("*.cc")) if "self_test" not in path.name]
    raw = finished.model.golden_inputs
    stream = build.run(build.program(sources, tmp_path / "program"), raw.tobytes())
    rows = np.frombuffer(stream, np.uint8).reshape(1000, 5 + 1 + 4)

    model = TflmModel(finished.model.tflite)
    preprocess = make_finished(raw_type=raw_type, golden_count=1).model.task.preprocess
    inputs = quantize_input(raw, preprocess, scale=model.input.scale, zero_point=model.input.zero_point)
    expected = model.run(inputs)
    assert np.array_equal(rows[:, :5].view(np.int8), expected)
    assert np.array_equal(rows[:, 5], expected.argmax(axis=1))
    scores = (expected.max(axis=1).astype(np.float32) - model.output.zero_point) * np.float32(
        model.output.scale
    )
    assert np.array_equal(np.ascontiguousarray(rows[:, 6:]).view(np.float32).ravel(), scores)
