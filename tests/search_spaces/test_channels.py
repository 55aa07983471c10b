from __future__ import annotations

import pytest

from search_spaces.arch import ArchSpec
from search_spaces.channels import channel_groups, narrowed_width, pruned
from search_spaces.layers import Add, Concat, Conv, Dense, DepthwiseConv, Flatten, GlobalAveragePool, MaxPool


def residual() -> ArchSpec:
    return ArchSpec(
        input_shape=(8, 8, 3),
        layers=(
            Conv(inputs=(-1,), filters=16),
            DepthwiseConv(inputs=(0,), multiplier=2),
            Conv(inputs=(1,), filters=16, activation="NONE"),
            Add(inputs=(2, 0), activation="RELU"),
            Conv(inputs=(3,), filters=24),
            MaxPool(inputs=(3,), kernel=(3, 3), strides=(1, 1), padding="SAME"),
            Concat(inputs=(4, 5)),
            GlobalAveragePool(inputs=(6,)),
            Dense(inputs=(7,), units=20),
            Dense(inputs=(8,), units=10, activation="NONE"),
        ),
    )


def test_layers_tied_by_an_add_are_one_group() -> None:
    groups = channel_groups(residual()).groups
    assert [(group.width, group.producers, group.prunable) for group in groups] == [
        (3, (), False),
        (16, (0, 2), True),
        (24, (4,), True),
        (20, (8,), True),
        (10, (9,), False),
    ]


def test_kept_channels_follow_multipliers_and_joins() -> None:
    channels = channel_groups(residual())
    kept = channels.kept([(0, 1, 2), (1, 3), (0, 23), (5,), tuple(range(10))])
    assert kept[0] == kept[2] == kept[3] == kept[5] == (1, 3)
    assert kept[1] == (2, 3, 6, 7)
    assert kept[6] == kept[7] == (0, 23, 24 + 1, 24 + 3)
    assert kept[8] == (5,)
    assert kept[9] == tuple(range(10))


def test_kept_channels_recur_at_every_place_of_a_flattened_map() -> None:
    spec = ArchSpec(
        input_shape=(2, 1, 3),
        layers=(
            Conv(inputs=(-1,), filters=4),
            Flatten(inputs=(0,)),
            Dense(inputs=(1,), units=2, activation="NONE"),
        ),
    )
    kept = channel_groups(spec).kept([(0, 1, 2), (0, 3), (0, 1)])
    assert kept[1] == (0, 3, 4, 7)


def test_parts_that_do_not_line_up_are_left_alone() -> None:
    spec = ArchSpec(
        input_shape=(8, 8, 1),
        layers=(
            Conv(inputs=(-1,), filters=16),
            Conv(inputs=(0,), filters=8),
            Conv(inputs=(1,), filters=8),
            Concat(inputs=(1, 2)),
            Add(inputs=(0, 3)),
            GlobalAveragePool(inputs=(4,)),
            Dense(inputs=(5,), units=4, activation="NONE"),
        ),
    )
    assert pruned(spec, 0.5) == spec


def test_what_the_network_puts_out_keeps_its_width() -> None:
    spec = ArchSpec(
        input_shape=(8, 8, 8),
        layers=(Conv(inputs=(-1,), filters=8, activation="NONE"), Add(inputs=(-1, 0))),
    )
    assert pruned(spec, 0.5) == spec


def test_pruning_narrows_tied_layers_alike_and_spares_input_and_classes() -> None:
    narrow = pruned(residual(), 0.5)
    assert [shape[-1] for shape in narrow.shapes] == [8, 16, 8, 8, 12, 8, 20, 20, 12, 10]
    assert narrow.input_shape == residual().input_shape


def test_pruning_nothing_changes_nothing() -> None:
    assert pruned(residual(), 0.0) == residual()


@pytest.mark.parametrize(
    ("width", "ratio", "left"), [(16, 0.5, 8), (24, 0.25, 20), (4, 0.5, 4), (3, 0.5, 3), (100, 0.9, 8)]
)
def test_widths_stay_multiples_of_four(width: int, ratio: float, left: int) -> None:
    assert narrowed_width(width, ratio) == left


def test_a_ratio_out_of_range_is_refused() -> None:
    for ratio in (-0.1, 1.0):
        with pytest.raises(ValueError, match="at least 0 and below 1"):
            pruned(residual(), ratio)
