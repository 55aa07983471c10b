"""The C sources of a bundle, the same in every layout."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import jinja2
import numpy as np

from cost_models.arena import CMSIS_NN_VERSION, ESP_NN_VERSION, ESP_TFLITE_MICRO_VERSION, TFLM_VERSION
from nas.bundle.c_text import (
    comment_text,
    float_literal,
    hex_rows,
    markdown_text,
    number_rows,
    plain_text,
    string_literal,
)
from nas.bundle.content import TFLM_DATE, BundleContent, fnv1a
from nas.bundle.layout import File, Role

_RAW_C_TYPES = {"uint8": "uint8_t", "int16": "int16_t", "float32": "float"}

# File name after the model's name, template, role.
_SOURCES: tuple[tuple[str, str, Role], ...] = (
    (".h", "api.h.j2", "api_header"),
    (".cc", "runner.cc.j2", "runner_source"),
    ("_io.cc", "io.cc.j2", "io_source"),
    ("_model.h", "model.h.j2", "model_header"),
    ("_model.cc", "model.cc.j2", "model_source"),
    ("_golden.h", "golden.h.j2", "golden_header"),
    ("_golden.cc", "golden.cc.j2", "golden_source"),
    ("_self_test.cc", "self_test.cc.j2", "self_test_source"),
)

# Where recordings become the network's input by a front end.
_FRONT_END_SOURCES: tuple[tuple[str, str, Role], ...] = (
    ("_frontend.h", "frontend.h.j2", "frontend_header"),
    ("_frontend.cc", "frontend.cc.j2", "frontend_source"),
    ("_frontend_model.h", "frontend_model.h.j2", "frontend_model_header"),
    ("_frontend_model.cc", "frontend_model.cc.j2", "frontend_model_source"),
)

# What firmware links, and what its test build links too.
RUNTIME_SOURCES = (".cc", "_io.cc", "_model.cc")
FRONT_END_SOURCES = ("_frontend.cc", "_frontend_model.cc")
TEST_SOURCES = ("_golden.cc", "_self_test.cc")


def layout(
    content: BundleContent, *, sources: str = "", headers: str = "", suffix: str = ".cc"
) -> Mapping[str, File]:
    """The C sources by their path.

    Args:
        content: What they are written from.
        sources: Folder of the .cc files; empty for the bundle's own.
        headers: Folder of the .h files.
        suffix: Of the C++ files, where an ecosystem knows no .cc.
    """
    files = {}
    for ending, template, role in (*_SOURCES, *(_FRONT_END_SOURCES if content.frontend else ())):
        folder = headers if ending.endswith(".h") else sources
        path = f"{folder}/{content.model.name}{ending.replace('.cc', suffix)}".lstrip("/")
        files[path] = File(role=role, data=render(template, content).encode())
    return files


def self_test_main(content: BundleContent) -> File:
    """A main program that runs the self-test and prints its line."""
    return File(role="self_test_main", data=render("self_test_main.cc.j2", content).encode())


def build_file(template: str, content: BundleContent) -> File:
    """A file for the ecosystem's build tool."""
    return File(role="build", data=render(template, content).encode())


def readme(template: str, content: BundleContent, notes: tuple[str, ...]) -> File:
    """How the ecosystem takes the bundle in, with what its users must know."""
    return File(role="document", data=render(template, content, notes=notes).encode())


def render(template: str, content: BundleContent, **more: object) -> str:
    """The text of a template over a bundle's content."""
    return environment().get_template(template).render(_variables(content), **more)


def environment() -> jinja2.Environment:
    """Templates of this package; an undefined variable is an error."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("nas.bundle"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters["c_float"] = float_literal
    env.filters["c_string"] = string_literal
    env.filters["c_comment"] = comment_text
    env.filters["md"] = markdown_text
    env.filters["plain"] = plain_text
    env.filters["as_json"] = lambda value: json.dumps(value, sort_keys=True, ensure_ascii=False)
    return env


def _variables(content: BundleContent) -> dict[str, Any]:
    model, task, scaling = content.model, content.model.task, content.scaling
    raw, frontend = content.golden_raw, content.frontend
    golden_count = f"{model.name.upper()}_GOLDEN_COUNT"
    runtime = (*RUNTIME_SOURCES, *(FRONT_END_SOURCES if frontend else ()))
    is_float = raw.dtype == np.float32
    return {
        "ctx": content,
        "name": model.name,
        "NAME": model.name.upper(),
        "task": task,
        "costs": content.costs,
        "target": content.target,
        "input": content.input,
        "output": content.output,
        "scaling": scaling,
        "channels": len(scaling.offset),
        "raw_c_type": _RAW_C_TYPES[task.preprocess.raw_type],
        "operators": content.operators,
        "own_headers": sorted({line.header for line in content.operators if line.header}),
        "host_arena_bytes": content.host_arena_bytes,
        "arena_bytes": content.arena_bytes,
        "zephyr_arena_bytes": content.loose_arena_bytes,
        "npu": content.npu,
        "model_bytes": len(content.emitted),
        "model_rows": hex_rows(content.emitted),
        "golden_count": len(raw),
        "golden_raw_rows": [
            list(number_rows(row.ravel().tolist(), is_float=is_float, per_row=8 if is_float else 16))
            for row in raw
        ],
        "golden_output_rows": [
            list(number_rows(row.ravel().tolist(), is_float=False)) for row in content.golden_outputs
        ],
        "golden_hashes": [fnv1a(row.tobytes()) for row in content.golden_inputs],
        "golden_total": f"({golden_count} + {golden_count.replace('COUNT', 'RECORDING_COUNT')})"
        if frontend
        else golden_count,
        "fe": frontend,
        "anomaly": content.anomaly,
        "numbers": [
            {"name": target.name, "multiplier": multiplier, "offset": offset}
            for target, multiplier, offset in zip(
                content.model.task.targets, content.numbers.multiplier, content.numbers.offset, strict=True
            )
        ]
        if content.numbers
        else [],
        "golden_number_rows": _number_rows(content),
        "fe_model_rows": hex_rows(frontend.spec.tflite) if frontend else (),
        "golden_recording_rows": [
            list(number_rows(row.ravel().tolist(), is_float=False)) for row in frontend.recordings
        ]
        if frontend
        else [],
        "own_sources": [f"{model.name}{suffix}" for suffix in runtime],
        "test_sources": [f"{model.name}{suffix}" for suffix in TEST_SOURCES],
        "needs_math": is_float and not all(math.isfinite(value) for value in raw.ravel().tolist()),
        "tflm_commit": TFLM_VERSION,
        "tflm_date": TFLM_DATE,
        "cmsis_nn_commit": CMSIS_NN_VERSION,
        "esp_nn_commit": ESP_NN_VERSION,
        "esp_tflite_micro_commit": ESP_TFLITE_MICRO_VERSION,
    }


def _number_rows(content: BundleContent) -> list[list[tuple[float, int]]]:
    """The numbers that the golden outputs stand for, and their bits; empty where none are predicted."""
    if content.numbers is None:
        return []
    outputs = content.golden_outputs.reshape(len(content.golden_outputs), -1)
    numbers = content.numbers.numbers(outputs)
    bits = numbers.view(np.uint32)
    return [list(zip(*pair, strict=True)) for pair in zip(numbers.tolist(), bits.tolist(), strict=True)]
