from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.bundle import Bundle, BundleError, verify
from nas.bundle.compiler import find_compiler
from nas.bundle.cross import has_cross_compiler
from nas.bundle.verify import NO_COMPILER, prove_sources

from .conftest import Finished

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")


def prove(bundle: Bundle, *, cross: bool = False) -> tuple[str, ...]:
    """Compile and run a folder of the test's own, which no check has looked at."""
    compiler = find_compiler()
    assert compiler
    tflite = (bundle.path / "kws.tflite").read_bytes()
    return prove_sources(bundle.path, bundle.manifest, int8=tflite, compiler=compiler, cross=cross)[1]


def check(bundle: Bundle) -> BundleError:
    with pytest.raises(BundleError) as caught:
        prove(bundle)
    return caught.value


def edit(bundle: Bundle, name: str, change: Callable[[str], str]) -> None:
    path = bundle.path / name
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")


@needs_compiler
@pytest.mark.parametrize("raw_type", ["uint8", "int16", "float32"])
def test_a_bundle_as_exported_passes_without_a_compiler_warning(
    make: Callable[..., Finished], raw_type: str, tmp_path: Path
) -> None:
    found = verify(make(raw_type=raw_type).export(tmp_path / "b"), cross=False)
    assert found.compiled
    assert found.golden_count == 3
    assert found.notes == ()


@pytest.mark.parametrize("raw_type", ["uint8", "int16", "float32"])
def test_without_a_compiler_every_byte_is_compared_and_that_is_said(
    make: Callable[..., Finished], raw_type: str, tmp_path: Path
) -> None:
    finished = make(raw_type=raw_type).with_task(
        class_names=('he said "hi"', "größer\\kleiner?", "", "??/", "5")
    )
    found = verify(finished.export(tmp_path / "b"), compiler=None)
    assert not found.compiled
    assert found.notes == (NO_COMPILER,)


@needs_compiler
def test_a_flipped_weight_byte_in_the_array_is_caught(bundle: Bundle) -> None:
    def flip(text: str) -> str:
        rows = text.splitlines(keepends=True)
        middle = len(rows) // 2
        first = re.search(r"0x(..)", rows[middle])
        assert first
        flipped = f"0x{int(first.group(1), 16) ^ 1:02x}"
        rows[middle] = rows[middle].replace(first.group(0), flipped, 1)
        return "".join(rows)

    edit(bundle, "kws_model.cc", flip)
    error = check(bundle)
    assert error.reason == "array"
    assert re.fullmatch(r"The model array differs from kws\.tflite from byte \d+ on\.", error.message)


@needs_compiler
def test_stale_golden_vectors_are_caught(bundle: Bundle) -> None:
    def change(text: str) -> str:
        head, tail = text.split("_golden_output", 1)
        first = re.search(r"-?\d+(?=, -?\d+,\n)", tail)
        assert first
        other = str(int(first.group(0)) ^ 1)
        return head + "_golden_output" + tail[: first.start()] + other + tail[first.end() :]

    edit(bundle, "kws_golden.cc", change)
    error = check(bundle)
    assert error.reason == "golden"
    assert "of vector 0 the model answers" in error.message


@needs_compiler
def test_a_changed_golden_sample_is_caught(bundle: Bundle) -> None:
    edit(bundle, "kws_golden.cc", lambda text: re.sub(r"\n        \d+,", "\n        99,", text, count=1))
    error = check(bundle)
    assert error.reason == "golden"
    assert "hashes of the quantized inputs differ" in error.message


@needs_compiler
def test_an_arena_of_16_bytes_less_is_caught(bundle: Bundle) -> None:
    edit(bundle, "kws.h", lambda text: text.replace("BYTES_EXACT 2928u", "BYTES_EXACT 2912u"))
    error = check(bundle)
    assert error.reason == "interface"
    assert error.message == "The header's arena is 2912 B, the manifest's 2928 B."


@needs_compiler
def test_a_changed_label_list_is_caught(bundle: Bundle) -> None:
    edit(bundle, "kws_io.cc", lambda text: text.replace('"gesture 1"', '"gesture one"'))
    error = check(bundle)
    assert error.reason == "labels"
    assert error.message == (
        "The class names are gesture 0, gesture one, gesture 2, gesture 3, gesture 4;"
        " the model was exported with gesture 0, gesture 1, gesture 2, gesture 3, gesture 4."
    )


@needs_compiler
def test_a_changed_scale_is_caught(bundle: Bundle) -> None:
    edit(bundle, "kws.h", lambda text: re.sub(r"(INPUT_SCALE 0\.\d*)\d\df", r"\g<1>00f", text))
    error = check(bundle)
    assert error.reason == "interface"


@needs_compiler
def test_changed_preprocessing_is_caught(bundle: Bundle) -> None:
    edit(bundle, "kws_io.cc", lambda text: re.sub(r"kMultiplier\[\] = \{\d", "kMultiplier[] = {3", text))
    error = check(bundle)
    assert error.reason == "preprocessing"


@needs_compiler
def test_sources_that_do_not_compile_are_caught(bundle: Bundle) -> None:
    edit(bundle, "kws.h", lambda text: text.replace("typedef int16_t", "typedef itn16_t"))
    error = check(bundle)
    assert error.reason == "compile"
    assert "itn16_t" in error.message


@needs_compiler
def test_compiler_warnings_are_noted(bundle: Bundle) -> None:
    edit(bundle, "kws_io.cc", lambda text: text + "\nstatic int unused() { return 1; }\n")
    assert any("unused" in note for note in prove(bundle))


@pytest.mark.skipif(not has_cross_compiler(), reason="GNU Arm Embedded is not installed")
def test_on_cortex_m_weights_stay_in_flash_and_no_sram_is_taken(bundle: Bundle) -> None:
    found = verify(bundle)
    assert found.notes == ()
    assert [core.core for core in found.sections] == [
        "cortex-m0plus",
        "cortex-m4",
        "cortex-m7",
        "cortex-m33",
        "cortex-m55",
    ]
    for core in found.sections:
        assert core.constant_bytes > bundle.manifest.costs.model_bytes
        assert core.data_bytes == core.zero_bytes == 0
        assert 0 < core.code_bytes < 1000


@pytest.mark.skipif(not has_cross_compiler(), reason="GNU Arm Embedded is not installed")
@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("int zeroed[4];", "On cortex-m0plus the model's own sources take 16 B of SRAM."),
        ("int filled[2] = {1, 2};", "On cortex-m0plus the model's own sources take 8 B of SRAM."),
    ],
)
def test_a_variable_in_the_models_sources_is_caught(bundle: Bundle, declaration: str, message: str) -> None:
    edit(bundle, "kws_io.cc", lambda text: text + declaration + "\n")
    with pytest.raises(BundleError, match=re.escape(message)):
        prove(bundle, cross=True)


@needs_compiler
def test_what_is_compiled_is_written_again_and_not_the_folders_own(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check and the compiler a file of the folder may change; it is not read any more."""
    seen: list[Path] = []
    verify_module = sys.modules["nas.bundle.verify"]
    real = prove_sources

    def watch(folder: Path, *rest: Any, **more: Any) -> object:
        seen.append(folder)
        return real(folder, *rest, **more)

    monkeypatch.setattr(verify_module, "prove_sources", watch)
    assert verify(bundle, cross=False).compiled
    assert seen
    assert not seen[0].is_relative_to(bundle.path)
