"""Structured pruning as a pure function of the spec: which channels are tied, and the narrower network.

A channel group is a set of channels that can only go together: those that a convolution or dense layer makes,
joined with what an Add sums them with; depthwise convolutions, pooling and Flatten carry their input's groups on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from search_spaces.arch import ArchSpec
from search_spaces.layers import INPUT, Add, Concat, Conv, Dense, DepthwiseConv, Flatten

MULTIPLE = 4
"""CMSIS-NN's inner loops take four channels at a time: a narrower width in between saves little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A run of a layer's channels that belongs to one group.

    Channel `c` of the group stands at `c * repeat ... + repeat - 1` (a depthwise multiplier); the whole run
    occurs `tile` times over (a flattened map of `tile` positions).
    """

    group: int
    repeat: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGroup:
    """Channels that are pruned together.

    Attributes:
        width: Number of channels.
        producers: The Conv and Dense layers whose outputs they are; empty for the model's input.
        prunable: False for the model's input and for what the model puts out.
    """

    width: int
    producers: tuple[int, ...]
    prunable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The channel groups of a spec.

    Attributes:
        groups: The groups, in order of their first producer; the model's input comes first.
        spans: For each layer, the groups that its output channels belong to, in order.
        tiles: For each layer, how often its channels recur along the last axis (1, but for Flatten).
    """

    groups: tuple[ChannelGroup, ...]
    spans: tuple[tuple[Span, ...], ...]
    tiles: tuple[int, ...]

    def kept(self, keep: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
        """Indices along each layer's last axis that stay, given the channels of each group that stay.

        Slicing weights is then the same for every layer: a convolution's kernel keeps `[:, :, kept[input], kept[i]]`
        (all of the input's channels where the input is `INPUT`), a dense kernel `[kept[input], kept[i]]`,
        a depthwise kernel `[:, :, kept[input], :]`, and biases and batch norm keep `[kept[i]]`.
        """
        result = []
        for spans, tiles in zip(self.spans, self.tiles, strict=True):
            row: list[int] = []
            start = 0
            for span in spans:
                repeat = span.repeat
                for channel in keep[span.group]:
                    first = start + channel * repeat
                    row.extend(range(first, first + repeat))
                start += self.groups[span.group].width * repeat
            result.append(tuple(tile * start + one for tile in range(tiles) for one in row))
        return tuple(result)


def channel_groups(spec: ArchSpec) -> Channels:
    """Find which channels of `spec` are tied together."""
    parents = [0]
    widths = [spec.input_shape[-1]]
    producers: list[list[int]] = [[]]
    fixed = {0}

    def root(group: int) -> int:
        while parents[group] != group:
            group = parents[group]
        return group

    spans: list[tuple[tuple[int, int], ...]] = []
    tiles: list[int] = []
    for index, layer in enumerate(spec.layers):
        source = layer.inputs[0]
        carried = spans[source] if source != INPUT else ((0, 1),)
        tile = tiles[source] if source != INPUT else 1
        if isinstance(layer, (Conv, Dense)):
            parents.append(len(parents))
            widths.append(layer.filters if isinstance(layer, Conv) else layer.units)
            producers.append([index])
            carried, tile = ((len(parents) - 1, 1),), 1
        elif isinstance(layer, DepthwiseConv):
            carried = tuple((group, repeat * layer.multiplier) for group, repeat in carried)
        elif isinstance(layer, Concat):
            carried = tuple(
                span for item in layer.inputs for span in (spans[item] if item != INPUT else ((0, 1),))
            )
        elif isinstance(layer, Flatten):
            height, width, _ = spec.shape_of(source)
            tile = height * width
        elif isinstance(layer, Add):
            second = layer.inputs[1]
            other = spans[second] if second != INPUT else ((0, 1),)
            if [(widths[group], repeat) for group, repeat in carried] == [
                (widths[group], repeat) for group, repeat in other
            ]:
                for (span, _), (two, _) in zip(carried, other, strict=True):
                    first, last = sorted((root(span), root(two)))
                    parents[last] = first
            else:  # parts that do not line up: too rare to be worth cutting into common pieces
                fixed.update(group for group, _ in (*carried, *other))
        spans.append(carried)
        tiles.append(tile)
    fixed.update(group for group, _ in spans[-1])

    roots = sorted({root(group) for group in range(len(parents))})
    number = {group: position for position, group in enumerate(roots)}
    members: list[list[int]] = [[] for _ in roots]
    for group, made_by in enumerate(producers):
        members[number[root(group)]].extend(made_by)
    held = {root(group) for group in fixed}
    return Channels(
        groups=tuple(
            ChannelGroup(width=widths[group], producers=tuple(sorted(made_by)), prunable=group not in held)
            for group, made_by in zip(roots, members, strict=True)
        ),
        spans=tuple(
            tuple(Span(group=number[root(group)], repeat=repeat) for group, repeat in row) for row in spans
        ),
        tiles=tuple(tiles),
    )


def narrowed_width(width: int, ratio: float) -> int:
    """The width left when `ratio` of the channels go: a multiple of `MULTIPLE`, at least one of them."""
    kept = int(width * (1.0 - ratio) / MULTIPLE + 0.5) * MULTIPLE  # not round(): it takes halves to even
    return min(width, max(MULTIPLE, kept))


def pruned(spec: ArchSpec, ratio: float) -> ArchSpec:
    """The network that is left when `ratio` of each prunable group's channels go.

    The input and the output keep their widths, tied layers stay equally wide, widths stay multiples of four.
    What this network costs is what the search judges, before a weight of the wide one is trained.

    Raises:
        ValueError: The ratio is not in [0, 1).
    """
    if not 0.0 <= ratio < 1.0:
        raise ValueError(f"the prune ratio is {ratio}, it must be at least 0 and below 1")
    if ratio == 0.0:
        return spec
    layers = list(spec.layers)
    for group in channel_groups(spec).groups:
        if not group.prunable:
            continue
        width = narrowed_width(group.width, ratio)
        for index in group.producers:
            layer = layers[index]
            if isinstance(layer, Conv):
                layers[index] = dataclasses.replace(layer, filters=width)
            elif isinstance(layer, Dense):
                layers[index] = dataclasses.replace(layer, units=width)
    return ArchSpec(input_shape=spec.input_shape, layers=tuple(layers))
