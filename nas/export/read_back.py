"""What a C compiler makes of a bundle's constants; without a compiler, what their text says."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.export.compiler import CompileError, HostCompiler
from nas.export.exporter import Role
from nas.export.manifest import Manifest
from nas.export.sources import environment

_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """The constants of a bundle's sources.

    Attributes:
        model: The array.
        misalignment: Its address modulo 16; None where nothing was compiled.
        arena_bytes: The exact arena size of the header.
        input_size: Elements.
        output_size: Elements.
        zero_points: Of input and output.
        scales: Of input and output, float32 bytes.
        class_names: In the order of the outputs.
        golden_raw: The raw samples' bytes.
        golden_hash: FNV-1a of each quantized input, little-endian 32 bit.
        golden_output: The expected outputs' bytes.
        golden_quantized: What the emitted C quantizes the raw samples to; None where nothing was compiled.
        warnings: Of the compiler.
    """

    model: bytes
    misalignment: int | None
    arena_bytes: int
    input_size: int
    output_size: int
    zero_points: tuple[int, int]
    scales: bytes
    class_names: tuple[str, ...]
    golden_raw: bytes
    golden_hash: bytes
    golden_output: bytes
    golden_quantized: bytes | None
    warnings: tuple[str, ...] = ()


def read_compiled(folder: Path, manifest: Manifest, compiler: HostCompiler) -> ReadBack:
    """Compile the sources that need no TFLM, run a program that prints their constants, and parse that.

    Raises:
        CompileError: A source or a header does not compile, or its program fails.
    """
    name = manifest.name
    header_roles: tuple[Role, ...] = ("api_header", "model_header", "golden_header")
    source_roles: tuple[Role, ...] = ("model_source", "golden_source", "io_source")
    headers = [folder / path for role in header_roles for path in manifest.paths(role)]
    include = headers[0].parent
    sources = [folder / path for role in source_roles for path in manifest.paths(role)]
    self_tests = [folder / path for path in manifest.paths("self_test_source")]
    with tempfile.TemporaryDirectory() as scratch:
        printer = Path(scratch) / "read_back.cc"
        text = environment().get_template("read_back.cc.j2").render(name=name, NAME=name.upper())
        printer.write_text(text, encoding="utf-8")
        warnings = list(_check_headers(headers, include, Path(scratch), compiler))
        warnings += compiler.compile(self_tests, include=include, output=None)
        program = Path(scratch) / "read_back"
        warnings += compiler.compile([printer, *sources], include=include, output=program)
        run = subprocess.run([str(program)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if run.returncode != 0:
        raise CompileError(f"the program that prints the constants ended with {run.returncode}")
    return _parse_print(run.stdout, tuple(warnings))


def read_text(folder: Path, manifest: Manifest) -> ReadBack:
    """Parse the constants out of the sources' text.

    Raises:
        CompileError: A constant is not where the exporter writes it.
    """
    header = _text(folder, manifest, "api_header")
    golden = _text(folder, manifest, "golden_source")
    upper = manifest.name.upper()
    raw_dtype = np.dtype(manifest.input.raw_type)
    return ReadBack(
        model=bytes(int(word, 16) for word in _array(_text(folder, manifest, "model_source"), "_model")),
        misalignment=None,
        arena_bytes=int(_define(header, f"{upper}_ARENA_BYTES_EXACT")),
        input_size=int(_define(header, f"{upper}_INPUT_SIZE")),
        output_size=int(_define(header, f"{upper}_OUTPUT_SIZE")),
        zero_points=(
            int(_define(header, f"{upper}_INPUT_ZERO_POINT")),
            int(_define(header, f"{upper}_OUTPUT_ZERO_POINT")),
        ),
        scales=np.array(
            [_define(header, f"{upper}_INPUT_SCALE"), _define(header, f"{upper}_OUTPUT_SCALE")], np.float32
        ).tobytes(),
        class_names=_class_names(_text(folder, manifest, "io_source")),
        golden_raw=_numbers(_array(golden, "_golden_raw"), raw_dtype),
        golden_hash=np.array(
            [int(word, 16) for word in _array(golden, "_golden_input_hash")], "<u4"
        ).tobytes(),
        golden_output=_numbers(_array(golden, "_golden_output"), np.dtype(np.int8)),
        golden_quantized=None,
    )


def _check_headers(
    headers: list[Path], include: Path, scratch: Path, compiler: HostCompiler
) -> tuple[str, ...]:
    warnings: list[str] = []
    for header in headers:
        for suffix in ("c", "cc"):
            lone = scratch / f"{header.stem}_alone.{suffix}"
            lone.write_text(f'#include "{header.name}"\n', encoding="utf-8")
            warnings += compiler.compile([lone], include=include, output=None, c99=suffix == "c")
    return tuple(warnings)


def _parse_print(text: str, warnings: tuple[str, ...]) -> ReadBack:
    lines = [line.partition(" ") for line in text.splitlines()]
    values = {key: value for key, _, value in lines}
    return ReadBack(
        model=bytes.fromhex(values["model"]),
        misalignment=int(values["misalignment"]),
        arena_bytes=int(values["arena_bytes"]),
        input_size=int(values["input_size"]),
        output_size=int(values["output_size"]),
        zero_points=(int(values["input_zero_point"]), int(values["output_zero_point"])),
        scales=bytes.fromhex(values["scales"]),
        class_names=tuple(
            bytes.fromhex(value).decode(errors="replace") for key, _, value in lines if key == "class"
        ),
        golden_raw=bytes.fromhex(values["golden_raw"]),
        golden_hash=bytes.fromhex(values["golden_hash"]),
        golden_output=bytes.fromhex(values["golden_output"]),
        golden_quantized=bytes.fromhex(values["golden_quantized"]),
        warnings=warnings,
    )


def _text(folder: Path, manifest: Manifest, role: Role) -> str:
    return (folder / manifest.paths(role)[0]).read_text(encoding="utf-8")


def _define(header: str, name: str) -> str:
    match = re.search(rf"^#define {name} \(?([^\s()]+?)[uf]?\)?$", header, re.M)
    if match is None:
        raise CompileError(f"{name} is not defined as the exporter writes it")
    return match.group(1)


def _array(source: str, suffix: str) -> list[str]:
    match = re.search(rf"\w*{suffix}(?:\[\d+\])+ = \{{(.*?)^\}};", source, re.S | re.M)
    if match is None:
        raise CompileError(f"the array {suffix.lstrip('_')} is not written as the exporter writes it")
    return [
        word.rstrip("uf") if word[:2] != "0x" else word.rstrip("u")
        for word in re.findall(r"[^\s,{}]+", match.group(1))
    ]


def _numbers(words: list[str], dtype: np.dtype[np.generic]) -> bytes:
    values = [{"INFINITY": "inf", "-INFINITY": "-inf"}.get(word, word) for word in words]
    if dtype == np.float32:
        return np.array(values, np.float32).tobytes()
    return np.array([int(value) for value in values], dtype).tobytes()


def _class_names(source: str) -> tuple[str, ...]:
    match = re.search(r"kClassNames\[\] = \{\n(.*?)^\};", source, re.S | re.M)
    literals = re.findall(r'^    "(.*)",$', match.group(1), re.M) if match else []
    return tuple(_unescape(literal) for literal in literals)


def _unescape(literal: str) -> str:
    out = bytearray()
    for match in re.finditer(r'\\([0-7]{3})|\\(["\\?])|([^\\])', literal):
        octal, escaped, plain = match.groups()
        out += bytes([int(octal, 8)]) if octal else (escaped or plain).encode()
    return out.decode(errors="replace")
