from __future__ import annotations

import numpy as np
import optuna
import pytest

from search_spaces.arch import ArchSpec
from search_spaces.layers import Add, Conv, Dense, DepthwiseConv, Flatten
from search_spaces.space import candidate, list_spaces, load_space

pytestmark = pytest.mark.slow

SPEC = ArchSpec(
    input_shape=(8, 8, 1),
    layers=(
        Conv(inputs=(-1,), filters=8),
        DepthwiseConv(inputs=(0,), batch_norm=False),
        Add(inputs=(0, 1), activation="RELU6"),
        Flatten(inputs=(2,)),
        Dense(inputs=(3,), units=10, activation="NONE"),
    ),
)


@pytest.mark.parametrize("name", list_spaces())
@pytest.mark.parametrize("shape", [(8, 8, 1), (33, 20, 3), (65, 6)], ids=str)
def test_inferred_shapes_are_those_of_keras(name: str, shape: tuple[int, ...]) -> None:
    from nas.tf.build import build, layer_name

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=5))
    for _ in range(3):
        spec = candidate(load_space(name), study.ask(), input_shape=shape, classes=10).wide
        model = build(spec)
        assert model.input_shape == (None, *spec.input_shape)
        assert model.output_shape == (None, *spec.output_shape)
        for index, inferred in enumerate(spec.shapes):
            names = (f"{layer_name(index)}_flat", layer_name(index))
            layer = next(one for wanted in names for one in model.layers if one.name == wanted)
            assert layer.output_shape == (None, *inferred)


def test_weights_are_found_by_layer_index() -> None:
    from nas.tf.build import build, layer_name, norm_name

    model = build(SPEC)
    assert model.get_layer(layer_name(0)).kernel.shape == (3, 3, 1, 8)
    assert not model.get_layer(layer_name(0)).use_bias
    assert model.get_layer(norm_name(0)).gamma.shape == (8,)
    assert model.get_layer(layer_name(1)).depthwise_kernel.shape == (3, 3, 8, 1)
    assert model.get_layer(layer_name(1)).use_bias
    assert norm_name(1) not in [layer.name for layer in model.layers]
    assert model.get_layer(layer_name(4)).kernel.shape == (512, 10)


def test_the_seed_decides_the_initial_weights() -> None:
    from nas.tf.build import build

    first, again, other = (build(SPEC, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
