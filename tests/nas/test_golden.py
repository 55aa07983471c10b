from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.model.input_quantization import InputScaling
from nas.model.trained import Preprocess
from nas.runtimes.golden import Golden, choose_golden
from nas.runtimes.litert import LiteRtModel

MODEL = (Path(__file__).parent / "bundle" / "data" / "tcn.tflite").read_bytes()
PREPROCESS = Preprocess(raw_type="int16", offset=(0.0,), scale=(1e-3,))


def samples(count: int = 60) -> NDArray[np.generic]:
    return np.random.default_rng(4).integers(-900, 900, (count, 64, 1, 9)).astype(np.int16)


@pytest.fixture(scope="module")
def golden() -> Golden:
    return choose_golden(MODEL, samples(), PREPROCESS, 5)


def test_the_same_seed_chooses_the_same_samples(golden: Golden) -> None:
    again = choose_golden(MODEL, samples(), PREPROCESS, 5)
    assert np.array_equal(again.samples, golden.samples)
    assert again.share == golden.share
    assert not np.array_equal(choose_golden(MODEL, samples(), PREPROCESS, 6).samples, golden.samples)


def test_sixteen_raw_samples_are_chosen_of_which_four_are_test_samples(golden: Golden) -> None:
    assert golden.samples.dtype == np.int16
    assert golden.samples.shape == (16, 64, 1, 9)
    known = {sample.tobytes() for sample in samples()}
    assert all(sample.tobytes() in known for sample in golden.samples[:4])
    assert -900 <= golden.samples.min() <= golden.samples.max() < 900


def test_chosen_samples_notice_more_changed_weights_than_drawn_ones(golden: Golden) -> None:
    share = golden.share
    assert share is not None
    assert share.tried == 300
    drawn = samples()[:8]
    assert _noticed(golden.samples) > _noticed(drawn)
    # Stated of other weights than those counted here.
    assert abs(share.noticed / share.tried - _noticed(golden.samples)) < 0.1


def _noticed(raw: NDArray[np.generic]) -> float:
    """Share of the bytes of the largest constants that change an answer when they are changed."""
    model = LiteRtModel(MODEL)
    scaling = InputScaling.fold(PREPROCESS, scale=model.input.scale, zero_point=model.input.zero_point)
    inputs = scaling.quantize(raw)
    known = model.run(inputs)
    from nas.runtimes.golden import _weight_bytes

    places = np.random.default_rng(9).choice(_weight_bytes(MODEL), 200, replace=False)
    count = 0
    for at in places:
        data = bytearray(MODEL)
        data[at] ^= 0x7F
        count += bool((LiteRtModel(bytes(data)).run(inputs) != known).any())
    return count / len(places)


def test_large_samples_are_fewer_so_that_the_test_build_fits() -> None:
    wide = Preprocess(raw_type="float32", offset=(0.0,), scale=(1.0,))
    large = np.zeros((3, 64, 1, 9), np.float32)
    assert len(choose_golden(MODEL, large, wide, 1).samples) == 16
    from nas.runtimes.golden import _count

    assert [_count(size) for size in (64, 16_384, 27_648, 150_528)] == [16, 16, 9, 8]
