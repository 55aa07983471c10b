"""Structured pruning on trained weights: channels that carry nothing can go, and nothing changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from search_spaces.arch import ArchSpec
from search_spaces.channels import Channels, channel_groups, pruned
from search_spaces.layers import Add, Concat, Conv, Dense, DepthwiseConv, Flatten, GlobalAveragePool
from search_spaces.lower import lower
from search_spaces.space import Candidate, list_spaces, load_space

pytestmark = pytest.mark.slow

TRICKY = ArchSpec(
    input_shape=(8, 8, 3),
    layers=(
        Conv(inputs=(-1,), filters=16),
        DepthwiseConv(inputs=(0,), multiplier=2, batch_norm=False),
        Conv(inputs=(1,), filters=16, activation="NONE", batch_norm=False),
        Add(inputs=(2, 0), activation="RELU"),
        Conv(inputs=(3,), filters=12, strides=(2, 2)),
        Conv(inputs=(3,), filters=20, strides=(2, 2)),
        Concat(inputs=(5, 4)),
        Flatten(inputs=(6,)),
        Dense(inputs=(7,), units=20),
        GlobalAveragePool(inputs=(6,)),
        Concat(inputs=(9, 8)),
        Dense(inputs=(10,), units=10, activation="NONE"),
    ),
)


def networks(name: str) -> list[ArchSpec]:
    if name == "tricky":
        return [TRICKY]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=7))
    specs: list[ArchSpec] = []
    while len(specs) < 2:
        spec = load_space(name).build(study.ask(), input_shape=(12, 12, 2), classes=5)
        if lower(spec).macs < 5_000_000:
            specs.append(spec)
    return specs


def silence(model: Any, spec: ArchSpec, channels: Channels, keep: list[tuple[int, ...]]) -> None:
    """Make every channel that is not kept carry zeros only."""
    from nas.tf.build import layer_name, norm_name

    kept = channels.kept(keep)
    for index, layer in enumerate(spec.layers):
        if not isinstance(layer, Conv | DepthwiseConv | Dense):
            continue
        gone = np.setdiff1d(np.arange(spec.shapes[index][-1]), kept[index])
        name = norm_name(index) if not isinstance(layer, Dense) and layer.batch_norm else layer_name(index)
        weights = model.get_layer(name).get_weights()
        for values in weights:
            if values.ndim == 1:
                values[gone] = 0.0  # batch norm's scale among them: what comes in does not matter
        if name == layer_name(index):
            kernel = weights[0]
            if isinstance(layer, DepthwiseConv):
                kernel.reshape(*kernel.shape[:2], -1)[..., gone] = 0.0
            else:
                kernel[..., gone] = 0.0
        model.get_layer(name).set_weights(weights)


@pytest.mark.parametrize("name", ["tricky", *list_spaces()])
def test_the_narrow_network_computes_what_the_wide_one_does_without_its_silent_channels(name: str) -> None:
    from nas.tf.build import build
    from nas.tf.compression.channel_pruning import narrow_model
    from nas.tf.twins import randomize

    generator = np.random.default_rng(3)
    for spec in networks(name):
        candidate = Candidate(wide=spec, prune_ratio=0.5, narrow=pruned(spec, 0.5))
        channels = channel_groups(spec)
        narrow_widths = [group.width for group in channel_groups(candidate.narrow).groups]
        assert narrow_widths != [group.width for group in channels.groups]
        keep = [
            tuple(sorted(int(one) for one in generator.permutation(group.width)[:width]))
            for group, width in zip(channels.groups, narrow_widths, strict=True)
        ]
        wide = build(spec)
        randomize(wide, 1)
        silence(wide, spec, channels, keep)
        narrow = narrow_model(wide, candidate, seed=0)
        examples = generator.normal(size=(8, *spec.input_shape)).astype(np.float32)
        wanted = np.asarray(wide(examples, training=False))
        got = np.asarray(narrow(examples, training=False))
        assert np.allclose(got, wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())
        assert np.std(wanted) > 0
