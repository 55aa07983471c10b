from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tflite_micro import runtime

from nas.export import Bundle, BundleError, verify
from nas.export.compiler import find_compiler
from nas.export.context import sha256
from nas.export.cross import has_cross_compiler
from nas.export.manifest import MANIFEST_NAME
from nas.export.verify import NO_COMPILER
from nas.quantize_input import quantize_input
from nas.tflm import TflmModel

from .conftest import Finished

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
# With the host's compiler, and as on a machine that has none.
WAYS = [pytest.param("compiled", marks=needs_compiler), "text"]


def check(bundle: Bundle, way: str) -> BundleError:
    with pytest.raises(BundleError) as caught:
        verify(bundle.path, compiler=find_compiler() if way == "compiled" else None, cross=False)
    return caught.value


def edit(bundle: Bundle, name: str, change: Callable[[str], str], *, rehash: bool = True) -> None:
    """Change a text file; with `rehash` the manifest goes along, so that deeper checks must find the fault."""
    path = bundle.path / name
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")
    if rehash:
        edit_manifest(bundle, refresh_hashes(bundle))


def edit_manifest(bundle: Bundle, change: Callable[[dict[str, object]], None]) -> None:
    path = bundle.path / MANIFEST_NAME
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def refresh_hashes(bundle: Bundle) -> Callable[[dict[str, object]], None]:
    def change(data: dict[str, object]) -> None:
        for entry in data["files"]:  # type: ignore[attr-defined]
            entry["sha256"] = sha256((bundle.path / entry["path"]).read_bytes())
        data["model_sha256"] = sha256((bundle.path / "kws.tflite").read_bytes())

    return change


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
def test_without_a_compiler_the_text_is_read_and_that_is_said(
    make: Callable[..., Finished], raw_type: str, tmp_path: Path
) -> None:
    finished = make(raw_type=raw_type).with_task(
        class_names=('he said "hi"', "größer\\kleiner?", "", "??/", "5")
    )
    found = verify(finished.export(tmp_path / "b"), compiler=None)
    assert not found.compiled
    assert found.notes == (NO_COMPILER,)


def test_a_changed_file_is_caught_by_its_hash(bundle: Bundle) -> None:
    edit(bundle, "kws_golden.h", lambda text: text + "\n", rehash=False)
    error = check(bundle, "text")
    assert error.reason == "hash"
    assert error.message == "kws_golden.h is not the file that was exported: its sha256 differs."


def test_a_missing_file_is_named(bundle: Bundle) -> None:
    (bundle.path / "kws_io.cc").unlink()
    error = check(bundle, "text")
    assert (error.reason, error.message) == ("files", "kws_io.cc is missing.")


def test_a_manifest_that_breaks_the_schema_is_caught(bundle: Bundle) -> None:
    edit_manifest(bundle, lambda data: data.update(schema=2))
    error = check(bundle, "text")
    assert error.reason == "manifest"
    assert "manifest.json: schema" in error.message
    (bundle.path / MANIFEST_NAME).unlink()
    assert check(bundle, "text").message == "manifest.json cannot be read."


def test_a_path_out_of_the_bundle_is_refused(bundle: Bundle) -> None:
    edit_manifest(bundle, lambda data: data["files"][0].update(path="../outside"))  # type: ignore[index]
    error = check(bundle, "text")
    assert error.reason == "files"


@pytest.mark.parametrize("way", WAYS)
def test_a_flipped_weight_byte_in_the_array_is_caught(bundle: Bundle, way: str) -> None:
    def flip(text: str) -> str:
        rows = text.splitlines(keepends=True)
        middle = len(rows) // 2
        first = re.search(r"0x(..)", rows[middle])
        assert first
        flipped = f"0x{int(first.group(1), 16) ^ 1:02x}"
        rows[middle] = rows[middle].replace(first.group(0), flipped, 1)
        return "".join(rows)

    edit(bundle, "kws_model.cc", flip)
    error = check(bundle, way)
    assert error.reason == "array"
    assert re.fullmatch(r"The model array differs from kws\.tflite from byte \d+ on\.", error.message)


@pytest.mark.parametrize("way", WAYS)
def test_a_weight_byte_flipped_everywhere_is_caught_by_the_golden_vectors(
    finished: Finished, bundle: Bundle, tmp_path: Path, way: str
) -> None:
    """The model was retrained, the golden vectors were not."""
    data = retrained(finished)
    other = finished.with_model(tflite=data).export(tmp_path / "other")
    for name in ("kws.tflite", "kws_model.cc"):
        (bundle.path / name).write_bytes((other.path / name).read_bytes())
    edit_manifest(bundle, refresh_hashes(bundle))
    error = check(bundle, way)
    assert error.reason == "golden"
    assert "The golden vectors are stale: of vector" in error.message


def retrained(finished: Finished) -> bytes:
    """The model with one weight changed, so that it answers the golden samples otherwise."""
    original = TflmModel(finished.model.tflite)
    inputs = quantize_input(
        finished.model.golden_inputs,
        finished.model.task.preprocess,
        scale=original.input.scale,
        zero_point=original.input.zero_point,
    )
    buffers = runtime.convert_bytearray_to_object(finished.model.tflite).buffers
    weights = max((bytes(buffer.data) for buffer in buffers if buffer.data is not None), key=len)
    start = finished.model.tflite.index(weights)
    for at in range(start, start + len(weights)):
        data = bytearray(finished.model.tflite)
        data[at] ^= 0x40
        if (TflmModel(bytes(data)).run(inputs) != original.run(inputs)).any():
            return bytes(data)
    raise AssertionError("no weight matters")


