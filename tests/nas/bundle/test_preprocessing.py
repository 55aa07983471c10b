from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.bundle.compiler import find_compiler
from nas.model.input_quantization import InputScaling
from nas.model.trained import Preprocess

from .conftest import make_finished

HOST = find_compiler()
pytestmark = pytest.mark.skipif(HOST is None, reason="no C++ compiler")

# Reads floats, writes the int8 of each for every channel.
STREAM = """
#include <cstdio>
#include "kws.h"
int main() {
  float raw;
  while (std::fread(&raw, sizeof(raw), 1, stdin) == 1) {
    for (size_t channel = 0; channel < KWS_INPUT_CHANNELS; ++channel) std::fputc(kws_quantize(raw, channel), stdout);
  }
  return 0;
}
"""


def quantize_in_c(folder: Path, preprocess: Preprocess, values: NDArray[np.float32]) -> NDArray[np.int8]:
    """What the emitted C makes of values, compiled as firmware is: optimized, with the chip's fused multiply-add."""
    finished = make_finished(raw_type=preprocess.raw_type, golden_count=1).with_task(preprocess=preprocess)
    bundle = finished.export(folder / "b")
    main = folder / "main.cc"
    main.write_text(STREAM)
    assert HOST is not None
    flags = ["-O3", "-march=native", "-ffp-contract=fast", "-I", str(bundle.path)]
    program = folder / "program"
    command = [HOST.cxx, *flags, str(main), str(bundle.path / "kws_io.cc"), "-o", str(program)]
    subprocess.run(command, check=True, timeout=300)
    done = subprocess.run(
        [str(program)], input=values.tobytes(), capture_output=True, check=True, timeout=300
    )
    return np.frombuffer(done.stdout, np.int8).reshape(len(values), 9)


def quantize_in_python(folder: Path, preprocess: Preprocess, values: NDArray[np.generic]) -> NDArray[np.int8]:
    from nas.runtimes.tflm import TflmModel

    port = TflmModel(make_finished(golden_count=1).model.tflite).input
    scaling = InputScaling.fold(preprocess, scale=port.scale, zero_point=port.zero_point)
    return scaling.quantize(np.repeat(values[:, None], 9, axis=1))


def test_c_and_python_agree_on_every_byte(tmp_path: Path) -> None:
    raw = np.arange(256, dtype=np.uint8)
    for number, (offset, scale) in enumerate(
        [((127.5,), (0.011,)), ((0.0,), (1 / 255,)), ((3.7,), (-0.02,))]
    ):
        preprocess = Preprocess(raw_type="uint8", offset=offset, scale=scale)
        folder = tmp_path / str(number)
        folder.mkdir()
        found = quantize_in_c(folder, preprocess, raw.astype(np.float32))
        assert np.array_equal(found, quantize_in_python(folder, preprocess, raw))


def test_c_and_python_agree_on_every_16_bit_value_in_every_channel(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    raw = np.arange(-(2**15), 2**15).astype(np.int16)
    offset, scale = tuple(rng.normal(0, 2000, 9)), tuple(rng.uniform(1e-5, 3e-4, 9))
    preprocess = Preprocess(raw_type="int16", offset=offset, scale=scale)
    found = quantize_in_c(tmp_path, preprocess, raw.astype(np.float32))
    assert np.array_equal(found, quantize_in_python(tmp_path, preprocess, raw))
    assert len(np.unique(found)) == 256


def test_c_and_python_agree_on_floats_of_every_kind(tmp_path: Path) -> None:
    """Random bits: denormals, infinities, NaNs; and values around each half."""
    rng = np.random.default_rng(12)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    near = rng.uniform(-8, 8, 200_000).astype(np.float32)
    preprocess = Preprocess(raw_type="float32", offset=(0.3,), scale=(1.0,))
    step = np.float32(0.01)
    halves = ((np.arange(-400, 400) + 0.5).astype(np.float32) * step + np.float32(0.3)).astype(np.float32)
    around = np.concatenate([np.nextafter(halves, side).astype(np.float32) for side in (-np.inf, np.inf)])
    raw = np.concatenate([bits, near, halves, around])
    found = quantize_in_c(tmp_path, preprocess, raw)
    assert np.array_equal(found, quantize_in_python(tmp_path, preprocess, raw))
