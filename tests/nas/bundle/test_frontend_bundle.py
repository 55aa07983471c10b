"""Bundles of models behind a front end: their sources, their manifest, and what they refuse."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from cost_models.arena import ArenaPartner
from cost_models.errors import UserError
from cost_models.ethos_u import compiled_arena, read_compiled_model
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from nas.bundle import Bundle, BundleError, check_bundle, verify
from nas.bundle.check import FEATURES_ON_TRUST, ON_TRUST
from nas.bundle.compiler import find_compiler
from nas.bundle.content import sha256
from nas.bundle.layout import ARDUINO_LACKS_SIGNAL, LAYOUTS, Role
from nas.bundle.manifest import MANIFEST_NAME, Manifest
from nas.bundle.operators import front_end_registrations, registration
from nas.bundle.verify import prove_sources
from nas.cli.check import check
from nas.frontend.costs import front_end_costs
from nas.frontend.kinds import FrontEndSettings
from nas.frontend.settings import LogMelSettings
from nas.model.trained import FrontEndSpec
from nas.runtimes.reference import NOT_BY_TFLM
from tests.nas import vela_stub

from .audio import RATE, SETTINGS, SPECTRA, make_audio, recordings
from .conftest import Finished, make_finished
from .test_check import Edit, assert_refused, fields, put, rehash, sub

pytest.importorskip("tflite_micro")

HOST = find_compiler()
needs_compiler = pytest.mark.skipif(HOST is None, reason="no C++ compiler")
ROLES: tuple[Role, ...] = (
    "frontend_model",
    "frontend_model_header",
    "frontend_model_source",
    "frontend_header",
    "frontend_source",
)


@pytest.fixture(scope="module")
def audio() -> Finished:
    return make_audio()


@pytest.fixture(scope="module")
def exported(audio: Finished, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return audio.export(tmp_path_factory.mktemp("audio") / "b")


@pytest.fixture
def copied(exported: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.path, tmp_path / "b"))


def spec_of(finished: Finished) -> FrontEndSpec:
    assert finished.model.task.frontend is not None
    return finished.model.task.frontend


def text(bundle: Bundle, name: str) -> str:
    return (bundle.path / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("format_name", LAYOUTS)
def test_every_layout_has_the_front_ends_sources_and_builds_them(
    audio: Finished, tmp_path: Path, format_name: str
) -> None:
    bundle = audio.export(tmp_path / "b", format=format_name)
    suffix = ".cpp" if format_name == "arduino" else ".cc"
    names = {role: Path(*bundle.manifest.paths(role)).name for role in ROLES}
    assert names == {
        "frontend_model": "kws_frontend.tflite",
        "frontend_model_header": "kws_frontend_model.h",
        "frontend_model_source": f"kws_frontend_model{suffix}",
        "frontend_header": "kws_frontend.h",
        "frontend_source": f"kws_frontend{suffix}",
    }
    built_by = {"cmake": "CMakeLists.txt", "zephyr": "CMakeLists.txt", "esp-idf": "CMakeLists.txt"}
    built_by["cmsis-pack"] = "mcu_nas.kws.pdsc"
    if format_name in built_by:
        build = text(bundle, built_by[format_name])
        assert "src/kws_frontend.cc" in build
        assert "src/kws_frontend_model.cc" in build
    checked = check_bundle(bundle.path)
    assert (checked.manifest, checked.notes) == (bundle.manifest, (ON_TRUST,))


@pytest.mark.parametrize(
    ("format_name", "names"),
    [
        (
            "tflm",
            (
                "kws.h",
                "kws_frontend.h",
                "kws_frontend.cc",
                "kws_frontend_model.h",
                "kws_golden.h",
                "kws_self_test.cc",
            ),
        ),
        ("zephyr", ("CMakeLists.txt", "Kconfig")),
    ],
)
def test_the_emitted_text_is_the_golden_one(
    audio: Finished,
    tmp_path: Path,
    golden: Callable[[Path, str], None],
    format_name: str,
    names: tuple[str, ...],
) -> None:
    bundle = audio.export(tmp_path / "b", format=format_name)
    for name in names:
        golden(
            Path(__file__).parent / "golden" / "frontend" / format_name / f"{name}.golden", text(bundle, name)
        )
    listed = sorted(entry.path for entry in bundle.manifest.files)
    golden(
        Path(__file__).parent / "golden" / "frontend" / format_name / "files.golden", "\n".join(listed) + "\n"
    )


@pytest.mark.parametrize("format_name", ["tflm", "cmake", "cmsis-pack", "esp-idf", "zephyr"])
def test_a_test_build_counts_vectors_and_recordings(
    audio: Finished, tmp_path: Path, format_name: str
) -> None:
    bundle = audio.export(tmp_path / "b", format=format_name)
    mains = [entry.path for entry in bundle.manifest.files if entry.path.endswith("main.cc")]
    assert mains
    assert all("(KWS_GOLDEN_COUNT + KWS_GOLDEN_RECORDING_COUNT)" in text(bundle, path) for path in mains)


def test_the_header_states_what_the_caller_must_know(exported: Bundle) -> None:
    header = text(exported, "kws_frontend.h")
    stated = dict(re.findall(r"#define KWS_(\w+) (\d+)u", header))
    assert stated == {
        "CHANNELS": "1",
        "SAMPLE_RATE": "8000",
        "WINDOW_SAMPLES": "160",
        "HOP_SAMPLES": "124",
        "FRAMES": "64",
        "BANDS": "9",
        "CLIP_SAMPLES": "8000",
        "SMOOTHED": "4",
    }
    assert "KWS_ERROR_GOLDEN_FEATURES = 10" in text(exported, "kws.h")
    assert '"golden features differ"' in text(exported, "kws_io.cc")


def test_the_resolver_has_the_operators_that_occur_and_no_other(exported: Bundle, tmp_path: Path) -> None:
    def methods(bundle: Bundle) -> list[str]:
        return re.findall(r"resolver\.(Add\w+\(.*?\)) ==", text(bundle, "kws_frontend.cc"))

    assert methods(exported) == [
        "AddWindow()",
        "AddFftAutoScale()",
        "AddRfft(tflite::tflm_signal::Register_RFFT_INT16())",
        "AddEnergy()",
        "AddFilterBank()",
        "AddFilterBankSquareRoot()",
        "AddFilterBankSpectralSubtraction()",
        "AddPCAN()",
        "AddFilterBankLog()",
        "AddQuantize()",
    ]
    plain = make_audio(settings=replace(SETTINGS, pcan=False, noise_subtraction=False))
    bundle = plain.export(tmp_path / "b")
    left_out = {"AddFilterBankSpectralSubtraction()", "AddPCAN()"}
    assert methods(bundle) == [method for method in methods(exported) if method not in left_out]
    assert "MicroMutableOpResolver<8>" in text(bundle, "kws_frontend.cc")


def test_signal_operators_belong_to_front_ends_alone() -> None:
    assert [line.kind for line in front_end_registrations(["SignalPCAN", "QUANTIZE", "SignalPCAN"])] == [
        "SignalPCAN",
        "QUANTIZE",
    ]
    with pytest.raises(UserError, match=r"TFLM's resolver has no operator SignalPCAN\."):
        registration("SignalPCAN")
    with pytest.raises(UserError, match=r"TFLM's resolver has no operator SignalFancy\."):
        front_end_registrations(["SignalFancy"])


def test_features_are_scaled_only_where_the_networks_input_has_another_scale(
    exported: Bundle, tmp_path: Path
) -> None:
    assert "kws_quantize" not in text(exported, "kws_frontend.cc")
    assert "kws_quantize" in text(make_audio(is_input=False).export(tmp_path / "b"), "kws_frontend.cc")


def test_the_manifest_states_the_front_end(audio: Finished, exported: Bundle) -> None:
    spec = spec_of(audio)
    costs = front_end_costs(spec, load_target("nrf52840"))
    data = json.loads(text(exported, MANIFEST_NAME))
    assert data["frontend"] == {
        "kind": "log_mel",
        "settings": asdict(SETTINGS),
        "sample_rate": RATE,
        "clip_samples": RATE,
        "window_samples": 160,
        "hop_samples": 124,
        "frames": 64,
        "bands": 9,
        "channels": 1,
        "recordings": 2,
        "model_sha256": sha256(spec.tflite),
        "arena_bytes": costs.arena_bytes,
        "buffer_bytes": costs.buffer_bytes,
        "model_bytes": costs.model_bytes,
        "code_bytes": costs.code_bytes,
        "frame": {
            "instructions": costs.frame.instructions,
            "cycles": costs.frame.cycles,
            "cycles_low": costs.frame.cycles_low,
            "cycles_high": costs.frame.cycles_high,
            "latency_us": costs.frame.latency_us,
            "energy_uj": costs.frame.energy_uj,
            "busy_share": costs.busy_share,
        },
    }
    assert data["costs"]["sram_bytes"] == 1968, "what the network adds"
    assert exported.manifest.arena_bytes == 4128 + 1968
    assert "#define KWS_ARENA_BYTES_EXACT 6096u" in text(exported, "kws.h")


def test_without_a_front_end_the_manifest_does_not_speak_of_one(bundle: Bundle) -> None:
    assert "frontend" not in json.loads(text(bundle, MANIFEST_NAME))
    assert bundle.manifest.frontend is None
    assert Manifest.model_validate_json(bundle.manifest.to_json()) == bundle.manifest


def test_settings_in_whole_milliseconds_are_written_again(tmp_path: Path) -> None:
    settings = LogMelSettings(sample_rate=RATE, window_ms=20, hop_ms=15, bands=9, low_hz=200, high_hz=3800)
    check_bundle(make_audio(settings=settings, clip_samples=7800).export(tmp_path / "b").path)


def test_the_card_states_what_the_front_end_takes_besides_the_network(exported: Bundle) -> None:
    card = text(exported, "MODEL_CARD.md")
    assert "## Front end" in card
    assert (
        "| SRAM, part of the tensor arena | 4128 B | exact: what it would take without the network; both share one of"
        " 6096 B |" in card
    )
    assert (
        "| SRAM, part of the tensor arena | 1968 B | exact: what the network adds to the front end's |"
        in card
    )
    assert "| SRAM, buffers | 896 B | exact: a frame of samples, and the features of 64 frames |" in card
    assert "| Frames | 64.5161 a second | each of 160 samples, one every 124 samples |" in card
    assert exported.manifest.frontend is not None
    frame = exported.manifest.frontend.frame
    assert frame is not None
    assert (
        f"| Cycles of a frame | {frame.cycles} | predicted, {frame.cycles_low} to {frame.cycles_high}" in card
    )
    assert "| Latency of a frame and the network |" in card
    assert "2 golden recordings prove the same of the front end" in card


def test_several_channels_are_stated_costed_and_checked(tmp_path: Path) -> None:
    finished = make_audio(settings=SPECTRA)
    bundle = finished.export(tmp_path / "b")
    header = text(bundle, "kws_frontend.h")
    assert "#define KWS_CHANNELS 3u" in header
    assert "#define KWS_UNITS_PER_COUNT {0.5, 0.25, 1.0}" in header
    entry = bundle.manifest.frontend
    assert entry is not None
    assert (entry.kind, entry.channels, entry.settings.model_dump()) == ("spectrum", 3, asdict(SPECTRA))
    assert entry.buffer_bytes == 2 * 160 * 3 + 64 * 3 * 3
    one = front_end_costs(replace(spec_of(finished), channels=1), load_target("nrf52840"))
    assert one.frame.cycles is not None
    assert entry.frame is not None
    assert entry.frame.cycles == 3 * one.frame.cycles
    assert entry.arena_bytes == one.arena_bytes, "one graph for all channels"
    card = text(bundle, "MODEL_CARD.md")
    assert "int16, 3 channels) becomes 64 frames of 9 features" in card
    assert "logarithms of the amplitudes in bands from 0 to 4000 Hz, of each channel" in card
    assert check_bundle(bundle.path).notes == (ON_TRUST,)


@pytest.mark.parametrize("format_name", ["arduino", "esp-idf", "platformio"])
def test_a_readme_says_how_samples_come_in(
    audio: Finished, finished: Finished, tmp_path: Path, format_name: str
) -> None:
    readme = text(audio.export(tmp_path / "b", format=format_name), "README.md")
    # 320 B of samples and 576 B of features.
    assert "It shares the network's arena, and its buffers take 896 bytes of SRAM." in readme
    assert "kws_push" not in text(finished.export(tmp_path / "c", format=format_name), "README.md")


@pytest.mark.parametrize("format_name", ["arduino", "platformio"])
def test_a_library_without_signal_kernels_is_said_to_lack_them(
    audio: Finished, finished: Finished, tmp_path: Path, format_name: str
) -> None:
    bundle = audio.export(tmp_path / "b", format=format_name)
    assert ARDUINO_LACKS_SIGNAL in bundle.manifest.notes
    assert ARDUINO_LACKS_SIGNAL in text(bundle, "README.md")
    assert ARDUINO_LACKS_SIGNAL not in finished.export(tmp_path / "c", format=format_name).manifest.notes


def test_zephyrs_symbol_for_the_arena_has_room_for_both(
    audio: Finished, finished: Finished, tmp_path: Path
) -> None:
    bundle = audio.export(tmp_path / "b", format="zephyr")
    assert any("builds window and rfft alone" in note for note in bundle.manifest.notes)

    def beyond_exact(bundle: Bundle) -> int:
        found = re.search(r"_ARENA_BYTES\n.*\n.*64BIT\n\tdefault (\d+)\n", text(bundle, "Kconfig"))
        assert found
        return int(found[1]) - bundle.manifest.arena_bytes

    # 12 B for each of 10 operators and 64 B, rounded up to a multiple of 16.
    more = beyond_exact(bundle) - beyond_exact(finished.export(tmp_path / "c", format="zephyr"))
    assert 12 * 10 + 64 - 16 < more < 12 * 10 + 64 + 16


@needs_compiler
@pytest.mark.parametrize(("settings", "is_input"), [(SETTINGS, True), (SETTINGS, False), (SPECTRA, True)])
def test_what_compiles_is_the_front_end_that_was_meant(
    tmp_path: Path, settings: FrontEndSettings, is_input: bool
) -> None:
    found = verify(make_audio(settings=settings, is_input=is_input).export(tmp_path / "b"))
    assert (found.compiled, found.notes) == (True, ())
    assert all(core.data_bytes == core.zero_bytes == 0 for core in found.sections)


@needs_compiler
@pytest.mark.parametrize(
    ("file", "pattern", "new", "reason", "message"),
    [
        ("kws_frontend_model.cc", r"0x20, 0x00", "0x21, 0x00", "array", "The front end's array is not"),
        (
            "kws_frontend.h",
            r"RATE 8000u",
            "RATE 16000u",
            "interface",
            "The front end's header states other sizes",
        ),
        (
            "kws_frontend.h",
            r"BANDS 9u",
            "BANDS 8u",
            "interface",
            "The front end's header states other sizes",
        ),
        (
            "kws_golden.cc",
            r"(golden_recording\[2\].*?\n.*?\n)(.*\n){200}",
            r"\1",
            "golden",
            "The golden recordings are stale: the front end makes other features",
        ),
        (
            "kws_golden.cc",
            r"golden_recording\[2\](.*?)    \},",
            r"golden_recording[1]\1    },\n};\nconst int16_t spare[1][8000] = {",
            "golden",
            "There are not 2 golden recordings",
        ),
    ],
)
def test_what_compiles_to_another_front_end_is_refused(
    exported: Bundle, copied: Path, file: str, pattern: str, new: str, reason: str, message: str
) -> None:
    before = (copied / file).read_text()
    after = re.sub(pattern, new, before, count=1, flags=re.S if reason == "golden" and "spare" in new else 0)
    assert after != before
    (copied / file).write_text(after)
    if "spare" in new:
        header = (copied / "kws_golden.h").read_text()
        (copied / "kws_golden.h").write_text(header.replace("golden_recording[2]", "golden_recording[1]"))
    assert HOST is not None
    with pytest.raises(BundleError, match=re.escape(message)) as caught:
        prove_sources(
            copied,
            exported.manifest,
            int8=(copied / "kws.tflite").read_bytes(),
            compiler=HOST,
            cross=False,
        )
    assert caught.value.reason == reason


@needs_compiler
@pytest.mark.parametrize("refractory", [0, 3])
def test_decisions_of_a_stream_are_those_of_python(exported: Bundle, tmp_path: Path, refractory: int) -> None:
    classes, smoothed, threshold = len(exported.manifest.task.class_names), 4, 10
    rng = np.random.default_rng(refractory)
    results = rng.integers(-128, 128, (300, classes)).astype(np.int8)
    results[20:40] = results[20]  # a word that many results hear
    rows = ", ".join(f"{{{', '.join(map(str, row))}}}" for row in results.tolist())
    source = tmp_path / "stream.c"
    source.write_text(
        '#include <stdio.h>\n#include "kws_frontend.h"\n'
        f"static const int8_t results[{len(results)}][KWS_OUTPUT_SIZE] = {{{rows}}};\n"
        "int main(void) {\n"
        "  static kws_detector detector;\n"
        f"  for (size_t i = 0; i < {len(results)}u; ++i)\n"
        f'    printf("%ld ", (long)kws_detect(&detector, results[i], {threshold}, {refractory}u));\n'
        "  return 0;\n}\n"
    )
    assert HOST is not None
    program = tmp_path / "stream"
    assert HOST.compile([source], include=exported.path, output=program, c99=True) == ()
    found = [int(word) for word in subprocess.run([program], capture_output=True, check=True).stdout.split()]
    expected, quiet = [], 0
    for end in range(1, len(results) + 1):
        mean = results[max(0, end - smoothed) : end].astype(int).sum(axis=0) / smoothed
        heard = -1
        if quiet:
            quiet -= 1
        elif end >= smoothed and mean.max() >= threshold:
            heard, quiet = int(mean.argmax()), refractory
        expected.append(heard)
    assert found == expected
    assert {-1, *range(classes)} == set(found), "all happens"


@needs_compiler
def test_the_example_of_the_manual_compiles_as_c99(exported: Bundle, tmp_path: Path) -> None:
    manual = (Path(__file__).parents[3] / "docs" / "firmware.md").read_text(encoding="utf-8")
    section = manual.split("## Audio and vibration: pushing samples")[1]
    head, body = section.split("```c\n")[1].split("```")[0].split("\n\nif (")
    source = tmp_path / "example.c"
    source.write_text(
        f"#include <stdio.h>\n{head}\nvoid microphone_read(int16_t *, size_t);\nvoid example(void);\n"
        f"void example(void) {{\nif ({body}}}\n"
    )
    assert HOST is not None
    assert HOST.compile([source], include=exported.path, output=None, c99=True) == ()


def test_the_front_end_stands_before_a_network_for_an_npu_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vela_stub.install(monkeypatch, tmp_path)
    bundle = make_audio(target_name="corstone300_u55_128").export(tmp_path / "b")
    assert bundle.manifest.frontend is not None
    check_bundle(bundle.path)


def test_without_tflm_the_features_are_taken_on_trust(
    exported: Bundle, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tflite_micro"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    assert check_bundle(exported.path).notes[:3] == (ON_TRUST, FEATURES_ON_TRUST, NOT_BY_TFLM)
    FAULTS["golden recording"](copied)
    check_bundle(copied)


REFUSED: dict[str, tuple[Callable[[Finished], Finished], str]] = {
    "no recordings": (
        lambda audio: audio.with_model(golden_recordings=None),
        r"The front end has no golden recordings\.",
    ),
    "recordings of another length": (
        lambda audio: audio.with_model(golden_recordings=recordings(2, 100)),
        r"The golden recordings are int16 \(2, 100\), not int16 \(n, 8000\)\.",
    ),
    "more recordings than samples": (
        lambda audio: audio.with_model(golden_recordings=recordings(4)),
        r"There are 4 golden recordings and 3 golden samples\.",
    ),
    "recordings of other features": (
        lambda audio: audio.with_model(golden_recordings=recordings(3)),
        r"The front end makes other features of golden recording 2 than golden sample 2\.",
    ),
    "another model than the settings'": (
        lambda audio: audio.with_task(frontend=replace(spec_of(audio), tflite=b"TFL3")),
        r"The front end is not the one that its settings give\.",
    ),
    "settings of another kind": (
        lambda audio: audio.with_task(frontend=replace(spec_of(audio), settings={"wavelets": 3})),
        r"The front end's settings are not those of log_mel: .*wavelets",
    ),
    "another number of frames": (
        lambda audio: make_audio_of_63_frames(audio),
        r"The front end makes 63 x 9 features, bytes above -128; the model's input is \(64, 1, 9\) of raw uint8\.",
    ),
    "recordings without a front end": (
        lambda audio: make_finished().with_model(golden_recordings=recordings(1)),
        r"There are golden recordings, but no front end\.",
    ),
}


def make_audio_of_63_frames(audio: Finished) -> Finished:
    from nas.frontend.spec import make_spec

    return audio.with_task(frontend=make_spec(SETTINGS, 160 + 62 * 124))


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_front_end_that_does_not_fit_is_refused(
    audio: Finished, tmp_path: Path, change: Callable[[Finished], Finished], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        change(audio).export(tmp_path / "b")


def in_middle(old: str, new: str) -> Edit:
    """Change a sample in the middle of the first golden recording, where a window has its weight."""

    def edit(folder: Path) -> None:
        path = folder / "kws_golden.cc"
        lines = path.read_text().split("\n")
        at = next(i for i, line in enumerate(lines) if "_golden_recording[" in line) + 200
        lines[at] = re.sub(old, new, lines[at], count=1)
        path.write_text("\n".join(lines))
        rehash(folder)

    return edit


def flipped_model(folder: Path) -> None:
    """A byte of the front end's model, in the file, the array and the manifest."""
    path = folder / "kws_frontend.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    head = (folder / "kws_frontend_model.cc").read_text().split("= {\n")[0]
    rows = [", ".join(f"0x{byte:02x}" for byte in data[at : at + 16]) for at in range(0, len(data), 16)]
    (folder / "kws_frontend_model.cc").write_text(
        head + "= {\n" + "".join(f"    {row},\n" for row in rows) + "};\n"
    )
    rehash(folder)
    put("frontend", "model_sha256", value=sha256(bytes(data)))(folder)


def flipped_file(folder: Path) -> None:
    path = folder / "kws_frontend.tflite"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    rehash(folder)


def setting(name: str, value: object) -> Edit:
    return put("frontend", "settings", name, value=value)


FAULTS: dict[str, Edit] = {
    "model": flipped_model,
    "model's file": flipped_file,
    "model's array": sub("kws_frontend_model.cc", r"0x20, 0x00", "0x21, 0x00"),
    "model's hash": put("frontend", "model_sha256", value="0" * 64),
    "golden recording": in_middle(r"-?\d+", "30000"),
    "golden recording as an expression": in_middle(r"(-?\d+)", r"0+\1"),
    "golden recording beyond int16": in_middle(r"-?\d+", "40000"),
    "one sample fewer": in_middle(r"-?\d+, ", ""),
    "operator removed": sub("kws_frontend.cc", r"  ok = ok && resolver\.AddPCAN.*?;\n", ""),
    "ring turned round": sub("kws_frontend.cc", r"g_oldest \+ 1", "g_oldest - 1"),
    "half the arena": sub("kws.h", r"BYTES_EXACT 6096u", "BYTES_EXACT 3056u"),
    "another rate": sub("kws_frontend.h", r"RATE 8000u", "RATE 16000u"),
    "self-test without recordings": sub(
        "kws_self_test.cc", r"status = RunRecording\(recording\)", "status = KWS_OK"
    ),
    "no front end": fields(lambda data: data.pop("frontend")),
    "null as front end": put("frontend", value=None),
    "hop": setting("hop_ms", 15.25),
    "window": setting("window_ms", 19.0),
    "bands": setting("bands", 10),
    "thousand bands": setting("bands", 1000),
    "low frequency": setting("low_hz", 210.0),
    "no PCAN": setting("pcan", value=False),
    "no noise subtraction": setting("noise_subtraction", value=False),
    "steps": setting("steps_per_neper", 12),
    "rate in the settings": setting("sample_rate", 16000),
    "rate as text": setting("sample_rate", "8000"),
    "whole milliseconds": setting("window_ms", 20),
    "a setting that there is not": setting("wavelets", 3),
    "rate in the manifest": put("frontend", "sample_rate", value=16000),
    "hop in the manifest": put("frontend", "hop_samples", value=125),
    "frames": put("frontend", "frames", value=65),
    "recordings": put("frontend", "recordings", value=3),
    "longer recordings": put("frontend", "clip_samples", value=16000),
    "recordings of no samples": put("frontend", "clip_samples", value=0),
    "endless recordings": put("frontend", "clip_samples", value=10**400),
    "front end's arena": put("frontend", "arena_bytes", value=4112),
    "front end's buffers": put("frontend", "buffer_bytes", value=0),
    "front end's code": put("frontend", "code_bytes", value=0),
    "a frame's cycles": put("frontend", "frame", "cycles", value=1),
    "another kind": put("frontend", "kind", value="mfcc"),
}

MESSAGES: dict[str, tuple[str, str]] = {
    "model": ("manifest", "manifest.json: frontend.model_sha256 is "),
    "model's file": ("content", "kws_frontend.tflite is not what manifest and model give"),
    "model's array": ("content", "kws_frontend_model.cc is not what manifest and model give"),
    "golden recording": (
        "model",
        "The front end makes other features of golden recording 0 than golden sample 0.",
    ),
    "golden recording as an expression": (
        "golden",
        "The golden recordings are none of the front end's input.",
    ),
    "hop": ("model", "The front end makes 65 x 9 features"),
    "low frequency": ("model", "The front end makes other features of golden recording 0"),
    "thousand bands": ("model", "A front end of 1000 bands is not known."),
    "frames": ("manifest", "manifest.json: frontend.frames is 65, model and target give 64."),
    "no front end": ("manifest", "manifest.json: costs.sram_bytes is 1968, model and target give 2928."),
}


@pytest.mark.parametrize("edit", FAULTS.values(), ids=FAULTS.keys())
def test_a_planted_fault_is_refused(edit: Edit, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(copied)
    assert_refused(copied, capsys)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_refusal_says_what_differs(name: str, copied: Path) -> None:
    FAULTS[name](copied)
    with pytest.raises(BundleError) as caught:
        check_bundle(copied)
    assert (caught.value.reason, caught.value.message[: len(MESSAGES[name][1])]) == MESSAGES[name]


def test_a_users_limit_holds_for_front_end_and_network_together(exported: Bundle) -> None:
    entry = exported.manifest.frontend
    assert entry is not None
    whole = exported.manifest.arena_bytes + entry.buffer_bytes
    assert check(exported.path, budget_text=f"sram={whole}B")["ok"]
    short = check(exported.path, budget_text=f"sram={whole - 1}B")
    assert (short["ok"], short["reason"]) == (False, "budget")
    alone = check(exported.path, budget_text=f"sram={entry.arena_bytes}B")
    assert (alone["ok"], alone["reason"]) == (False, "budget")
    assert (
        "The front end alone takes 5,024 B (4.9 KB) of sram; the limit is 4,128 B (4.0 KB)."
        in alone["verdict"]
    )


def test_on_another_board_the_arena_must_hold_both(exported: Bundle, tmp_path: Path) -> None:
    bundle = make_audio(target_name="esp32s3").export(tmp_path / "b")
    more = exported.manifest.arena_bytes - bundle.manifest.arena_bytes
    assert more > 0
    found = check(bundle.path, target_name="nrf52840")
    assert found["reason"] == "arena"
    assert f"nrf52840 needs {more:,} B more" in found["verdict"]
    assert check(exported.path, target_name="esp32s3")["reason"] != "arena"


def test_the_arena_of_a_model_for_an_npu_holds_the_front_end_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vela_stub.install(monkeypatch, tmp_path)
    finished = make_audio(target_name="corstone300_u55_128")
    bundle = finished.export(tmp_path / "b")
    npu, entry = bundle.manifest.npu, bundle.manifest.frontend
    assert npu is not None
    assert entry is not None
    build = {"kernels": finished.target.kernels, "core": finished.target.core}
    compiled = read_compiled_model((bundle.path / "kws.tflite").read_bytes())
    partner = ArenaPartner(read_graph(spec_of(finished).tflite), **build)
    both = partner.after(compiled_arena(compiled, **build))
    assert npu.arena_bytes + entry.arena_bytes == both.min_bytes == bundle.manifest.arena_bytes
    assert f"#define KWS_ARENA_BYTES_EXACT {both.min_bytes}u" in text(bundle, "kws.h")