@pytest.mark.parametrize("way", WAYS)
def test_stale_golden_vectors_are_caught(bundle: Bundle, way: str) -> None:
    def change(text: str) -> str:
        head, tail = text.split("_golden_output", 1)
        first = re.search(r"-?\d+(?=, -?\d+,\n)", tail)
        assert first
        other = str(int(first.group(0)) ^ 1)
        return head + "_golden_output" + tail[: first.start()] + other + tail[first.end() :]

    edit(bundle, "kws_golden.cc", change)
    error = check(bundle, way)
    assert error.reason == "golden"
    assert "of vector 0 the model answers" in error.message


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_golden_sample_is_caught(bundle: Bundle, way: str) -> None:
    edit(bundle, "kws_golden.cc", lambda text: re.sub(r"\n        \d+,", "\n        99,", text, count=1))
    error = check(bundle, way)
    assert error.reason == "golden"
    assert "hashes of the quantized inputs differ" in error.message


@pytest.mark.parametrize("way", WAYS)
def test_an_arena_of_16_bytes_less_is_caught(bundle: Bundle, way: str) -> None:
    edit(bundle, "kws.h", lambda text: text.replace("BYTES_EXACT 2928u", "BYTES_EXACT 2912u"))
    error = check(bundle, way)
    assert error.reason == "arena"
    assert error.message == "The header's arena of 2912 B is 16 B smaller than the model needs."


def test_an_arena_of_16_bytes_less_in_the_manifest_too_is_caught(bundle: Bundle) -> None:
    edit(bundle, "kws.h", lambda text: text.replace("BYTES_EXACT 2928u", "BYTES_EXACT 2912u"))
    edit_manifest(bundle, lambda data: data["costs"].update(sram_bytes=2912))  # type: ignore[attr-defined]
    error = check(bundle, "text")
    assert error.reason == "arena"
    assert error.message == "The arena of 2912 B is 16 B smaller than the model needs."


def test_an_operator_missing_from_the_resolver_is_caught(bundle: Bundle) -> None:
    edit(bundle, "kws.cc", lambda text: re.sub(r".*resolver\.AddSoftmax\(.*\n", "", text))
    error = check(bundle, "text")
    assert (error.reason, error.message) == ("operators", "Operator SOFTMAX is missing from the resolver.")


def test_a_resolver_without_room_is_caught(bundle: Bundle) -> None:
    edit(bundle, "kws.cc", lambda text: text.replace("OpResolver<4>", "OpResolver<3>"))
    error = check(bundle, "text")
    assert (error.reason, error.message) == ("operators", "The resolver has no room for its 4 operators.")


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_label_list_is_caught(bundle: Bundle, way: str) -> None:
    edit(bundle, "kws_io.cc", lambda text: text.replace('"gesture 1"', '"gesture one"'))
    error = check(bundle, way)
    assert error.reason == "labels"
    assert error.message == (
        "The class names are gesture 0, gesture one, gesture 2, gesture 3, gesture 4;"
        " the model was exported with gesture 0, gesture 1, gesture 2, gesture 3, gesture 4."
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_scale_is_caught(bundle: Bundle, way: str) -> None:
    edit(bundle, "kws.h", lambda text: re.sub(r"(INPUT_SCALE 0\.\d*)\d\df", r"\g<1>00f", text))
    error = check(bundle, way)
    assert error.reason == "interface"


@needs_compiler
def test_changed_preprocessing_is_caught(bundle: Bundle) -> None:
    edit(bundle, "kws_io.cc", lambda text: re.sub(r"kMultiplier\[\] = \{\d", "kMultiplier[] = {3", text))
    error = check(bundle, "compiled")
    assert error.reason == "preprocessing"


@needs_compiler
def test_sources_that_do_not_compile_are_caught(bundle: Bundle) -> None:
    edit(bundle, "kws.h", lambda text: text.replace("typedef int16_t", "typedef itn16_t"))
    error = check(bundle, "compiled")
    assert error.reason == "compile"
    assert "itn16_t" in error.message


@needs_compiler
def test_compiler_warnings_are_noted(bundle: Bundle) -> None:
    edit(bundle, "kws_io.cc", lambda text: text + "\nstatic int unused() { return 1; }\n")
    found = verify(bundle, cross=False)
    assert any("unused" in note for note in found.notes)


def test_a_model_over_its_budget_by_a_byte_is_caught(bundle: Bundle) -> None:
    needed = bundle.manifest.costs.flash_bytes
    edit_manifest(bundle, lambda data: data.update(budget=[{"resource": "flash", "limit": needed}]))
    verify(bundle.path, compiler=None)
    edit_manifest(bundle, lambda data: data.update(budget=[{"resource": "flash", "limit": needed - 1}]))
    error = check(bundle, "text")
    assert error.reason == "budget"
    assert error.message == f"flash is {needed}, over the limit of {needed - 1}."


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
        verify(bundle)


def test_a_core_that_has_no_arena_rules_is_caught(bundle: Bundle) -> None:
    edit_manifest(bundle, lambda data: data["target"].update(core="cortex-m99"))  # type: ignore[attr-defined]
    error = check(bundle, "text")
    assert error.reason == "costs"
    assert "cortex-m99" in error.message
