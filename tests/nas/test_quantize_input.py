from __future__ import annotations

import numpy as np
import pytest

from nas.model.input_quantization import InputScaling, quantize_input
from nas.model.trained import Preprocess

GREY = Preprocess(raw_type="uint8", offset=(0.0,), scale=(1 / 255,))


def test_every_byte_of_an_image_maps_onto_every_int8_value() -> None:
    raw = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    q = quantize_input(raw, GREY, scale=float(np.float32(1 / 255)), zero_point=-128)
    assert q.dtype == np.int8
    assert q.ravel().tolist() == list(range(-128, 128))


def test_halves_are_rounded_away_from_zero() -> None:
    raw = np.array([-2.5, -1.5, -0.5, -0.49999997, 0.0, 0.49999997, 0.5, 1.5, 2.5], np.float32)
    identity = Preprocess(raw_type="float32", offset=(0.0,), scale=(1.0,))
    assert quantize_input(raw, identity, scale=1.0, zero_point=0).tolist() == [-3, -2, -1, 0, 0, 0, 1, 2, 3]


def test_what_lies_outside_saturates_and_nan_becomes_the_lowest_value() -> None:
    raw = np.array([-np.inf, -1e30, 1e30, np.inf, np.nan], np.float32)
    identity = Preprocess(raw_type="float32", offset=(0.0,), scale=(1.0,))
    assert quantize_input(raw, identity, scale=1e-9, zero_point=5).tolist() == [-128, -128, 127, 127, -128]


def test_each_channel_has_its_own_offset_and_scale() -> None:
    raw = np.array([[10, 10, 10]], np.int16)
    preprocess = Preprocess(raw_type="int16", offset=(0.0, 10.0, 5.0), scale=(1.0, 1.0, 2.0))
    assert quantize_input(raw, preprocess, scale=1.0, zero_point=0).tolist() == [[10, 0, 10]]


def test_folding_agrees_with_scaling_first_up_to_the_last_bit_of_a_float() -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(-32768, 32768, (1000, 6)).astype(np.int16)
    preprocess = Preprocess(
        raw_type="int16", offset=tuple(rng.normal(0, 50, 6)), scale=tuple(rng.uniform(1e-4, 1e-2, 6))
    )
    real = preprocess.apply(raw).astype(np.float64)
    folded = quantize_input(raw, preprocess, scale=0.37, zero_point=-3)
    expected = np.clip(np.round(real / 0.37) - 3, -128, 127)
    assert np.abs(folded - expected).max() <= 1
    assert (folded != expected).mean() < 1e-3


@pytest.mark.parametrize(
    ("preprocess", "scale", "reason"),
    [
        (
            Preprocess(raw_type="uint8", offset=(0.0, 1.0), scale=(1.0, 1.0, 1.0)),
            1.0,
            "2 offsets do not match 3",
        ),
        (GREY, 0.0, "the input scale is 0"),
        (Preprocess(raw_type="uint8", offset=(float("nan"),), scale=(1.0,)), 1.0, "must be finite"),
    ],
)
def test_scalings_that_cannot_be_folded_are_refused(
    preprocess: Preprocess, scale: float, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        InputScaling.fold(preprocess, scale=scale, zero_point=0)
