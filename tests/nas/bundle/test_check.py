"""Planted faults: whatever is changed in a bundle, hashes and all, is refused without running any of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cost_models.budget import Budget, parse_budget
from cost_models.duty_cycle import duty_on
from cost_models.errors import UserError
from cost_models.target_file import load_target
from nas.bundle import Bundle, BundleError, check_bundle
from nas.bundle.check import ON_TRUST
from nas.bundle.content import sha256
from nas.bundle.layout import LAYOUTS
from nas.bundle.manifest import MANIFEST_NAME
from nas.cli.check import main
from nas.cli.exit_codes import DONE, REFUSED, USER_ERROR
from nas.model.groups import GroupScore, GroupScores
from nas.model.trained import RawType

from .conftest import Finished, make_finished

Edit = Callable[[Path], None]
Json = dict[str, Any]


def write_manifest(folder: Path, data: Json) -> None:
    """As the exporter writes it, so that only what was changed differs."""
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")


def rehash(folder: Path, name: str = "kws") -> None:
    """Let hashes and lengths of the manifest follow the files."""
    data = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    for entry in data["files"]:
        content = (folder / entry["path"]).read_bytes()
        entry |= {"sha256": sha256(content), "bytes": len(content)}
    model = (folder / f"{name}.tflite").read_bytes()
    write_manifest(folder, data | {"model_sha256": sha256(model)})


def sub(name: str, pattern: str, new: str) -> Edit:
    """Replace the first match in a source, and correct its hash."""

    def change(folder: Path) -> None:
        path = folder / name
        before = path.read_text(encoding="utf-8")
        after = re.sub(pattern, new, before, count=1, flags=re.S)
        assert after != before, f"{pattern} is not in {name}"
        path.write_text(after, encoding="utf-8")
        rehash(folder)

    return change


def add(name: str, text: str) -> Edit:
    def change(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(text)
        rehash(folder)

    return change


def fields(change: Callable[[Json], object]) -> Edit:
    """Change the manifest alone."""

    def edit(folder: Path) -> None:
        data = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        before = json.dumps(data, sort_keys=True)
        change(data)
        assert json.dumps(data, sort_keys=True) != before
        write_manifest(folder, data)

    return edit


def put(*keys: str | int, value: object) -> Edit:
    """Set a key of the manifest."""

    def change(data: Json) -> None:
        at: Any = data
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value

    return fields(change)


def raw(change: Callable[[bytes], bytes]) -> Edit:
    """Change the manifest's bytes."""

    def edit(folder: Path) -> None:
        path = folder / MANIFEST_NAME
        before = path.read_bytes()
        after = change(before)
        assert after != before
        path.write_bytes(after)

    return edit


def new_file(name: str, text: str = "/* ours */\n", *, listed: bool = False) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if listed:
            data = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
            entry = {"path": name, "role": "document", "bytes": len(text), "sha256": sha256(text.encode())}
            data["files"] = sorted([*data["files"], entry], key=lambda each: each["path"])
            write_manifest(folder, data)

    return edit


def link_to_outside(folder: Path) -> None:
    outside = folder.parent / "outside_kws_io.cc"
    shutil.copy(folder / "kws_io.cc", outside)
    (folder / "kws_io.cc").unlink()
    (folder / "kws_io.cc").symlink_to(outside)


def link_inside(folder: Path) -> None:
    (folder / "again.h").symlink_to("kws.h")


def linked_folder(folder: Path) -> None:
    (folder / "more").symlink_to("/usr/include")


def fifo(folder: Path) -> None:
    (folder / "kws_io.cc").unlink()
    os.mkfifo(folder / "kws_io.cc")


def manifest_fifo(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()
    os.mkfifo(folder / MANIFEST_NAME)


def manifest_link(folder: Path) -> None:
    shutil.move(folder / MANIFEST_NAME, folder.parent / MANIFEST_NAME)
    (folder / MANIFEST_NAME).symlink_to(folder.parent / MANIFEST_NAME)


def device(folder: Path) -> None:
    (folder / "kws.tflite").unlink()
    (folder / "kws.tflite").symlink_to("/dev/zero")


def listening(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "s"))


