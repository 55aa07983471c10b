"""The reference networks: the benchmark's own by their published figures, and members of the fitting spaces."""

from __future__ import annotations

import pytest

from cost_models.errors import UserError
from cost_models.graph import OpGraph
from search_spaces.choices import Choices
from search_spaces.lower import lower
from search_spaces.mlperf_tiny import SPACE, SPACE_NAME, starting_point
from search_spaces.space import candidate, load_space

INPUTS = {"ds_cnn_kws": ((49, 10, 1), 12), "resnet8": ((32, 32, 3), 10), "mobilenet_v1_025": ((96, 96, 3), 2)}
# Multiply-accumulates as the benchmark's paper rounds them: 2.66 M, 12.5 M and 7.49 M.
MACS = {"ds_cnn_kws": 2_656_768, "resnet8": 12_501_632, "mobilenet_v1_025": 7_489_664}


def graph(name: str, space: str) -> OpGraph:
    shape, classes = INPUTS[name]
    params = starting_point(name, space, input_shape=shape, classes=classes)
    return lower(candidate(load_space(space), Choices(params), input_shape=shape, classes=classes).narrow)


@pytest.mark.parametrize("name", INPUTS)
def test_a_reference_network_has_the_benchmarks_multiplications(name: str) -> None:
    assert graph(name, SPACE_NAME).macs == MACS[name]


def test_resnet8_is_the_very_same_in_its_space_and_ds_cnn_differs_in_its_first_kernel_alone() -> None:
    assert graph("resnet8", "resnet") == graph("resnet8", SPACE_NAME)
    near, own = graph("ds_cnn_kws", "ds_cnn"), graph("ds_cnn_kws", SPACE_NAME)
    assert near.operators[1:] == own.operators[1:]
    shapes = [[t.shape for t in one.tensors] for one in (near, own)]
    assert [pair for pair in zip(*shapes, strict=True) if pair[0] != pair[1]] == [
        ((64, 7, 7, 1), (64, 10, 4, 1))
    ]


def test_the_benchmarks_autoencoder_is_a_member_of_the_space_for_anomalies() -> None:
    shape = (128, 5)  # the benchmark's input: five frames of 128 bands
    params = starting_point("fc_autoencoder", "autoencoder", input_shape=shape, classes=640)
    arch = candidate(load_space("autoencoder"), Choices(params), input_shape=shape, classes=640).narrow
    # 640-128-128-128-128-8-128-128-128-128-640
    assert lower(arch).macs == 2 * (640 * 128 + 3 * 128 * 128 + 128 * 8)


def test_signals_and_small_pictures_have_these_networks_too() -> None:
    for shape in ((128, 6), (8, 8, 1)):
        for name in INPUTS:
            assert SPACE.build(Choices({"network": name}), input_shape=shape, classes=3).output_shape == (3,)


@pytest.mark.parametrize(
    ("name", "space", "shape", "text"),
    [
        ("resnet9", "resnet", (32, 32, 3), "There is no reference network 'resnet9' to start from"),
        (
            "mobilenet_v1_025",
            "mbv2",
            (96, 96, 3),
            "The reference network mobilenet_v1_025 is not in the search space mbv2",
        ),
        ("resnet8", "resnet", (4000, 1), "for this input the space has 1 to 4"),
    ],
)
def test_what_cannot_be_a_start_is_refused(name: str, space: str, shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(UserError, match=text):
        starting_point(name, space, input_shape=shape, classes=3)
