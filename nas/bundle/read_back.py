"""What a C compiler makes of a bundle's constants."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.bundle.compiler import CompileError, HostCompiler
from nas.bundle.layout import Role
from nas.bundle.manifest import Manifest
from nas.bundle.sources import environment

_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndReadBack:
    """The constants of a front end's sources.

    Attributes:
        model: The array.
        misalignment: Its address modulo 16.
        sizes: Sample rate, samples of a recording, of a window and of a hop, frames, bands, and exact arena size.
        golden_recordings: Their samples, one recording behind the other.
    """

    model: bytes
    misalignment: int
    sizes: tuple[int, ...]
    golden_recordings: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """The constants of a bundle's sources.

    Attributes:
        model: The array.
        misalignment: Its address modulo 16.
        arena_bytes: The exact arena size of the header.
        input_size: Elements.
        output_size: Elements.
        zero_points: Of input and output.
        scales: Of input and output, float32 bytes.
        class_names: In the order of the outputs.
        golden_raw: The raw samples' bytes.
        golden_hash: FNV-1a of each quantized input, little-endian 32 bit.
        golden_output: The expected outputs' bytes.
        scores: Of a bundle that finds anomalies: the golden scores, those that the emitted C computes, and the
            threshold.
        numbers: Of a bundle that predicts numbers: the golden numbers and what the emitted C makes of the golden
            outputs, float32 bytes, and the numbers' names.
        golden_quantized: What the emitted C quantizes the raw samples to.
        frontend: Those of the front end, where there is one.
        warnings: Of the compiler.
    """

    model: bytes
    misalignment: int
    arena_bytes: int
    input_size: int
    output_size: int
    zero_points: tuple[int, int]
    scales: bytes
    class_names: tuple[str, ...]
    golden_raw: bytes
    golden_hash: bytes
    golden_output: bytes
    golden_quantized: bytes
    scores: tuple[tuple[int, ...], tuple[int, ...], int] | None = None
    numbers: tuple[bytes, bytes, tuple[str, ...]] | None = None
    frontend: FrontEndReadBack | None = None
    warnings: tuple[str, ...] = ()


def read_compiled(folder: Path, manifest: Manifest, compiler: HostCompiler) -> ReadBack:
    """Compile the sources that need no TFLM, run a program that prints their constants, and parse that.

    Raises:
        CompileError: A source or a header does not compile, or its program fails.
    """
    name = manifest.name
    header_roles: tuple[Role, ...] = (
        "api_header",
        "model_header",
        "golden_header",
        "frontend_header",
        "frontend_model_header",
    )
    source_roles: tuple[Role, ...] = (
        "model_source",
        "golden_source",
        "io_source",
        "frontend_model_source",
    )
    headers = [folder / path for role in header_roles for path in manifest.paths(role)]
    include = headers[0].parent
    sources = [folder / path for role in source_roles for path in manifest.paths(role)]
    self_tests = [folder / path for path in manifest.paths("self_test_source")]
    with tempfile.TemporaryDirectory() as scratch:
        printer = Path(scratch) / "read_back.cc"
        text = (
            environment()
            .get_template("read_back.cc.j2")
            .render(
                name=name,
                NAME=name.upper(),
                has_front_end=manifest.frontend is not None,
                has_classes=bool(manifest.class_names),
                has_anomalies=manifest.anomaly is not None,
                has_numbers=bool(manifest.numbers),
            )
        )
        printer.write_text(text, encoding="utf-8")
        warnings = list(_check_headers(headers, include, Path(scratch), compiler))
        warnings += compiler.compile(self_tests, include=include, output=None)
        program = Path(scratch) / "read_back"
        warnings += compiler.compile([printer, *sources], include=include, output=program)
        run = subprocess.run([str(program)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if run.returncode != 0:
        raise CompileError(f"the program that prints the constants ended with {run.returncode}")
    return _parse_print(run.stdout, tuple(warnings))


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
        scores=(
            tuple(np.frombuffer(bytes.fromhex(values["golden_score"]), np.uint32).tolist()),
            tuple(map(int, values["computed_score"].split())),
            int(values["threshold"]),
        )
        if "computed_score" in values
        else None,
        numbers=(
            bytes.fromhex(values["golden_number"]),
            bytes.fromhex(values["computed_number"]),
            tuple(
                bytes.fromhex(value).decode(errors="replace")
                for key, _, value in lines
                if key == "number_name"
            ),
        )
        if "computed_number" in values
        else None,
        frontend=FrontEndReadBack(
            model=bytes.fromhex(values["frontend_model"]),
            misalignment=int(values["frontend_misalignment"]),
            sizes=tuple(int(value) for key, _, value in lines if key == "frontend_size"),
            golden_recordings=tuple(map(int, values["golden_recording"].split())),
        )
        if "frontend_model" in values
        else None,
        warnings=warnings,
    )