def sparse(name: str) -> Edit:
    def edit(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(20 << 30)

    return edit


def consistent_flip(folder: Path) -> None:
    """One weight changed in the model and in the array; the golden vectors stay."""
    path = folder / "kws.tflite"
    before = path.read_bytes()
    for at in range(1200, len(before), 7):
        data = bytearray(before)
        data[at] ^= 0x7F
        path.write_bytes(data)
        rows = [f"0x{byte:02x}, " for byte in data]
        source = (folder / "kws_model.cc").read_text()
        lines = ["    " + "".join(rows[i : i + 16]).strip() for i in range(0, len(rows), 16)]
        head, tail = source.split("= {\n")[0] + "= {\n", "\n};\n"
        (folder / "kws_model.cc").write_text(head + "\n".join(lines) + tail)
        rehash(folder)
        try:
            check_bundle(folder)
        except BundleError as error:
            if error.reason == "golden":
                return
    raise AssertionError("no weight matters")


def upper_case_name(folder: Path) -> None:
    (folder / "kws_io.cc").rename(folder / "KWS_io.cc")
    data = json.loads((folder / MANIFEST_NAME).read_text())
    next(entry for entry in data["files"] if entry["path"] == "kws_io.cc")["path"] = "KWS_io.cc"
    write_manifest(folder, data)


def overwritten(folder: Path) -> None:
    (folder / "kws.h").write_text("\n")


def thousand_files(folder: Path) -> None:
    for at in range(1000):
        new_file(f"more/{at}")(folder)


def swapped_roles(data: Json) -> None:
    entries = {entry["path"]: entry for entry in data["files"]}
    entries["kws.h"]["role"], entries["kws_golden.h"]["role"] = "golden_header", "api_header"


def swapped_labels(data: Json) -> None:
    names = data["task"]["class_names"]
    names[0], names[1] = names[1], names[0]


def nested(depth: int) -> Callable[[bytes], bytes]:
    return lambda text: text.replace(
        b'"provenance": {', b'"provenance": {"deep": ' + b"[" * depth + b"]" * depth + b", ", 1
    )


CONSTRUCTOR = '\n#include <cstdlib>\nstatic int ran = std::system("touch RAN");\n'

EDITS: dict[str, Edit] = {
    # sources, their hashes corrected
    "argmax turned round": sub("kws_io.cc", r"output\[i\] > output\[best\]", "output[i] < output[best]"),
    "argmax takes the last of equals": sub("kws_io.cc", r"output\[i\] > output", "output[i] >= output"),
    "scores without zero point": sub("kws_io.cc", r" - KWS_OUTPUT_ZERO_POINT", ""),
    "operator in a comment": sub("kws.cc", r"(  ok = ok && resolver\.AddSoftmax.*?;)", r"  // \1"),
    "operator removed": sub("kws.cc", r"  ok = ok && resolver\.AddSoftmax.*?;\n", ""),
    "resolver without room": sub("kws.cc", r"OpResolver<4>", "OpResolver<3>"),
    "half the arena": sub("kws.h", r"BYTES_EXACT 2928u", "BYTES_EXACT 1464u"),
    "16 bytes less": sub("kws.h", r"BYTES_EXACT 2928u", "BYTES_EXACT 2912u"),
    "a larger arena": sub("kws.h", r"BYTES_EXACT 2928u", "BYTES_EXACT 4096u"),
    "Invoke removed": sub(
        "kws.cc", r"g_interpreter->Invoke\(\) == kTfLiteOk \? KWS_OK : KWS_ERROR_INVOKE", "KWS_OK"
    ),
    "another status": sub("kws.cc", r"KWS_OK : KWS_ERROR_INVOKE", "KWS_ERROR_INVOKE : KWS_OK"),
    "weights for Arm alone": sub(
        "kws_model.cc", r"(alignas.*)$", r"#ifdef __arm__\nint other;\n#else\n\1#endif\n"
    ),
    "array flipped": sub("kws_model.cc", r"0x20, 0x00", "0x21, 0x00"),
    "array in RAM": sub("kws_model.cc", r"alignas\(16\) const", "alignas(16)"),
    "array unaligned": sub("kws_model.cc", r"alignas\(16\)", "alignas(1)"),
    "constructor in the sources": add("kws_io.cc", CONSTRUCTOR),
    "constructor in the header": sub("kws_model.h", r"#endif", 'static int ran = puts("ran");\n#endif'),
    "system header included": sub(
        "kws_io.cc", r'#include "kws.h"', '#include "kws.h"\n#include "/etc/passwd"'
    ),
    "pragma": add("kws.h", "#pragma GCC poison printf\n"),
    "label in the source": sub("kws_io.cc", r'"gesture 1"', '"gesture one"'),
    "labels swapped in the source": sub("kws_io.cc", r'("gesture 1"),(\s*)("gesture 2")', r"\3,\2\1"),
    "scale": sub("kws.h", r"INPUT_SCALE 0\.(\d)", r"INPUT_SCALE 0.9\1"),
    "zero point": sub("kws.h", r"(OUTPUT_ZERO_POINT \(-12)8", r"\g<1>7"),
    "multiplier": sub("kws_io.cc", r"kMultiplier\[\] = \{\d", "kMultiplier[] = {3"),
    "rounding": sub("kws_io.cc", r"rest >= 0\.5f", "rest > 0.5f"),
    "no clamp": sub("kws_io.cc", r"  if \(rounded > 127\) rounded = 127;\n", ""),
    "golden output": sub("kws_golden.cc", r"(_golden_output.*?)(-?\d+), (-?\d+),\n", r"\g<1>1, 1,\n"),
    "golden sample": sub("kws_golden.cc", r"\n        -?\d+,", "\n        99,"),
    "golden hash": sub("kws_golden.cc", r"0x[0-9a-f]{8}u", "0x00000000u"),
    "golden sample as an expression": sub("kws_golden.cc", r"\n        (-?\d+),", r"\n        0+\1,"),
    "golden sample spelt otherwise": sub("kws_golden.cc", r"\n        (\d)", r"\n        0\1"),
    "one golden vector fewer": sub("kws_golden.h", r"GOLDEN_COUNT 3u", "GOLDEN_COUNT 2u"),
    "self-test that always passes": sub(
        "kws_self_test.cc", r"return KWS_ERROR_GOLDEN_OUTPUT", "return KWS_OK"
    ),
    "self-test's verdict": sub("kws_self_test_main.cc", r'"PASS" : "FAIL"', '"PASS" : "PASS"'),
    "comment": sub("kws.cc", r"Emitted by mcu-nas\.", "Emitted by mcu-nas!"),
    "white space": sub("kws_io.cc", r"\n\n", "\n \n"),
    "no last line end": sub("kws.cc", r"\n\Z", ""),
    "line ends of DOS": sub("kws.h", r"\n", "\r\n"),
    "trigraph": sub("kws_io.cc", r"// What", "// ??/\n// What"),
    "card": sub("MODEL_CARD.md", r"0\.9000", "0.9900"),
    "licence": sub("LICENSE-NOTE.txt", r"CC0-1\.0", "none needed"),
    "git attributes": sub(".gitattributes", r"-filter", "filter=lfs"),
    "one weight everywhere but in the answers": consistent_flip,
    # files
    "unlisted stdint.h": new_file("stdint.h"),
    "unlisted stdint.h, listed": new_file("stdint.h", listed=True),
    "unlisted header in a folder": new_file("tensorflow/lite/micro/micro_interpreter.h"),
    "unlisted document": new_file("NOTES.md"),
    "hidden file": new_file(".clangd"),
    "editor's copy": new_file("kws.cc~"),
    "file missing": lambda folder: (folder / "kws_io.cc").unlink(),
    "model missing": lambda folder: (folder / "kws.tflite").unlink(),
    "empty folder": lambda folder: (folder / "stdio.h").mkdir(),
    "symbolic link to the outside": link_to_outside,
    "symbolic link inside": link_inside,
    "symbolic link to a folder": linked_folder,
    "symbolic link to a device": device,
    "FIFO": fifo,
    "FIFO as manifest": manifest_fifo,
    "symbolic link as manifest": manifest_link,
    "socket": listening,
    "sparse source of gigabytes": sparse("kws_io.cc"),
    "sparse model of gigabytes": sparse("kws.tflite"),
    "sparse golden vectors of gigabytes": sparse("kws_golden.cc"),
    "sparse manifest of gigabytes": sparse(MANIFEST_NAME),
    "hash not corrected": overwritten,
    "other case": upper_case_name,
    "thousand files": thousand_files,
    # numbers of the manifest
    "flash": put("costs", "flash_bytes", value=1),
    "flash by a byte": fields(
        lambda data: data["costs"].update(flash_bytes=data["costs"]["flash_bytes"] - 1)
    ),
    "cycles": put("costs", "cycles", value=1),
    "cycles unknown": put("costs", "cycles", value=None),
    "latency": put("costs", "latency_us", value=0.5),
    "energy": put("costs", "energy_uj", value=0.5),
    "arena in the manifest": put("costs", "sram_bytes", value=2912),
    "arena in use": put("costs", "arena_used_bytes", value=2),
    "instructions": put("costs", "instructions", value=-1),
    "macs": put("costs", "macs", value=1),
    "interval": put("costs", "cycles_high", value=10**9),
    "operators": put("operators", value=["CONV_2D"]),
    "operators in another order": fields(lambda data: data["operators"].reverse()),
    "input scale": put("input", "scale", value=0.5),
    "raw type": put("input", "raw_type", value="uint8"),
    "raw offset": put("input", "raw_offset", 0, value=1.0),
    "multiplier in the manifest": put("input", "multiplier", 0, value=1.0),
    "offset beyond float32": put("input", "raw_offset", 0, value=1e300),
    "output zero point": put("output", "zero_point", value=0),
    "input shape": put("task", "input_shape", value=[1]),
    "labels swapped in the manifest": fields(swapped_labels),
    "one label more": fields(lambda data: data["task"]["class_names"].append("more")),
    "no labels": put("task", "class_names", value=[]),
    "task's name": put("task", "name", value="something else"),
    "licence in the manifest": put("task", "licence", value="MIT"),
    "negative samples": put("task", "samples", "train", value=-1),
    "clock": put("target", "clock_hz", value=1),
    "core": put("target", "core", value="cortex-m99"),
    "title": put("target", "title", value="another"),
    "kernels": put("target", "kernels", value="reference"),
    "another target": put("target", "name", value="corstone300"),
    "TFLM's date": put("runtime", "tflite_micro_date", value="2020-01-01"),
    "CMSIS-NN left out": put("runtime", "cmsis_nn", value=None),
    "limit": put("budget", 0, "limit", value=10**9),
    "limit below the model": put("budget", 0, "limit", value=1.0),
    "limit in parts of a byte": put("budget", 0, "limit", value=4000.5),
    "no limits": put("budget", value=[]),
    "unknown limit": put("budget", value=[{"resource": "area", "limit": 1.0}]),
    "accuracy": put("accuracies", 0, "value", value=0.99),
    "interval of the accuracy": put("accuracies", 0, "low", value=0.89),
    "more correct than answers": put("accuracies", 0, "correct", value=11),
    "correct answers": put("accuracies", 0, "correct", value=10),
    "no answers": put("accuracies", 0, "total", value=0),
    "confusion": put("accuracies", 0, "confusion", 0, 0, value=5),
    "confusion of other classes": put("accuracies", 0, "confusion", value=[[9, 1], [0, 0]]),
    "accuracy of the validation data": put("accuracies", 1, "part", value="test"),
    "accuracy stated twice": fields(lambda data: data["accuracies"].append(data["accuracies"][0])),
    "accuracies in another order": fields(lambda data: data["accuracies"].reverse()),
    "golden count": put("golden_count", value=30),
    "sensitivity of the golden vectors": put("golden_share", "noticed", value=300),
    "more noticed than tried": put("golden_share", "noticed", value=301),
    "nothing tried": put("golden_share", value={"noticed": 0, "tried": 0}),
    "notes": put("notes", value=["Proved safe."]),
    "provenance": put("provenance", "seed", value=2),
    "an NPU": put("npu", value={"accelerator": "ethos-u55-128"}),
    "format": put("format", value="cmake"),
    "format that there is not": put("format", value="../tflm"),
    "name": put("name", value="kwt"),
    "name with a path": put("name", value="../kws"),
    "schema": put("schema", value=2),
    "exporter": put("exporter", value="9.9.9"),
    "no exporter": put("exporter", value=None),
    "TFLM": put("runtime", "tflite_micro", value="0" * 8),
    "length of a file": put("files", 0, "bytes", value=1),
    "roles swapped": fields(swapped_roles),
    "path out of the bundle": put("files", 0, "path", value="../outside"),
    "absolute path": put("files", 0, "path", value="/etc/passwd"),
    "path with a dot": put("files", 1, "path", value="./LICENSE-NOTE.txt"),
    "path with a null": put("files", 1, "path", value="LICENSE\0"),
    "files in another order": fields(lambda data: data["files"].reverse()),
    "file listed twice": fields(lambda data: data["files"].append(data["files"][0])),
    "no files": put("files", value=[]),
    "extra key": put("signed_by", value="us"),
    "extra key below": put("costs", "price", value=1),
    # the manifest's text
    "byte order mark": raw(lambda text: b"\xef\xbb\xbf" + text),
    "UTF-16": raw(lambda text: text.decode().encode("utf-16")),
    "line ends of DOS in the manifest": raw(lambda text: text.replace(b"\n", b"\r\n")),
    "other white space": raw(lambda text: text.replace(b"  ", b"\t")),
    "key twice": raw(lambda text: text.replace(b'"macs": ', b'"macs": 1, "macs": ', 1)),
    "number as text": raw(lambda text: re.sub(rb'"macs": (\d+)', rb'"macs": "\1"', text)),
    "number spelt otherwise": raw(lambda text: re.sub(rb'"macs": (\d+)', rb'"macs": \1.0', text)),
    "NaN": raw(lambda text: re.sub(rb'"latency_us": [\d.]+', b'"latency_us": NaN', text)),
    "Infinity": raw(lambda text: re.sub(rb'"latency_us": [\d.]+', b'"latency_us": Infinity', text)),
    "1e400": raw(lambda text: re.sub(rb'"latency_us": [\d.]+', b'"latency_us": 1e400', text)),
    "1e400 as limit": raw(lambda text: re.sub(rb'"limit": [\d.]+', b'"limit": 1e400', text, count=1)),
    "1e400 in the provenance": raw(lambda text: text.replace(b'"seed": 1', b'"seed": 1e400')),
    "integer of thousands of digits": raw(
        lambda text: re.sub(rb'"macs": \d+', b'"macs": ' + b"9" * 5000, text)
    ),
    "integer of hundreds of digits": raw(
        lambda text: re.sub(rb'"total": 10', b'"total": ' + b"9" * 400, text)
    ),
    "huge integer in the provenance": raw(lambda text: text.replace(b'"seed": 1', b'"seed": ' + b"9" * 9000)),
    "deep nesting": raw(nested(100_000)),
    "nesting": raw(nested(150)),
    "lone surrogate": raw(lambda text: text.replace(b"five gestures", b"\\ud800")),
    "escaped text": raw(lambda text: text.replace(b"five", b"\\u0066ive")),
    "comment in the manifest": raw(lambda text: b"// ours\n" + text),
    "text after the end": raw(lambda text: text + b"{}"),
    "cut": raw(lambda text: text[: len(text) // 2]),
    "empty": raw(lambda text: b""),
    "a list": raw(lambda text: b"[" + text + b"]"),
    "null": raw(lambda text: b"null"),
    "no UTF-8": raw(lambda text: text.replace(b"five", b"\xff\xfe")),
}


def assert_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By one short line, at once."""
    start = time.process_time()
    code = main([str(folder)])
    captured = capsys.readouterr()
    assert code in (REFUSED, USER_ERROR)
    assert captured.out.startswith(f"FAIL {folder}: ") or captured.err.startswith("nas-check: ")
    assert len((captured.out + captured.err).splitlines()) == 1
    assert len(captured.out + captured.err) < 600
    assert time.process_time() - start < 2


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    budget = Budget.of({"sram": 64 * 1024, "flash": 1 << 20, "latency": 1e6, "instructions": 10**9})
    return make_finished().export(tmp_path_factory.mktemp("exported") / "b", budget=budget)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_planted_fault_is_refused(
    edit: Edit,
    exported: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "b"
    shutil.copytree(exported.path, folder)
    edit(folder)
    assert_refused(folder, capsys)
    assert not (tmp_path / "RAN").exists()


def test_an_edit_is_refused_even_where_it_is_to_be_run(
    exported: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(exported.path, tmp_path / "b")
    EDITS["constructor in the sources"](tmp_path / "b")
    assert main([str(tmp_path / "b"), "--run"]) == REFUSED
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize("format_name", LAYOUTS)
def test_every_file_of_every_layout_is_compared(finished: Finished, tmp_path: Path, format_name: str) -> None:
    bundle = finished.export(tmp_path / "b", format=format_name)
    assert check_bundle(bundle.path).notes == (ON_TRUST,)
    for entry in bundle.manifest.files:
        path = bundle.path / entry.path
        before, manifest = path.read_bytes(), (bundle.path / MANIFEST_NAME).read_bytes()
        path.write_bytes(before + b"\n")
        rehash(bundle.path)
        with pytest.raises(BundleError):
            check_bundle(bundle.path)
        path.write_bytes(before)
        (bundle.path / MANIFEST_NAME).write_bytes(manifest)
    check_bundle(bundle.path)


@pytest.mark.parametrize("raw_type", ["uint8", "int16", "float32"])
def test_a_bundle_as_exported_is_written_again_to_the_same_bytes(tmp_path: Path, raw_type: RawType) -> None:
    names = ('he said "hi"', "größer\\kleiner?", "", "??/", "-->")
    bundle = make_finished(raw_type=raw_type).with_task(class_names=names).export(tmp_path / "b")
    checked = check_bundle(bundle.path)
    assert checked.manifest == bundle.manifest
    assert all((bundle.path / path).read_bytes() == data for path, data in checked.files.items())


def test_the_metric_by_group_is_in_the_card_and_read_back(finished: Finished, tmp_path: Path) -> None:
    group = GroupScore(name="ben | <b>", samples=6, score=0.5, low=0.2, high=0.8)
    found = GroupScores(
        measured=2, left_out=1, groups=(group, replace(group, name="anna", score=0.9, samples=4))
    )
    test = replace(finished.model.accuracies[0], groups=found)
    bundle = finished.with_model(accuracies=(test,)).export(tmp_path / "b")
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert "| ben \\| &lt;b&gt; | 6 | 50.0 % | 20.0 to 80.0 % |" in card
    assert "the worst first); 1 group with fewer than 5 samples is left out:" in card
    checked = check_bundle(bundle.path)
    assert checked.manifest == bundle.manifest
    assert all((bundle.path / path).read_bytes() == data for path, data in checked.files.items())
    too_many = replace(test, groups=replace(found, measured=1))
    with pytest.raises(BundleError, match="2 groups are stated of 1 that are measured"):
        check_bundle(finished.with_model(accuracies=(too_many,)).export(tmp_path / "c").path)


def test_odd_float_samples_are_read_back(tmp_path: Path) -> None:
    import numpy as np

    finished = make_finished(raw_type="float32")
    samples = np.array(finished.model.golden_inputs)
    samples.ravel()[:5] = [np.inf, -np.inf, np.nan, -0.0, 1e-45]
    check_bundle(finished.with_model(golden_inputs=samples).export(tmp_path / "b").path)


def refusal(folder: Path) -> tuple[str, str]:
    with pytest.raises(BundleError) as caught:
        check_bundle(folder)
    return caught.value.reason, caught.value.message


MESSAGES = {
    "hash not corrected": ("hash", "kws.h is not the file that was exported: its sha256 differs."),
    "argmax turned round": (
        "content",
        "kws_io.cc is not what manifest and model give: it differs from line 56 on.",
    ),
    "file missing": ("files", "kws_io.cc is missing."),
    "unlisted stdint.h": ("files", "stdint.h is in the folder, but the exporter did not write it."),
    "symbolic link inside": ("files", "again.h is not a regular file."),
    "empty folder": ("files", "The folder stdio.h is empty: the exporter makes none such."),
    "thousand files": ("files", "The folder holds more than 200 files."),
    "FIFO as manifest": ("manifest", "manifest.json is a FIFO."),
    "flash": (
        "manifest",
        "manifest.json: costs.flash_bytes is 1, model and target give {flash}. If nrf52840 is",
    ),
    "notes": ("manifest", "manifest.json: notes is ['Proved safe.'], model and target give []."),
    "limit below the model": (
        "budget",
        "The model is over the budget that it was exported under: sram 2,928 B",
    ),
    "no exporter": (
        "version",
        "The bundle was exported by a version of mcu-nas that left no version and this is mcu-nas",
    ),
    "exporter": ("version", "The bundle was exported by mcu-nas 9.9.9 and this is mcu-nas"),
    "TFLM": ("version", "The bundle was exported for tflite-micro 00000000 and CMSIS-NN"),
    "correct answers": (
        "manifest",
        "manifest.json: accuracies, test by tflm: the confusion matrix counts 9 correct answers and not 10.",
    ),
    "no answers": ("manifest", "manifest.json: accuracies, test by tflm: 9 of 0 is not a share."),
    "confusion": (
        "manifest",
        "manifest.json: accuracies, test by tflm: the confusion matrix counts 11 answers",
    ),
    "confusion of other classes": (
        "manifest",
        "manifest.json: accuracies, test by tflm: the confusion matrix is not a table of 5 classes.",
    ),
    "accuracy stated twice": ("manifest", "manifest.json: accuracies state one part by one engine twice."),
    "nothing tried": ("manifest", "manifest.json: golden_share is not a share."),
    "negative samples": ("manifest", "manifest.json: task.samples are not counts."),
    "unknown limit": ("manifest", "manifest.json: budget does not limit sram and flash."),
    "golden sample as an expression": (
        "golden",
        "The golden samples are none of the model's input.",
    ),
    "golden output": ("golden", "The golden vectors are stale: from line 1"),
    "key twice": ("manifest", "manifest.json is not written as the exporter writes it."),
    "1e400": ("manifest", "manifest.json: costs.latency_us: Input should be a finite number."),
    "name with a path": ("manifest", "'../kws' cannot name a model"),
    "an NPU": ("manifest", "manifest.json: npu.system_config: Field required."),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_refusal_says_what_differs(name: str, exported: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    shutil.copytree(exported.path, folder)
    EDITS[name](folder)
    reason, message = MESSAGES[name]
    found = refusal(folder)
    assert found[0] == reason
    assert found[1].startswith(message.format(flash=exported.manifest.costs.flash_bytes))


def test_a_target_file_of_the_users_is_given_by_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "our_board.toml"
    file.write_text('extends = "nrf52840"\ntitle = "Our board"\nclock_hz = 32_000_000\n')
    target = load_target(str(file))
    finished = make_finished(target_name=str(file))
    bundle = finished.export(tmp_path / "b")
    assert check_bundle(bundle.path, target=target).target == target
    assert main([str(bundle.path)]) == USER_ERROR
    assert capsys.readouterr().err == (
        "nas-check: The bundle was exported for the target 'our_board', which is not known here."
        " Give its file: --target FILE.\n"
    )
    assert main([str(bundle.path), "--target", str(file)]) == DONE


def test_a_targets_name_leads_to_no_file(exported: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    shutil.copytree(exported.path, folder)
    put("target", "name", value=str(tmp_path / "x.toml"))(folder)
    with pytest.raises(UserError, match="which is not known here"):
        check_bundle(folder)


def test_a_check_takes_less_than_two_seconds_from_the_start(exported: Bundle) -> None:
    command = [sys.executable, "-m", "nas.cli.check", str(exported.path)]
    best = 99.0
    for _ in range(3):
        start = time.process_time()
        subprocess.run(command, check=True, capture_output=True)
        best = min(best, time.process_time() - start)
    assert best < 2


def test_run_needs_a_bundle(exported: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(exported.path / "kws.tflite"), "--run"]) == USER_ERROR
    assert "--run needs a bundle." in capsys.readouterr().err
    assert main([str(exported.path), "--run"]) == DONE


@pytest.mark.parametrize(
    ("make", "kind"), [(os.mkfifo, "a FIFO"), (lambda path: path.symlink_to("/dev/zero"), "a device")]
)
def test_a_model_that_is_no_regular_file_is_refused_at_once(
    make: Callable[[Path], None], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "m.tflite")
    assert main([str(tmp_path / "m.tflite")]) == USER_ERROR
    assert capsys.readouterr().err == f"nas-check: {tmp_path / 'm.tflite'} is {kind}. Give a regular file.\n"


def test_a_bundle_keeps_its_period_and_is_held_to_its_power(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    duty = duty_on(finished.target, period="100ms", battery="230mAh")
    budget = parse_budget("power=1mW", finished.target, duty=duty)
    folder = finished.export(tmp_path / "b", budget=budget).path
    checked = check_bundle(folder)
    assert checked.manifest.duty_cycle is not None
    assert checked.manifest.duty_cycle.on(finished.target) == duty
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Average power: one inference every 100 ms takes" in card
    assert "230 mAh last" in card
    assert main([str(folder)]) == DONE
    assert "power" in capsys.readouterr().out
    assert main([str(folder), "--period", "1ms", "--budget", "power=1mW"]) == REFUSED
    assert "is over the limit of 1 mW" in capsys.readouterr().out
    put("duty_cycle", "period_us", value=-1.0)(folder)
    assert main([str(folder)]) == REFUSED
    assert "duty_cycle has a period or charge that is not above 0." in capsys.readouterr().out
