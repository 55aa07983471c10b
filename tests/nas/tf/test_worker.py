"""One trial for real: TensorFlow trains, tfmot prunes, the converter quantizes, TFLM and LiteRT answer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from cost_models.budget import parse_budget
from cost_models.costing import CostModel
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from nas.model.evaluation import Evaluated, Failed, Rejected, Request
from nas.model.optimism import unpacked
from nas.runtimes.litert import LiteRtModel
from nas.strategy.screening import Screen, network_digest
from nas.tasks import load_task
from nas.tasks.accuracy import measure_accuracy
from nas.tasks.dataset import Dataset
from search_spaces.choices import Choices
from search_spaces.lower import lower
from search_spaces.space import candidate, load_space

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_task("digits")


@pytest.fixture(scope="module")
def evaluator(digits: Dataset) -> Any:
    from nas.tf.worker import make_evaluator

    target = load_target("nrf52840")
    return make_evaluator(dataset=digits, target=target, budget=parse_budget("64KB", target))


def choices(ratio: float) -> dict[str, Any]:
    """A small network of the default space, pruned by `ratio`."""
    drawn = Choices(rng=np.random.default_rng(0))
    candidate(load_space("ds_cnn"), drawn, input_shape=(8, 8, 1), classes=10)
    small = {key: 8 for key in drawn.params if key.startswith("stem_width")}
    small |= {key: 1 for key in drawn.params if key.startswith("blocks_")}
    return drawn.params | small | {"prune_ratio": ratio}


def request(ratio: float = 0.0, **changes: Any) -> Request:
    base = Request(
        number=0, space="ds_cnn", params=choices(ratio), steps=150, full=False, seed=5, sparsity=0.0
    )
    return dataclasses.replace(base, **changes)


def test_masks_hide_a_stretch_of_frames_and_of_bands_behind_the_mean() -> None:
    from nas.tf.train import Schedule, _masks, hide

    masks = _masks(
        Schedule(steps=40, batch=16, peak_rate=0.1, masks=(3, 2)), (12, 8, 1), np.random.default_rng(0)
    )
    widths = masks[..., 1] - masks[..., 0]
    assert [sorted(set(widths[..., axis].ravel())) for axis in (0, 1)] == [[0, 1, 2, 3], [0, 1, 2]]
    assert masks.min() == 0
    assert masks.reshape(-1, 2, 2).max(axis=(0, 2)).tolist() == [12, 8]
    batch = np.random.default_rng(1).normal(size=(2, 12, 8, 1)).astype(np.float32)
    found = hide(batch, np.array([[[2, 5], [0, 0]], [[0, 0], [6, 8]]], np.int32)).numpy()
    expected = batch.copy()
    expected[0, 2:5], expected[1, :, 6:8] = batch[0].mean(), batch[1].mean()
    assert np.allclose(found, expected, atol=1e-6)


def test_a_tensor_shares_memory_that_is_only_read() -> None:
    from nas.tf.train import shared_tensor

    memory = np.zeros((1 << 20) + 4096, np.uint8)
    start = -memory.ctypes.data % 64
    aligned = memory[start : start + (1 << 20)].reshape(-1, 16)
    only_read = aligned.view()
    only_read.flags.writeable = False
    tensor = shared_tensor(only_read)
    aligned[3, 2] = 7
    assert tensor[3, 2].numpy() == 7
    odd = memory[start + 1 : start + 1 + (1 << 20)].reshape(-1, 16)
    assert (shared_tensor(odd)[:4].numpy() == odd[:4]).all(), "what TensorFlow cannot share is copied"


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_an_evaluation_learns_and_costs_what_the_screen_predicted(
    ratio: float, evaluator: Any, digits: Dataset
) -> None:
    asked = request(ratio, full=True)
    evaluation = evaluator(asked)
    assert isinstance(evaluation, Evaluated), evaluation
    assert evaluation.quantization is not None
    tried = {one.rung: one.metric for one in evaluation.quantization.tried}
    assert tried[evaluation.quantization.rung] == max(tried.values()) == evaluation.accuracy.objective
    proposed = candidate(load_space("ds_cnn"), Choices(asked.params), input_shape=(8, 8, 1), classes=10)
    assert read_graph(evaluation.tflite) == lower(proposed.narrow)
    target = load_target("nrf52840")
    screen = Screen(
        space=load_space("ds_cnn"),
        input_shape=(8, 8, 1),
        classes=10,
        model=CostModel(target),
        budget=parse_budget(None, target),
    )
    assert evaluation.costs == screen(Choices(asked.params)).costs
    assert evaluation.digest == network_digest(proposed)
    assert len(evaluation.curve) == 48
    assert evaluation.curve[-1] < evaluation.curve[0]
    assert evaluation.accuracy.value > 0.6
    assert evaluation.tflm_accuracy is not None
    assert abs(evaluation.tflm_accuracy.value - evaluation.accuracy.value) < 0.02
    by_tflm = measure_accuracy(evaluation.tflite, digits, "val", "tflm", by_sample=True)
    assert evaluation.tflm_accuracy == by_tflm


def test_the_same_request_gives_the_same_bytes_and_another_seed_others(evaluator: Any) -> None:
    asked = request(0.25, steps=30)
    one, two, other = evaluator(asked), evaluator(asked), evaluator(dataclasses.replace(asked, seed=6))
    assert one.tflite == two.tflite
    assert one.tflite != other.tflite


def without_nines_in_training(digits: Dataset) -> Dataset:
    """Class 9 is in the validation and test parts alone."""
    others = digits.labels["train"] != 9
    samples = digits.samples | {"train": digits.samples["train"][others]}
    labels = digits.labels | {"train": digits.labels["train"][others]}
    return dataclasses.replace(digits, samples=samples, labels=labels)


def test_a_training_on_all_samples_learns_from_validation_samples_too(digits: Dataset) -> None:
    from nas.tf.worker import make_evaluator

    target = load_target("nrf52840")
    without = without_nines_in_training(digits)
    evaluate = make_evaluator(dataset=without, target=target, budget=parse_budget("64KB", target))
    recognized = []
    for on_all in (False, True):
        evaluation = evaluate(request(on_all=on_all, full=on_all))
        assert isinstance(evaluation, Evaluated), evaluation
        confusion = measure_accuracy(evaluation.tflite, digits, "test", "litert").confusion
        recognized.append(confusion[9][9] / sum(confusion[9]))
        assert evaluation.tflm_accuracy is None, "nothing is measured on what was learned"
    assert recognized[0] == 0 < recognized[1]


def test_in_folds_each_sample_is_answered_by_a_network_that_was_trained_without_it(digits: Dataset) -> None:
    from nas.tf.worker import make_evaluator

    target = load_target("nrf52840")
    # Class 9 is in the validation part alone: folds have it in training too.
    without = without_nines_in_training(digits)
    labels = without.labels
    evaluate = make_evaluator(dataset=without, target=target, budget=parse_budget("64KB", target))
    single, folded = (evaluate(request(folds=folds, full=True)) for folds in (0, 3))
    assert isinstance(single, Evaluated)
    assert isinstance(folded, Evaluated)
    accuracy = folded.accuracy
    assert (accuracy.total, folded.tflm_accuracy) == (len(labels["train"]) + len(labels["val"]), None)
    counts = np.bincount(np.concatenate([labels["train"], labels["val"]]))
    assert [sum(row) for row in accuracy.confusion] == counts.tolist()
    assert single.accuracy.confusion[9][9] == 0 < accuracy.confusion[9][9]
    hits = unpacked(accuracy.hits, accuracy.total)
    assert hits is not None
    assert hits.sum() == accuracy.correct
    assert folded.seconds["train"] > 1.5 * single.seconds["train"]
    again = evaluate(request(folds=3, full=True))
    assert isinstance(again, Evaluated)
    assert again.accuracy == accuracy, "the same seed, the same answers"


def test_magnitude_pruning_zeroes_the_share_that_was_asked(evaluator: Any) -> None:
    evaluation = evaluator(request(sparsity=0.6, steps=60))
    dense = evaluator(request(steps=60))
    assert zero_share(evaluation.tflite) >= 0.55
    assert zero_share(dense.tflite) < 0.3
    assert evaluation.costs == dense.costs, "zeros are never counted as savings"


def zero_share(tflite: bytes) -> float:
    """Share of zeros among all weights of convolutions and dense layers."""
    interpreter = LiteRtModel(tflite)._interpreter
    interpreter.allocate_tensors()
    zeros = total = 0
    for detail in interpreter.get_tensor_details():
        if detail["dtype"] == np.int8 and len(detail["quantization_parameters"]["scales"]) >= 1:
            try:
                weights = interpreter.get_tensor(detail["index"])
            except ValueError:
                continue
            if weights.ndim in (2, 4) and weights.shape[0] != 1:
                zeros += int((weights == 0).sum())
                total += weights.size
    assert total > 0
    return zeros / total


def test_what_breaks_the_budget_comes_back_rejected_and_what_fails_names_its_stage(digits: Dataset) -> None:
    from nas.tf.worker import make_evaluator

    target = load_target("nrf52840")
    tight = make_evaluator(dataset=digits, target=target, budget=parse_budget("1KB", target))
    evaluation = tight(request(steps=2))
    assert isinstance(evaluation, Rejected)
    assert [v.resource for v in evaluation.violations] == ["sram"]
    poisoned = dataclasses.replace(digits, samples={**digits.samples, "val": digits.samples["val"][:, :3]})
    failed = make_evaluator(dataset=poisoned, target=target, budget=parse_budget(None, target))(
        request(steps=2)
    )
    assert isinstance(failed, Failed)
    assert failed.stage == "evaluate"


def test_channels_without_influence_are_the_ones_that_pruning_removes() -> None:
    from nas.tf.build import build, layer_name, norm_name
    from nas.tf.compression.channel_pruning import narrow_model
    from search_spaces.channels import channel_groups
    from search_spaces.layers import Conv, Dense
    from search_spaces.space import PRUNE_RATIOS

    rng = np.random.default_rng(1)
    for name in ("ds_cnn", "resnet", "mbv2"):
        drawn = Choices({"prune_ratio": PRUNE_RATIOS[-1]}, rng)
        proposed = candidate(load_space(name), drawn, input_shape=(8, 8, 1), classes=4)
        wide = build(proposed.wide, seed=3)
        for group in channel_groups(proposed.wide).groups:
            if not group.prunable:
                continue
            narrow_layer = proposed.narrow.layers[group.producers[0]]
            assert isinstance(narrow_layer, Conv | Dense)
            width = narrow_layer.filters if isinstance(narrow_layer, Conv) else narrow_layer.units
            gone = rng.permutation(group.width)[width:]
            for index in group.producers:
                layer = proposed.wide.layers[index]
                weights = wide.get_layer(layer_name(index)).get_weights()
                weights[0][..., gone] = 0
                wide.get_layer(layer_name(index)).set_weights(weights)
                assert isinstance(layer, Conv | Dense)
                if isinstance(layer, Conv) and layer.batch_norm:
                    norm = wide.get_layer(norm_name(index)).get_weights()
                    norm[1][gone] = 0
                    wide.get_layer(norm_name(index)).set_weights(norm)
        narrow = narrow_model(wide, proposed, seed=0)
        samples = rng.random((5, *proposed.wide.input_shape)).astype(np.float32)
        np.testing.assert_allclose(narrow(samples), wide(samples), atol=1e-5)


def test_ample_time_changes_nothing(evaluator: Any) -> None:
    free, limited = evaluator(request()), evaluator(request(train_seconds=10_000.0))
    assert isinstance(free, Evaluated)
    assert isinstance(limited, Evaluated)
    assert limited.cut_at is None
    assert limited.tflite == free.tflite


@pytest.mark.parametrize("changes", [{"ratio": 0.0}, {"ratio": 0.5}, {"sparsity": 0.5}])
def test_a_training_that_runs_out_of_time_is_measured_where_it_stands(
    changes: dict[str, Any], evaluator: Any
) -> None:
    ended = evaluator(request(steps=100_000, train_seconds=16.0, **changes))
    assert isinstance(ended, Evaluated)
    assert ended.cut_at is not None
    assert 50 < ended.cut_at < 100_000
    assert ended.accuracy.value > 0.5
    assert zero_share(ended.tflite) >= changes.get("sparsity", 0.0) - 0.05


def test_without_any_time_one_step_is_done(evaluator: Any) -> None:
    ended = evaluator(request(train_seconds=0.0))
    assert isinstance(ended, Evaluated)
    assert ended.cut_at == 1


def test_pictures_are_learned_by_networks_on_vectors_too(evaluator: Any) -> None:
    params = {"pool_log2": 0, "layers": 1, "units_1": 16, "units_2": 8, "units_3": 8, "prune_ratio": 0.0}
    ended = evaluator(request(space="mlp", params=params, steps=40))
    assert isinstance(ended, Evaluated), ended


def test_a_training_begins_with_given_weights_and_leaves_its_own(digits: Dataset, evaluator: Any) -> None:
    from nas.model.weights import FloatWeights
    from nas.tf.worker import make_evaluator

    trained = evaluator(request(full=True))
    assert isinstance(trained, Evaluated), trained
    assert trained.weights is not None
    source = FloatWeights.from_npz(trained.weights)
    target = load_target("nrf52840")
    begins = make_evaluator(dataset=digits, target=target, budget=parse_budget("64KB", target), init=source)
    short = request(steps=2)
    at_random, after = (begins(dataclasses.replace(short, init=init)) for init in (None, source.digest()))
    assert isinstance(at_random, Evaluated), at_random
    assert isinstance(after, Evaluated), after
    assert after.accuracy.value > at_random.accuracy.value + 0.3, "two steps alone teach next to nothing"
    assert after.weights is None, "of full trainings alone"
    again = begins(dataclasses.replace(short, init=source.digest()))
    assert isinstance(again, Evaluated), again
    assert again.tflite == after.tflite
    lacking = evaluator(dataclasses.replace(short, init=source.digest()))
    assert isinstance(lacking, Failed), lacking
    assert "are not here" in lacking.reason


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_weights_go_into_a_network_as_they_came_out_of_it(ratio: float) -> None:
    from nas.tf.build import build
    from nas.tf.weights import give, weights_of

    spec = candidate(load_space("ds_cnn"), Choices(choices(ratio)), input_shape=(8, 8, 1), classes=10).narrow
    source, other = build(spec, seed=1), build(spec, seed=2)
    source.set_weights([w + 1 for w in source.get_weights()])
    give(other, spec, weights_of(source, spec))
    for one, two in zip(source.get_weights(), other.get_weights(), strict=True):
        assert (one == two).all()
