"""The emitted front end against real TFLM builds with signal kernels; docs/firmware.md says what TFLM_DIR holds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cost_models.target_file import load_target
from nas.bundle import Bundle
from nas.bundle.remake import front_end_of
from nas.frontend.costs import front_end_costs
from nas.frontend.front_end import FrontEnd
from nas.frontend.kinds import FrontEndSettings
from nas.runtimes.tflm import TflmModel

from .audio import RATE, SETTINGS, SPECTRA, make_audio, recordings
from .test_firmware import BUILDS, NO_TFLM, TFLM_DIR, TflmBuild, edit

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not BUILDS, reason=NO_TFLM)]


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(params=BUILDS)
def build(request: pytest.FixtureRequest, scratch: Path) -> TflmBuild:
    return TflmBuild(Path(str(TFLM_DIR)) / request.param, scratch)


@pytest.fixture
def exported(build: TflmBuild, tmp_path: Path) -> Bundle:
    return make_audio(target_name=build.target_name).export(tmp_path / "b")


@pytest.mark.parametrize(
    ("settings", "is_input"), [(SETTINGS, True), (SETTINGS, False), (SPECTRA, True), (SPECTRA, False)]
)
def test_the_self_test_passes_in_the_emitted_arenas(
    build: TflmBuild, tmp_path: Path, settings: FrontEndSettings, is_input: bool
) -> None:
    finished = make_audio(settings=settings, target_name=build.target_name, is_input=is_input)
    line = build.self_test(finished.export(tmp_path / "b"))
    assert line.startswith("mcu-nas self-test kws: PASS 5/5 (ok), arena "), line


def test_the_arena_of_both_is_exact_and_tflm_fails_in_16_bytes_less(
    build: TflmBuild, exported: Bundle
) -> None:
    assert exported.manifest.frontend is not None
    needed = exported.manifest.arena_bytes
    less = f"-DKWS_ARENA_BYTES={needed - 16}u"
    assert "FAIL 0/5 (arena too small)" in build.self_test(exported, less)
    if not build.is_host:
        spec, target = front_end_of(exported.manifest), load_target(build.target_name)
        assert spec is not None
        used = exported.manifest.costs.arena_used_bytes + front_end_costs(spec, target).frame.arena_used_bytes
        line = build.self_test(exported)
        assert f"PASS 5/5 (ok), arena {used} of {needed} bytes used" in line, line
        # The network starts in it, and answers; the front end does not find its place.
        assert "FAIL 3/5 (arena too small)" in build.self_test(exported, less, "-DKWS_ARENA_BYTES_LEAST=1u")


def test_the_front_end_has_no_arena_and_no_global_constructor(build: TflmBuild, exported: Bundle) -> None:
    sections = build.sections(build.object(exported.path / "kws_frontend.cc"))
    assert sections.get(".data", 0) == 0
    assert not any(name.startswith(".init_array") for name in sections), "a global constructor"
    assert exported.manifest.frontend is not None
    held = sum(size for name, size in sections.items() if name.startswith(".bss"))
    assert held < exported.manifest.frontend.arena_bytes


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no CMake")
def test_the_cmake_layout_builds_the_front_end(build: TflmBuild, tmp_path: Path) -> None:
    if not build.is_host:
        pytest.skip("one build of this machine shows it")
    make_audio().export(tmp_path / "kws", format="cmake")
    build.run_by_cmake(tmp_path)


def other_recording(text: str) -> str:
    head, second = text.split("_golden_recording[2]")
    lines = second.split("\n")
    lines[200] = re.sub(r"-?\d+", "30000", lines[200], count=1)
    return head + "_golden_recording[2]" + "\n".join(lines)


def changed(pattern: str, new: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, new, text, count=1, flags=re.S)


@pytest.mark.parametrize(
    ("file", "change", "verdict"),
    [
        ("kws_golden.cc", other_recording, "3/5 (golden features differ)"),
        ("kws_golden.cc", changed(r"(_golden_output.*?)-?\d+,", r"\g<1>0,"), "0/5 (golden output differs)"),
        (
            "kws_frontend.cc",
            changed(r"  ok = ok && resolver\.AddPCAN[^\n]*\n", ""),
            "3/5 (operator missing from the resolver)",
        ),
        (
            "kws_frontend.cc",
            changed(r"OpResolver<10>", "OpResolver<9>"),
            "3/5 (operator missing from the resolver)",
        ),
        (
            "kws_frontend.cc",
            changed(r"interpreter->Reset\(\) != kTfLiteOk", "false"),
            "4/5 (golden features differ)",
        ),
        ("kws_frontend.h", changed(r"HOP_SAMPLES 124u", "HOP_SAMPLES 123u"), "3/5 (golden features differ)"),
        (
            "kws_frontend.h",
            changed(r"WINDOW_SAMPLES 160u", "WINDOW_SAMPLES 161u"),
            "3/5 (model interface differs)",
        ),
    ],
)
def test_planted_faults_end_in_their_status(
    build: TflmBuild, exported: Bundle, file: str, change: Callable[[str], str], verdict: str
) -> None:
    edit(exported.path / file, change)
    assert f"FAIL {verdict}" in build.self_test(exported)


# Reads counts and samples (a negative count resets), answers new frames, features and scores.
STREAM = """
#include <cstdint>
#include <cstdio>
#include <cstring>
#include "kws_frontend.h"
int main() {
  static int16_t samples[KWS_CHANNELS << 16];
  static int8_t features[KWS_FRAMES * KWS_BANDS * KWS_CHANNELS];
  int8_t scores[KWS_OUTPUT_SIZE];
  size_t frames = 99;
  kws_frontend_reset();
  if (kws_push(samples, 1, &frames) != KWS_ERROR_NOT_INITIALIZED || frames != 0) return 2;
  if (kws_features(features) != KWS_ERROR_NOT_INITIALIZED || kws_arena_used_bytes() != 0) return 3;
  if (kws_frontend_init() != KWS_ERROR_NOT_INITIALIZED) return 4;
  if (kws_init() != KWS_OK || kws_frontend_init() != KWS_OK) return 14;
  const size_t used = kws_arena_used_bytes();
  if (kws_frontend_init() != KWS_OK || kws_arena_used_bytes() != used) return 11;
  if (kws_init() != KWS_OK || kws_push(samples, 1, nullptr) != KWS_ERROR_NOT_INITIALIZED) return 12;
  if (kws_frontend_init() != KWS_OK || kws_arena_used_bytes() != used) return 13;
  if (kws_push(nullptr, 1, nullptr) != KWS_ERROR_INPUT) return 5;
  if (kws_push(nullptr, 0, nullptr) != KWS_OK || kws_features(nullptr) != KWS_ERROR_INPUT) return 6;
  if (kws_run_features(nullptr) != KWS_OK) return 7;
  int32_t count;
  while (std::fread(&count, sizeof(count), 1, stdin) == 1) {
    if (count < 0) {
      kws_frontend_reset();
      frames = 0;
    } else {
      const size_t values = KWS_CHANNELS * static_cast<size_t>(count);
      if (std::fread(samples, 2, values, stdin) != values) return 8;
      if (kws_push(samples, static_cast<size_t>(count), &frames) != KWS_OK) return 9;
    }
    std::memset(kws_input(), 77, KWS_INPUT_SIZE); /* a front end that kept anything there would show it */
    if (kws_features(features) != KWS_OK || kws_run_features(scores) != KWS_OK) return 10;
    const int32_t made = static_cast<int32_t>(frames);
    std::fwrite(&made, sizeof(made), 1, stdout);
    std::fwrite(features, 1, sizeof(features), stdout);
    std::fwrite(scores, 1, sizeof(scores), stdout);
  }
  return 0;
}
"""


def stream_program(build: TflmBuild, bundle: Bundle, program: Path) -> Path:
    """The bundle's own sources with `STREAM`."""
    (bundle.path / "stream_main.cc").write_text(STREAM)
    sources = [path for path in sorted(bundle.path.glob("*.cc")) if "self_test" not in path.name]
    return build.program(sources, program)


