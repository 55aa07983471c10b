"""Constants of the signal operators against the formulas that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from nas.frontend.filter_bank import WEIGHT_BITS, filter_bank, gain_table, hann_window, mel

ONE = 1 << WEIGHT_BITS
BANK = filter_bank(bands=40, low_hz=125, high_hz=7500, sample_rate=16_000, fft_length=512, pitch=mel)


def test_a_thousand_hertz_are_a_thousand_mel() -> None:
    assert abs(float(mel(1000)) - 1000) < 0.1
    assert float(mel(0)) == 0


def test_the_window_is_hanns() -> None:
    window = hann_window(480)
    assert (window == window[::-1]).all()
    assert (window[0], window[239], window[240]) == (0, ONE, ONE)
    assert abs(float(window.astype(np.float64).mean()) - ONE / 2) < 1


def test_places_belong_to_two_neighbours_whose_weights_add_up_to_one() -> None:
    sums = BANK.weights.astype(int) + BANK.unweights
    assert set(sums.tolist()) <= {ONE - 1, ONE}  # both are cut off


def test_sections_follow_each_other_without_a_gap() -> None:
    assert BANK.widths.sum() == len(BANK.weights) == BANK.end - BANK.first
    assert (np.diff(BANK.starts) == BANK.widths[:-1]).all()
    assert (BANK.starts - BANK.first == BANK.places).all()
    assert (BANK.first, BANK.end) == (5, 241)  # 156.25 Hz is the first above 125 Hz, 7,500 Hz the last


def test_each_band_is_a_triangle_between_its_neighbours_centres() -> None:
    centres = np.linspace(float(mel(125)), float(mel(7500)), 42)
    places = mel(np.arange(257) * 16_000 / 512)
    for band in range(40):
        low, middle, high = centres[band : band + 3]
        wanted = np.clip(
            np.minimum((places - low) / (middle - low), (high - places) / (high - middle)), 0, None
        )
        made = np.zeros(257)
        rise, fall = BANK.starts[band], BANK.starts[band + 1]
        made[rise : rise + BANK.widths[band]] = BANK.unweights[BANK.places[band] :][: BANK.widths[band]]
        made[fall : fall + BANK.widths[band + 1]] = BANK.weights[BANK.places[band + 1] :][
            : BANK.widths[band + 1]
        ]
        assert np.abs(made / ONE - wanted).max() < 1.01 / ONE


def test_bands_narrower_than_the_spectrums_places_are_empty() -> None:
    crowded = filter_bank(bands=128, low_hz=20, high_hz=4000, sample_rate=8000, fft_length=128, pitch=mel)
    assert crowded.empty_bands()
    assert not BANK.empty_bands()


def interpolated(table: np.ndarray, at: int) -> float:
    """The gain as PCAN's kernel looks it up."""
    if at <= 2:
        return float(table[at])
    bit = at.bit_length() - 1
    value, slope, curvature = (int(number) for number in table[4 * bit - 2 : 4 * bit + 1])
    share = at / (1 << bit) - 1
    return value + slope * share + curvature * share * share


@pytest.mark.parametrize("at", [0, 1, 2, 3, 100, 5000, 10_240, 90_000, 1_000_000, 30_000_000, (1 << 32) - 1])
def test_the_gain_table_follows_its_function(at: int) -> None:
    table = gain_table(strength=0.95, offset=80.0, input_bits=7, gain_bits=21)
    assert table.shape == (125,)
    wanted = min((at / 128 + 80.0) ** -0.95 * (1 << 21), 32767)
    assert abs(interpolated(table, at) - wanted) < 1 + 0.01 * wanted
