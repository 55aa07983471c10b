"""The graph lowered from a spec is the graph read back from its converted model, in every field."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from search_spaces.arch import ArchSpec
from search_spaces.layers import (
    Add,
    AveragePool,
    Concat,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerActivation,
    MaxPool,
    Softmax,
)
from search_spaces.lower import lower
from search_spaces.space import list_spaces

pytestmark = pytest.mark.slow

NETWORKS_A_SPACE = 6


def conv(
    source: int, filters: int = 8, size: int = 3, activation: LayerActivation = "RELU", **more: Any
) -> Conv:
    return Conv(inputs=(source,), filters=filters, kernel=(size, size), activation=activation, **more)


def dense(source: int, units: int = 10, activation: LayerActivation = "NONE") -> Dense:
    return Dense(inputs=(source,), units=units, activation=activation)


def average(source: int) -> GlobalAveragePool:
    return GlobalAveragePool(inputs=(source,))


def flat(source: int) -> Flatten:
    return Flatten(inputs=(source,))


def same_pool(source: int) -> MaxPool:
    return MaxPool(inputs=(source,), kernel=(3, 3), strides=(1, 1), padding="SAME")


WHOLE: dict[str, Any] = {"size": 8, "padding": "VALID"}

NETWORKS: dict[str, tuple[tuple[int, ...], tuple[Layer, ...]]] = {
    "flattened map": ((8, 8, 1), (conv(-1), flat(0), dense(1))),
    "flattened place of one": ((8, 8, 1), (conv(-1, **WHOLE), flat(0), dense(1))),
    "flattened pool": (
        (8, 8, 1),
        (conv(-1), MaxPool(inputs=(0,), kernel=(8, 8), strides=(8, 8)), flat(1), dense(2)),
    ),
    "flattened input": ((8, 8, 1), (flat(-1), dense(0, 16, "RELU"), dense(1))),
    "average of one place": ((8, 8, 1), (conv(-1, **WHOLE), average(0), dense(1))),
    "average as output": ((8, 8, 1), (conv(-1), average(0))),
    "average into softmax": ((8, 8, 1), (conv(-1), average(0), Softmax(inputs=(1,)))),
    "average read by a dense layer and a sum": (
        (8, 8, 1),
        (conv(-1), average(0), dense(1, 8, "RELU"), Add(inputs=(1, 2)), dense(3)),
    ),
    "joined vectors": (
        (8, 8, 1),
        (conv(-1), average(0), dense(1, 8, "RELU"), Concat(inputs=(1, 2)), dense(3)),
    ),
    "averages of two branches": (
        (8, 8, 1),
        (conv(-1), conv(0), conv(0, strides=(2, 2)), average(1), average(2), Concat(inputs=(3, 4)), dense(5)),
    ),
    "dense layers": ((64,), (dense(-1, 32), dense(0, 16, "RELU6"), dense(1, 1), Softmax(inputs=(2,)))),
    "convolution on one place": (
        (8, 8, 1),
        (conv(-1, **WHOLE), conv(0, 12), conv(1, 12, 1), average(2), dense(3)),
    ),
    "biases instead of batch norm": (
        (8, 8, 1),
        (
            conv(-1, batch_norm=False),
            DepthwiseConv(inputs=(0,), batch_norm=False, activation="NONE"),
            conv(1, batch_norm=False, activation="RELU6", strides=(2, 2)),
            average(2),
            dense(3),
        ),
    ),
    "no activation": (
        (8, 8, 1),
        (conv(-1, activation="NONE"), conv(0, activation="NONE", strides=(2, 2)), flat(1), dense(2)),
    ),
    "dilation": (
        (32, 4, 3),
        (conv(-1, dilation=(2, 1)), conv(0, dilation=(4, 1), padding="VALID"), average(1), dense(2)),
    ),
    "depthwise with multiplier": (
        (8, 8, 3),
        (DepthwiseConv(inputs=(-1,), multiplier=4), conv(0, 12), average(1), dense(2)),
    ),
    "depthwise of one channel": ((8, 8, 1), (DepthwiseConv(inputs=(-1,)), conv(0, 12), average(1), dense(2))),
    "one filter": ((8, 8, 4), (conv(-1, 1), conv(0, 1), average(1), dense(2, 1))),
    "valid padding": (
        (9, 9, 1),
        (
            conv(-1, padding="VALID"),
            conv(0, padding="VALID", strides=(2, 2)),
            DepthwiseConv(inputs=(1,), padding="VALID"),
            average(2),
            dense(3),
        ),
    ),
    "pools of odd maps": (
        (28, 27, 1),
        (
            conv(-1),
            AveragePool(inputs=(0,), padding="SAME"),
            MaxPool(inputs=(1,), kernel=(3, 2), strides=(2, 1)),
            MaxPool(inputs=(2,), kernel=(1, 1), strides=(1, 1)),
            average(3),
            dense(4),
        ),
    ),
    "pooled input": ((8, 8, 1), (AveragePool(inputs=(-1,)), conv(0), average(1), dense(2))),
    "sum, its inputs in either order": (
        (8, 8, 1),
        (
            conv(-1),
            conv(0, activation="NONE"),
            Add(inputs=(1, 0), activation="RELU"),
            conv(2, activation="NONE"),
            Add(inputs=(2, 3), activation="RELU6"),
            average(4),
            dense(5),
        ),
    ),
    "shortcut drawn last": (
        (8, 8, 1),
        (
            conv(-1),
            conv(0, 12, strides=(2, 2)),
            conv(1, 12, activation="NONE"),
            conv(0, 12, 1, strides=(2, 2), activation="NONE"),
            Add(inputs=(2, 3), activation="RELU"),
            average(4),
            dense(5),
        ),
    ),
    "shortcut drawn first": (
        (8, 8, 1),
        (
            conv(-1),
            conv(0, 12, 1, strides=(2, 2), activation="NONE"),
            conv(0, 12, strides=(2, 2)),
            conv(2, 12, activation="NONE"),
            Add(inputs=(1, 3), activation="RELU"),
            average(4),
            dense(5),
        ),
    ),
    "sum with the input": (
        (8, 8, 4),
        (conv(-1, 4, activation="NONE"), Add(inputs=(-1, 0)), average(1), dense(2)),
    ),
    "joins in a row": (
        (8, 8, 1),
        (
            conv(-1),
            conv(0),
            Concat(inputs=(0, 1)),
            conv(2),
            Concat(inputs=(2, 3)),
            average(4),
            dense(5),
        ),
    ),
    "pool drawn after the convolutions beside it": (
        (8, 8, 1),
        (
            conv(-1),
            conv(0, 4, 1),
            conv(0, 8),
            conv(2, 8),
            same_pool(0),
            Concat(inputs=(1, 3, 4)),
            conv(5),
            average(6),
            dense(7),
        ),
    ),
    "pools beside each other": (
        (8, 8, 1),
        (
            conv(-1),
            conv(0, strides=(2, 2)),
            MaxPool(inputs=(0,)),
            AveragePool(inputs=(0,)),
            Add(inputs=(1, 2)),
            Add(inputs=(4, 3)),
            conv(5),
            average(6),
            dense(7),
        ),
    ),
    "more than ten layers in two branches": (
        (8, 8, 1),
        (
            conv(-1),
            *(conv(index) for index in range(6)),
            *(conv(index) for index in (0, 7, 8, 9)),
            same_pool(0),
            Concat(inputs=(6, 10, 11)),
            average(12),
            dense(13),
        ),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_lowered_graph_is_the_converted_graph(name: str) -> None:
    from nas.tf.twins import difference

    input_shape, layers = NETWORKS[name]
    assert difference(ArchSpec(input_shape=input_shape, layers=layers)) is None


@pytest.mark.parametrize("name", list_spaces())
def test_the_lowered_graph_is_the_converted_graph_for_random_networks(name: str) -> None:
    from nas.tf.twins import difference, random_specs

    for number, spec in enumerate(random_specs(name, count=NETWORKS_A_SPACE, seed=11)):
        assert difference(spec, seed=number) is None


def test_a_difference_is_seen() -> None:
    from nas.tf.twins import first_difference

    layers = (conv(-1), average(0), dense(1))
    one = lower(ArchSpec(input_shape=(8, 8, 1), layers=layers))
    other = lower(ArchSpec(input_shape=(8, 8, 1), layers=(conv(-1, strides=(2, 2)), *layers[1:])))
    assert first_difference(one, one) is None
    found = first_difference(one, other)
    assert found is not None
    assert found.startswith("operator 0\n  predicted Operator(kind='CONV_2D'")


def test_the_script_counts_what_it_compared() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nas.tf.twins", "--n", "2", "--space", "mlp"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "mlp: 2 networks compared\n"