def clips_of_every_kind(count: int, samples: int) -> NDArray[np.int16]:
    """As many of noise, of voiced syllables, of silence and of full-scale square waves. Shape: (4 * count, samples)."""
    rng = np.random.default_rng(12)
    at = np.arange(samples) / RATE
    clips = []
    for n in range(count):
        noise = rng.normal(0, 2 ** rng.uniform(0, 14), samples)
        pitch, beats = rng.uniform(80, 300), rng.uniform(2, 8)
        voice = (
            sum(np.sin(2 * np.pi * pitch * k * at) / k for k in range(1, 12))
            * np.sin(np.pi * beats * at) ** 2
        )
        silence = rng.integers(-1, 2, samples) * (n % 2)
        square = np.where(np.sin(2 * np.pi * rng.uniform(20, 3900) * at) < 0, -32768, 32767)
        clips += [noise, 2 ** rng.uniform(6, 14) * voice, silence, square]
    return np.clip(np.rint(clips), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_thousand_clips_of_every_kind_have_pythons_features(
    build: TflmBuild, tmp_path: Path, is_plain: bool
) -> None:
    if not build.is_host:
        pytest.skip("samples are piped through programs of this machine")
    settings = replace(SETTINGS, pcan=False, noise_subtraction=False) if is_plain else SETTINGS
    program = stream_program(
        build, make_audio(settings=settings).export(tmp_path / "b"), tmp_path / "program"
    )
    clips = clips_of_every_kind(250, RATE)
    # A reset is answered, too.
    asked = b"".join(np.array([-1, RATE], np.int32).tobytes() + clip.tobytes() for clip in clips)
    answers = np.frombuffer(build.run(program, asked), np.uint8).reshape(len(clips), 2, -1)[:, 1]
    found = np.ascontiguousarray(answers[:, 4:-5]).view(np.int8)
    assert np.array_equal(found, FrontEnd(settings).features(clips).reshape(found.shape))


# A window of which hops leave a part, none, and less than none.
SHAPES = {
    "overlapping": (SETTINGS, 8000),
    "side by side": (replace(SETTINGS, window_ms=12.5, hop_ms=12.5), 6400),
    "apart": (replace(SETTINGS, window_ms=10, hop_ms=12.5), 6400),
    "without memory": (replace(SETTINGS, pcan=False, noise_subtraction=False), 8000),
    "three channels": (SPECTRA, 8000),
    "three channels apart": (replace(SPECTRA, window_ms=10, hop_ms=12.5), 6400),
}


@pytest.mark.parametrize(("settings", "clip_samples"), SHAPES.values(), ids=SHAPES.keys())
def test_samples_in_pieces_of_any_size_make_pythons_features(
    build: TflmBuild, tmp_path: Path, settings: FrontEndSettings, clip_samples: int
) -> None:
    if not build.is_host:
        pytest.skip("samples are piped through programs of this machine")
    finished = make_audio(settings=settings, clip_samples=clip_samples)
    program = stream_program(build, finished.export(tmp_path / "b"), tmp_path / "program")

    channels = settings.channels
    sound = recordings(2 * channels, 30_000).reshape(channels, 60_000).T
    rng = np.random.default_rng(9)
    sizes = [0, 1, 1, 0, settings.window_samples, *rng.integers(0, 40, 30), *rng.integers(0, 3000, 9), 20000]
    turns = [*sizes, -1, *sizes[::-1], -1, clip_samples]
    asked, begin, ends = b"", 0, []
    for size in turns:
        begin = 0 if size < 0 else begin
        asked += np.int32(size).tobytes() + sound[begin : begin + max(size, 0)].tobytes()
        begin += max(size, 0)
        ends.append(begin)
    frames, bands = 64, settings.bands * channels
    answer = np.frombuffer(build.run(program, asked), np.uint8).reshape(len(turns), 4 + frames * bands + 5)

    heard = sound[None, : max(ends), 0] if channels == 1 else sound[None, : max(ends)]
    everything = FrontEnd(settings).features(heard).reshape(-1, settings.frames(max(ends)), bands)[0]
    before = 0
    expected = np.empty((len(turns), frames, bands), np.int8)
    for turn, (size, end) in enumerate(zip(turns, ends, strict=True)):
        now = settings.frames(end)
        before = 0 if size < 0 else before
        assert int(answer[turn, :4].view(np.int32)[0]) == now - before
        rows: NDArray[np.int8] = np.full((frames, bands), -128, np.int8)
        rows[frames - min(now, frames) :] = everything[max(now - frames, 0) : now]
        expected[turn] = rows
        before = now
    found = np.ascontiguousarray(answer[:, 4:-5]).view(np.int8).reshape(expected.shape)
    assert np.array_equal(found, expected)
    network = TflmModel(finished.model.tflite)
    scores = network.run(expected.reshape((len(turns), *network.input.shape)))
    assert np.array_equal(np.ascontiguousarray(answer[:, -5:]).view(np.int8), scores)
