"""No value is altered in silence: the raw type, units, outliers, and what int8 leaves of each channel."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cost_models.errors import UserError
from nas.tasks.dataset import Dataset, make_dataset
from nas.tasks.loading.sampling import thinned

SIZES = {"train": 600, "val": 200, "test": 200}
Change = Callable[[Any, str], Any]


def data(change: Change = lambda x, part: x, dtype: Any = np.float64) -> Dataset:
    """Three classes that 6 channels tell apart, and a change to the samples of each part."""
    rng = np.random.default_rng(0)
    samples, labels = {}, {}
    for part, count in SIZES.items():
        labels[part] = np.arange(count) % 3
        values = rng.normal(0, 1, (count, 6))
        values[np.arange(count), labels[part]] += 4
        samples[part] = np.asarray(change(values, part)).astype(dtype)
    return make_dataset(name="d", samples=samples, labels=labels, class_names=None)


def nearest(dataset: Dataset) -> float:
    """Accuracy of the nearest class mean on int8 inputs: whether the information survived."""
    low, high = dataset.input_range
    codes = {
        p: np.round((dataset.inputs(dataset.samples[p]) - low) / (high - low) * 255)
        for p in ("train", "test")
    }
    means = np.stack([codes["train"][dataset.labels["train"] == c].mean(0) for c in range(3)])
    distance = ((codes["test"][:, None] - means[None]) ** 2).sum(-1)
    return float((distance.argmin(1) == dataset.labels["test"]).mean())


def replaced(marker: float, share: float) -> Change:
    rng = np.random.default_rng(1 if marker < 0 else 2)
    return lambda x, part: np.where(rng.random(x.shape) < share, marker, x)


def test_sound_data_need_no_word() -> None:
    dataset = data()
    assert dataset.notes == ()
    assert nearest(dataset) > 0.97
    assert all(levels > 100 for levels in dataset.report.levels)


@pytest.mark.parametrize(
    ("change", "dtype", "raw_type"),
    [
        (lambda x, p: x * 1000 + 4000, np.int32, "int16"),
        (lambda x, p: x * (1000 if p == "train" else 6000) + 4000, np.uint16, "float32"),
        (lambda x, p: x * 4000, np.int32, "int16"),
        (lambda x, p: x * 5 + 50, np.uint8, "uint8"),
        (lambda x, p: x * 1000, np.int64, "int16"),
    ],
)
def test_one_raw_type_holds_the_values_of_all_parts(change: Change, dtype: Any, raw_type: str) -> None:
    kept: dict[str, Any] = {}

    def keep(x: Any, part: str) -> Any:
        kept[part] = change(np.abs(x) if dtype == np.uint16 else x, part).astype(dtype)
        return kept[part]

    dataset = data(keep, dtype)
    assert dataset.info.preprocess.raw_type == raw_type
    for part in SIZES:
        assert dataset.samples[part].dtype == raw_type
        assert (dataset.samples[part] == kept[part]).all()


def test_a_part_of_fractions_beside_integers_is_not_cut() -> None:
    samples = {p: np.random.default_rng(3).integers(0, 9, (n, 5)) for p, n in SIZES.items()}
    halves: dict[str, Any] = samples | {"test": samples["test"] + 0.5}
    labels = {p: np.arange(n) % 3 for p, n in SIZES.items()}
    dataset = make_dataset(name="d", samples=halves, labels=labels, class_names=None)
    assert (dataset.samples["test"] == halves["test"]).all()
    wide: dict[str, Any] = samples | {"test": samples["test"].astype(np.float64)}
    assert (
        make_dataset(name="d", samples=wide, labels=labels, class_names=None).info.preprocess.raw_type
        == "int16"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x, p: x if p != "test" else x * 1000,
            r"d: the parts are on different scales: X_train runs from \S+ to \S+, X_test from \S+ to \S+"
            r" \(channel \d\)\. Bring all parts to one unit\.",
        ),
        (lambda x, p: (x + 6) * 15 if p == "train" else (x + 6) / 17, "X_val from 0"),
        (lambda x, p: x if p != "val" else x * [1, 1, 0.001, 1, 1, 1], r"X_val from .* \(channel 2\)"),
        (lambda x, p: x if p == "train" else x * 60 + 128, "on different scales"),
    ],
)
def test_parts_in_different_units_are_refused_with_both_ranges(change: Change, message: str) -> None:
    with pytest.raises(UserError, match=message):
        data(change)


def test_mostly_dark_pictures_of_another_scale_are_refused() -> None:
    rng = np.random.default_rng(0)
    samples: dict[str, Any] = {
        p: (rng.random((n, 8, 8)) < 0.03) * rng.integers(100, 256, (n, 8, 8)) for p, n in SIZES.items()
    }
    labels = {p: np.arange(n) % 3 for p, n in SIZES.items()}
    with pytest.raises(UserError, match="on different scales"):
        make_dataset(
            name="d", samples=samples | {"val": samples["val"] / 255}, labels=labels, class_names=None
        )


def test_bytes_beside_fractions_of_one_are_refused() -> None:
    rng = np.random.default_rng(0)
    samples = {p: rng.integers(0, 256, (n, 8, 8)).astype(np.uint8) for p, n in SIZES.items()}
    mixed: dict[str, Any] = samples | {"test": samples["test"] / 255}
    labels = {p: np.arange(n) % 3 for p, n in SIZES.items()}
    with pytest.raises(UserError, match="X_train runs from 0 to 255, X_test from 0 to 1"):
        make_dataset(name="d", samples=mixed, labels=labels, class_names=None)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, p: x if p != "val" else x * 0.2,  # a quiet recording
        lambda x, p: x if p != "test" else x * 2 + 1,  # another subject
        lambda x, p: x if p != "test" else np.where(np.arange(6) == 3, 0, x),  # a sensor that was off
        # A rare event that is weak where it is seen twice.
        lambda x, p: np.c_[x[:, :5], np.where(np.arange(len(x)) % 99 == 1, 1.0 if p == "val" else 90.0, 0.0)],
    ],
)
def test_parts_that_are_shifted_or_quiet_are_not_refused(change: Change) -> None:
    assert data(change).info.preprocess.raw_type == "float32"


def test_a_part_ten_times_larger_is_said() -> None:
    notes = data(lambda x, p: x if p != "test" else x * 9.81).notes
    assert re.match(
        r"The values of X_test are (9|10) times larger than those of X_train: X_train runs from", notes[0]
    )
    assert re.match(
        r"\d+ % of the values of the test part lie outside the range of the training part", notes[1]
    )


@pytest.mark.parametrize("unit", [1e-13, 1e-30, 1e9, 1e-3])
def test_the_unit_of_the_samples_does_not_matter(unit: float) -> None:
    dataset = data(lambda x, p: (x + 20) * unit)
    assert nearest(dataset) > 0.97
    assert np.isfinite(dataset.input_range).all()
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("change", "dtype", "message"),
    [
        (
            lambda x, p: x * 1e-40,
            np.float64,
            "channel 0 of X_train varies by .* only, too little for float32",
        ),
        (
            lambda x, p: x * 1e300,
            np.float64,
            r"X_train has values from \S+ to \S+, beyond the range of float32",
        ),
        (replaced(3.4e38, 0.01), np.float32, "beyond the range of float32"),
        (
            lambda x, p: 1.6e9 + x * 10,
            np.float64,
            r"channel \d of X_train varies by .* finer than float32 holds",
        ),
        (lambda x, p: x + np.array([0, 0, 0, 0, 0, 1.6e9]), np.float64, "channel 5 of X_train varies by"),
        (
            lambda x, p: 1.6e9 + x * 100,
            np.float64,
            r"channel \d of X_train varies by .* at values of 1.6e\+09, finer",
        ),
        (lambda x, p: 2**60 + np.rint(x * 1000).astype(np.int64), np.int64, "finer than float32 holds"),
        (lambda x, p: x, np.complex64, "X_train holds complex64, complex numbers"),
        (replaced(np.inf, 0.01), np.float32, "X_train has NaN or infinite values"),
    ],
)
def test_what_float32_cannot_hold_is_refused(change: Change, dtype: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        data(change, dtype)
    assert error.value.hint


def test_large_integers_whose_steps_survive_are_taken() -> None:
    assert nearest(data(lambda x, p: x * 1e8, np.int64)) > 0.97
    assert nearest(data(lambda x, p: x * 1e18 + 9e18, np.uint64)) > 0.97


@pytest.mark.parametrize("dtype", [np.float16, ">f4", ">i4", np.longdouble])
def test_any_real_type_is_taken(dtype: Any) -> None:
    assert nearest(data(lambda x, p: x * 100, dtype)) > 0.97


@pytest.mark.parametrize(
    ("change", "marker"),
    [
        (replaced(-9999, 0.01), "-9999"),
        (replaced(-9999, 0.001), "-9999"),
        (replaced(-9999, 0.3), "-9999"),
        (lambda x, p: replaced(65535, 0.02)(x * 100 + 2000, p), "65535"),
        (lambda x, p: replaced(0, 0.03)(x * 0.1 + 37, p), "0"),
        (lambda x, p: replaced(-9999, 0.02)(replaced(65535, 0.02)(x, p), p), "-9999, 65535"),
        (replaced(1e30, 0.01), "1e+30"),
    ],
)
def test_markers_of_missing_values_are_named_and_leave_the_range_to_the_others(
    change: Change, marker: str
) -> None:
    dataset = data(change)
    assert min(dataset.report.levels) > 80
    assert dataset.notes[0].startswith(f"{marker} (")
    assert re.search(
        r"% of the values of channels? [\d, ]+\) lies? far from the others \(\S+ to \S+\) and saturates?:"
        r" the int8 range is left to the others\.",
        dataset.notes[0],
    )


def test_a_single_huge_value_costs_nobody_resolution() -> None:
    def spoil(x: Any, part: str) -> Any:
        x = x.copy()
        x[0, 2] = 1e9
        return x

    dataset = data(spoil)
    assert nearest(dataset) > 0.97
    assert dataset.notes[0].startswith("1e+09 (0.17 % of the values of channel 2) lies far from the others")


def test_states_of_a_channel_are_kept_apart() -> None:
    rng = np.random.default_rng(5)
    dataset = data(lambda x, p: np.c_[x[:, :5], rng.choice([0, 1, 2, 9999], len(x))])
    assert dataset.report.levels[5] == 4
    assert dataset.notes[0].startswith("9999 (")


def test_pulses_in_one_channel_leave_the_others_their_levels() -> None:
    rng = np.random.default_rng(5)
    dataset = data(lambda x, p: np.c_[x[:, :5], rng.standard_t(1, len(x)) ** 3])
    assert min(dataset.report.levels[:5]) > 60
    assert nearest(dataset) > 0.95
    assert any("channel 5" in note or "Channel 5" in note for note in dataset.notes)


def test_a_tail_that_takes_the_range_is_said() -> None:
    rng = np.random.default_rng(5)
    notes = data(lambda x, p: rng.lognormal(0, 4, x.shape)).notes
    assert any(
        re.match(
            r"Most values of channel \d share \d+ of 256 int8 levels: they differ little beside the range of all",
            note,
        )
        for note in notes
    )


def test_a_constant_channel_is_named_and_harmless() -> None:
    constant = data(lambda x, p: x * [1, 1, 1, 1, 1, 0] + 7.3)
    assert constant.notes == (
        "Channel 5 of 6 holds a single value in the training part, nothing to learn from.",
    )
    noise = data(lambda x, p: x * [1, 1, 1, 1, 1, 1e-17] + 0.1)
    assert noise.report.constant == (5,)
    later = data(lambda x, p: x * [1, 1, 1, 1, 1, p != "train"])
    assert later.notes[1] == "Of these, 5 varies in the val or test part."


def test_dark_training_pictures_do_not_clip_bright_test_pictures() -> None:
    rng = np.random.default_rng(0)
    samples = {
        p: rng.integers(0, 12 if p == "train" else 200, (n, 8, 8)).astype(np.uint8) for p, n in SIZES.items()
    }
    labels = {p: np.arange(n) % 3 for p, n in SIZES.items()}
    dataset = make_dataset(name="d", samples=samples, labels=labels, class_names=None)
    assert dataset.info.preprocess.scale == (1 / 255,)
    assert dataset.report.parts["test"].clipped == 0


def test_glitches_of_many_values_are_left_out_where_the_others_would_be_lost() -> None:
    rng = np.random.default_rng(5)
    dataset = data(lambda x, p: np.where(rng.random(x.shape) < 0.02, rng.uniform(1e5, 1e6, x.shape), x))
    assert min(dataset.report.levels) > 80
    assert re.match(
        r"\d+ values from \d+ to \d+ \(\S+ % of the values of channel 0\) lie far from", dataset.notes[0]
    )


def test_pulses_that_leave_the_others_some_levels_keep_their_range() -> None:
    rng = np.random.default_rng(5)
    samples, labels = {}, {}
    for part, count in SIZES.items():
        pulses = (rng.random((count, 100, 1)) < 0.02) * rng.normal(1, 0.1, (count, 100, 1))
        samples[part] = rng.normal(0, 0.02, (count, 100, 1)) + pulses
        labels[part] = np.arange(count) % 3
    dataset = make_dataset(name="d", samples=samples, labels=labels, class_names=None)
    assert dataset.notes == ()
    assert dataset.report.parts["train"].clipped < 0.01


def test_a_sample_of_many_values_meets_every_pixel_and_is_the_same_every_time() -> None:
    pixels = np.tile(np.arange(784), 400)
    sample = thinned(pixels, 20_000)
    assert len(sample) == 20_000
    assert len(np.unique(sample)) == 784
    assert (sample == thinned(pixels, 20_000)).all()
    assert thinned(pixels, 784 * 400) is pixels
