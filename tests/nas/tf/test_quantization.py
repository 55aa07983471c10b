"""The ladder of quantization on networks in which int8 is made to fail: outlier channels, inputs of a wide range."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cost_models.tflite_graph import read_graph
from nas.model.quantization import Quantization, quantization_from_json
from nas.runtimes.litert import LiteRtModel
from nas.tasks import load_task
from search_spaces.arch import ArchSpec
from search_spaces.layers import INPUT, Add, Conv, Dense, DepthwiseConv, GlobalAveragePool
from search_spaces.lower import lower
from search_spaces.space import list_spaces

pytestmark = pytest.mark.slow

CHAIN = ArchSpec(
    input_shape=(8, 8, 1),
    layers=(
        Conv(inputs=(INPUT,), filters=12),
        DepthwiseConv(inputs=(0,)),
        Conv(inputs=(1,), filters=16, kernel=(1, 1)),
        GlobalAveragePool(inputs=(2,)),
        Dense(inputs=(3,), units=10, activation="NONE"),
    ),
)
RESIDUAL = ArchSpec(
    input_shape=(8, 8, 1),
    layers=(
        Conv(inputs=(INPUT,), filters=12, activation="NONE"),
        Conv(inputs=(0,), filters=12),
        Conv(inputs=(1,), filters=12, activation="NONE"),
        Add(inputs=(0, 2), activation="RELU"),
        GlobalAveragePool(inputs=(3,)),
        Dense(inputs=(4,), units=10, activation="NONE"),
    ),
)
CLIPPED = replace(
    CHAIN,
    layers=(
        Conv(inputs=(INPUT,), filters=12, activation="RELU6"),
        Conv(inputs=(0,), filters=12),
        *CHAIN.layers[2:],
    ),
)


class Trained:
    """A network trained on digits for a moment, with all that a climb takes."""

    def __init__(self, spec: ArchSpec) -> None:
        from nas.tf.build import build
        from nas.tf.quantization.folded import fold
        from nas.tf.train import Schedule, TrainingData, train

        dataset = load_task("digits")
        self.inputs, self.labels = dataset.inputs(dataset.samples["val"]), dataset.labels["val"]
        train_inputs = dataset.inputs(dataset.samples["train"])
        self.representative = train_inputs[:128]
        self.data = TrainingData(train_inputs, dataset.labels["train"], classes=10)
        self.schedule = Schedule(steps=200, batch=64, peak_rate=0.015)
        model = build(spec, seed=1)
        train(model, self.data, self.schedule, rng=np.random.default_rng(0))
        self.folded = fold(model, spec)

    def judge(self, tflite: bytes) -> float:
        from nas.tf.quantization.ladder import _answers

        return float((_answers(tflite, self.inputs).argmax(1) == self.labels).mean())

    def climb(self, folded: Any, **changes: Any) -> tuple[bytes, Quantization]:
        from nas.tf.quantization import Climb, climb
        from nas.tf.quantization.folded import predict

        model = folded.model()
        task = Climb(
            model=model,
            spec=folded.spec,
            representative=self.representative,
            judge=self.judge,
            float_metric=float((predict(model, self.inputs).argmax(1) == self.labels).mean()),
            least_gap=0.01,
        )
        return climb(replace(task, **changes))


@pytest.fixture(scope="module")
def chain() -> Trained:
    return Trained(CHAIN)


@pytest.fixture(scope="module")
def residual() -> Trained:
    return Trained(RESIDUAL)


@pytest.fixture(scope="module")
def clipped() -> Trained:
    return Trained(CLIPPED)


def rescaled(folded: Any, factors: dict[int, tuple[int, float]]) -> Any:
    """The same function, with one channel of a layer's output so many times as large."""
    from nas.tf.quantization.folded import Folded

    weights = {index: (kernel.copy(), bias.copy()) for index, (kernel, bias) in folded.weights.items()}
    for index, (channel, factor) in factors.items():
        kernel, bias = weights[index]
        if isinstance(folded.spec.layers[index], DepthwiseConv):
            kernel[:, :, channel] *= factor
        else:
            kernel[..., channel] *= factor
        bias[channel] *= factor
    return Folded(folded.spec, weights)


def read_less(folded: Any, index: int, channel: int, factor: float) -> Any:
    """The network with the weights that read a channel divided."""
    kernel, _ = folded.weights[index]
    kernel[(slice(None), slice(None), channel) if kernel.ndim == 4 else channel] /= factor
    return folded


def half_recovered(found: Quantization) -> bool:
    first, best = found.tried[0].metric, max(one.metric for one in found.tried)
    assert found.float_metric - first > 0.1, "the planted case is not hard"
    return best - first >= 0.5 * (found.float_metric - first)


def test_a_network_that_int8_does_not_hurt_keeps_the_converters_bytes(chain: Trained) -> None:
    from nas.tf.convert import convert

    tflite, found = chain.climb(chain.folded)
    assert tflite == convert(chain.folded.model(), chain.representative)
    assert (found.rung, len(found.tried), found.worst) == ("ptq", 1, ())


def test_outlier_channels_are_named_and_cured_by_equalization(chain: Trained) -> None:
    planted = rescaled(chain.folded, {0: (3, 300.0), 2: (5, 300.0)})
    planted = read_less(read_less(planted, 1, 3, 300.0), 4, 5, 300.0)
    tflite, found = chain.climb(planted)
    assert half_recovered(found)
    assert found.rung == "equalization"
    assert {one.layer for one in found.worst[:2]} <= {0, 2, 3}, found.worst
    assert read_graph(tflite) == lower(CHAIN)
    assert quantization_from_json(found.to_json()) == found


