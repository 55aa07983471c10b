"""Signal operators: their loops, and counts predicted on shapes that the fit never saw."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from cost_models.api import cost
from cost_models.cycles.counting import copy_at
from cost_models.cycles.fit import fit_paths
from cost_models.cycles.measurements import read_portable
from cost_models.cycles.signal import COUNTERS
from cost_models.graph import Operator, SignalOptions, Tensor
from nas.frontend.log_mel import log_mel
from nas.frontend.settings import LogMelSettings

COUNTS = Path(__file__).parents[2] / "scripts" / "signal_counts.csv"


def test_a_transform_of_512_is_four_stages_of_radix_4_over_256_places() -> None:
    tensors = (Tensor(shape=(480,), dtype="int16"), Tensor(shape=(514,), dtype="int16"))
    options = SignalOptions(values=(("T", 7), ("fft_length", 512)))
    op = Operator(kind="SignalRfft", inputs=(0,), outputs=(1,), options=options)
    path, trips = COUNTERS["SignalRfft"](op, tensors, "dsp")
    # Operator, frames, calls 1 + 4 + 16 + 64, places, butterflies of radix 4, none of radix 2.
    assert (path, trips[:6]) == ("signal_rfft_int16", (1, 1, 85, 256, 256, 0))


def test_a_ring_is_written_twice_and_read_once_a_turn() -> None:
    options = SignalOptions(values=(("frame_size", 8), ("frame_step", 4), ("prefill", 1)))
    tensors = (Tensor(shape=(4,), dtype="int16"), Tensor(shape=(1, 8), dtype="int16"))
    op = Operator(kind="SignalFramer", inputs=(0,), outputs=(1,), options=options)
    path, trips = COUNTERS["SignalFramer"](op, tensors, "dsp")
    # Every place is a multiple of 8 bytes.
    assert (path, trips) == ("signal_framer", (1, 1, 2 * copy_at(8, 0, 0, "dsp") + copy_at(16, 0, 0, "dsp")))


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33"])
def test_a_fit_to_half_of_the_shapes_predicts_the_others(core: str) -> None:
    by_path = defaultdict(list)
    for sample in read_portable(COUNTS)["cmsis_nn", core]:
        by_path[sample.path].append(sample)
    assert len(by_path) == 20
    for path, samples in by_path.items():
        shapes = sorted({sample.trips for sample in samples})
        seen = set(shapes[::2])
        prices = fit_paths([sample for sample in samples if sample.trips in seen])[path]
        errors = sorted(
            abs(float(np.dot(prices, sample.trips)) / sample.cost - 1)
            for sample in samples
            if sample.trips not in seen
        )
        # Steps of a square root go by the signal; a ring's copies by how its places lie, bytes apart on the M0+.
        rings = path in ("signal_delay", "signal_framer", "signal_stacker")
        most = 0.45 if path == "signal_filterbanksquareroot" else 0.12 if rings else 0.07
        assert errors[len(errors) * 9 // 10] < most, path


def test_a_frame_of_the_default_front_end_takes_what_qemu_counted() -> None:
    for settings, counted in (
        (LogMelSettings(), 97_400),
        (LogMelSettings(pcan=False, noise_subtraction=False), 93_200),
    ):
        costs = cost(log_mel(settings).tflite, "nrf52840")
        assert costs.instructions is not None
        assert not costs.at_least
        # Counted on loud noise, of which square roots take most steps.
        assert costs.instructions == pytest.approx(counted, rel=0.04)
        assert costs.latency_us is not None