def test_an_input_of_a_wide_range_is_cured_by_calibration_unless_its_bytes_are_fixed(chain: Trained) -> None:
    wide = chain.representative.copy()
    wide[0, 0, 0], wide[1, 0, 0] = 300.0, -300.0
    tflite, found = chain.climb(chain.folded, representative=wide)
    assert found.tried[1].rung == "calibration"
    assert half_recovered(replace(found, tried=found.tried[:2]))
    assert (found.worst[0].layer, found.worst[0].tensor) == (INPUT, "activations")
    fixed, _ = chain.climb(chain.folded, representative=wide, fixed_input=True)
    assert LiteRtModel(tflite).input.scale < 1 < LiteRtModel(fixed).input.scale


def test_outliers_of_a_residual_stream_are_cured_by_equalization(residual: Trained) -> None:
    planted = rescaled(residual.folded, {0: (3, 300.0), 2: (3, 300.0)})
    _, found = residual.climb(read_less(read_less(planted, 1, 3, 300.0), 5, 3, 300.0))
    assert half_recovered(found)
    assert found.rung == "equalization"


def test_channels_that_a_clip_at_six_keeps_from_scaling_are_cured_by_training(clipped: Trained) -> None:
    from nas.tf.quantization.aware import train_aware

    planted = clipped.folded
    for channel in range(1, 12):
        planted = read_less(rescaled(planted, {0: (channel, 0.004)}), 1, channel, 0.004)
    steps = []

    def aware(folded: Any, ranges: Any) -> Any:
        schedule = replace(clipped.schedule, steps=80, peak_rate=0.0015)
        trained, done = train_aware(folded, ranges, clipped.data, schedule, rng=np.random.default_rng(0))
        steps.append(done)
        return trained

    tflite, found = clipped.climb(planted, aware=aware)
    assert half_recovered(found)
    assert (found.rung, found.tried[-1].rung, steps) == ("qat", "qat", [80])
    assert read_graph(tflite) == lower(CLIPPED)
    _, found = clipped.climb(planted, aware=lambda folded, ranges: None)
    assert found.left_out.endswith("for want of time")


def test_training_under_rounding_keeps_pruned_weights_at_zero(chain: Trained) -> None:
    from nas.tf.quantization.aware import train_aware
    from nas.tf.quantization.calibration import observe, range_choices

    kernel, bias = chain.folded.weights[2]
    pruned = rescaled(chain.folded, {})
    mask = np.abs(kernel) < np.median(np.abs(kernel))
    pruned.weights[2] = (np.where(mask, np.float32(0), kernel), bias)
    ranges = range_choices(CHAIN, observe(pruned, chain.representative), fixed_input=True)["min/max"]
    schedule = replace(chain.schedule, steps=5)
    trained, _ = train_aware(pruned, ranges, chain.data, schedule, rng=np.random.default_rng(0))
    after = trained.weights[2][0]
    assert not after[mask].any()
    assert (after[~mask] != kernel[~mask]).any()
    assert (trained.weights[1][0] != pruned.weights[1][0]).any(), "depthwise kernels are trained too"


@pytest.mark.parametrize("name", list_spaces())
def test_folding_and_equalizing_keep_the_function_and_ranges_the_graph(name: str) -> None:
    from nas.tf.build import build
    from nas.tf.convert import calibrate
    from nas.tf.quantization.calibration import observe, range_choices
    from nas.tf.quantization.cures import equalized
    from nas.tf.quantization.folded import fold, predict
    from nas.tf.twins import random_specs, randomize

    spec = next(iter(random_specs(name, count=1, seed=5, max_macs=300_000)))
    model = build(spec)
    randomize(model, 0)
    examples = np.random.default_rng(0).normal(size=(8, *spec.input_shape)).astype(np.float32)
    wanted = predict(model, examples)
    folded = fold(model, spec)
    seen = observe(folded, examples)
    for same in (folded, equalized(folded, seen)):
        np.testing.assert_allclose(predict(same.model(), examples), wanted, atol=1e-4 * np.abs(wanted).max())
    calibrated = calibrate(equalized(folded, seen).model(), examples)
    for ranges in range_choices(spec, seen, fixed_input=False).values():
        assert read_graph(calibrated.quantize(ranges)) == lower(spec)


def test_corrected_biases_take_back_the_mean_error_of_rounded_weights() -> None:
    from nas.tf.quantization.calibration import observe
    from nas.tf.quantization.cures import bias_corrected, quantized_kernel
    from nas.tf.quantization.folded import Folded

    spec = ArchSpec(input_shape=(6,), layers=(Dense(inputs=(INPUT,), units=3, activation="NONE"),))
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(6, 3)).astype(np.float32)
    folded = Folded(spec, {0: (kernel, np.zeros(3, np.float32))})
    inputs = rng.normal(2, 1, size=(64, 6)).astype(np.float32)
    _, bias = bias_corrected(folded, observe(folded, inputs)).weights[0]
    rounded = inputs @ quantized_kernel(kernel, spec.layers[0]) + bias
    np.testing.assert_allclose(rounded.mean(0), (inputs @ kernel).mean(0), atol=1e-5)


def test_how_far_int8_may_fall_behind_is_points_of_a_share_and_a_part_of_an_error() -> None:
    from nas.tf.quantization.ladder import least_gap

    assert least_gap(0.9, 10_000, numbers=False) == least_gap(0.99, 10_000, numbers=False) == 0.005
    assert least_gap(0.9, 100, numbers=False) == 0.02
    assert least_gap(0.99, 10_000, numbers=True) == pytest.approx(0.0005)
    assert least_gap(-1.0, 10_000, numbers=True) == pytest.approx(0.1)
    assert least_gap(1.0, 10, numbers=True) == 0.0
