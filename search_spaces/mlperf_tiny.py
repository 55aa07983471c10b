"""The networks of MLPerf Tiny: a space of their own to compare with, and points to start a search from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cost_models.errors import UserError, did_you_mean
from search_spaces.arch import ArchSpec, Sketch
from search_spaces.axes import along, as_map
from search_spaces.choices import Choices
from search_spaces.layers import INPUT, Add, Conv, Dense, DepthwiseConv, GlobalAveragePool, Shape
from search_spaces.space import Suggest, candidate, load_space

SPACE_NAME = "search_spaces.mlperf_tiny"


def _ds_cnn(net: Sketch) -> int:
    """Keyword spotting: four depthwise-separable blocks of 64 channels behind a convolution of 10 x 4."""
    x = _conv(net, INPUT, 64, kernel=(10, 4), stride=2)
    for _ in range(4):
        x = _separable(net, x, 64)
    return x


def _resnet8(net: Sketch) -> int:
    """Image classification: a residual block at each of 16, 32 and 64 channels."""
    x = _conv(net, INPUT, 16)
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        inner = _conv(net, x, filters, stride=stride)
        inner = _conv(net, inner, filters, activation=False)
        if stride > 1:
            height, breadth, _ = net.shape_of(x)
            x = net.add(
                Conv(
                    inputs=(x,),
                    filters=filters,
                    kernel=(1, 1),
                    strides=along(height, breadth, stride),
                    activation="NONE",
                    batch_norm=False,
                )
            )
        x = net.add(Add(inputs=(inner, x), activation="RELU"))
    return x


def _mobilenet(net: Sketch) -> int:
    """Visual wake words: MobileNetV1 at a quarter of its width."""
    x = _conv(net, INPUT, 8, stride=2)
    for filters, stride in (
        (16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1),
    ):  # fmt: skip
        x = _separable(net, x, filters, stride=stride)
    return x


_NETWORKS: Mapping[str, Callable[[Sketch], int]] = MappingProxyType(
    {"ds_cnn_kws": _ds_cnn, "resnet8": _resnet8, "mobilenet_v1_025": _mobilenet}
)

# The same network in a fitting space, or its nearest member there: ds_cnn's first kernels are square (7 x 7 here).
_MEMBERS: Mapping[tuple[str, str], Mapping[str, Any]] = MappingProxyType(
    {
        ("ds_cnn", "ds_cnn_kws"): {
            "stem_stride_log2": 1, "stem_kernel": 7, "stem_width": 64,
            "width_1": 64, "blocks_1": 3, "kernel_1": 3, "halve_1": False,
            "width_2": 64, "blocks_2": 1, "kernel_2": 3, "halve_2": False,
            "width_3": 64, "blocks_3": 0, "kernel_3": 3, "halve_3": False,
            "head": "average", "prune_ratio": 0.0,
        },
        ("resnet", "resnet8"): {
            "stem_stride_log2": 0, "stem_kernel": 3, "stem_width": 16,
            "width_1": 16, "blocks_1": 1, "halve_1": False,
            "width_2": 32, "blocks_2": 1, "halve_2": True,
            "width_3": 64, "blocks_3": 1, "halve_3": True,
            "prune_ratio": 0.0,
        },
        ("autoencoder", "fc_autoencoder"): {
            "layers": 4, "units_1": 128, "units_2": 128, "units_3": 128, "units_4": 128, "narrow": 8,
            "prune_ratio": 0.0,
        },
        **{(SPACE_NAME, name): {"network": name, "prune_ratio": 0.0} for name in _NETWORKS},
    }
)  # fmt: skip


_NAMES = tuple(dict.fromkeys(name for _, name in _MEMBERS))


class _Checked(Choices):
    """Known choices, refused where the space does not have them for an input."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        value = super().suggest_int(name, low, high, step=step, log=log)
        if not low <= value <= high:
            raise UserError(
                f"The reference network has {name} = {value}; for this input the space has {low} to {high}.",
                f"Leave --start out, or take --space {SPACE_NAME}.",
            )
        return value


def starting_point(name: str, space: str, *, input_shape: Shape, classes: int) -> dict[str, Any]:
    """The choices that name a reference network in a space.

    Args:
        name: "ds_cnn_kws", "resnet8", "mobilenet_v1_025" or "fc_autoencoder".
        space: Name of the search space.
        input_shape: Of one example, as the task has it.
        classes: Number of outputs.

    Raises:
        UserError: There is no such network, or it is not a member of the space for this input.
    """
    check_start(name, space)
    choices = _Checked(_MEMBERS[space, name])
    candidate(load_space(space), choices, input_shape=input_shape, classes=classes)
    return choices.params


def check_start(name: str, space: str) -> None:
    """Finds out early whether `--start` can be meant.

    Raises:
        UserError: There is no such network, or it is not a member of the space.
    """
    if name not in _NAMES:
        raise UserError(f"There is no reference network {name!r} to start from.", did_you_mean(name, _NAMES))
    if (space, name) not in _MEMBERS:
        homes = " or ".join(f"--space {home}" for home, own in _MEMBERS if own == name)
        raise UserError(f"The reference network {name} is not in the search space {space}.", f"Take {homes}.")


@dataclass(frozen=True, slots=True)
class MlperfTiny:
    """The classifiers of MLPerf Tiny, layer by layer, with logits in place of a softmax.

    Each takes any image or signal; on its own input (49 x 10 x 1, 32 x 32 x 3, 96 x 96 x 3) it is the benchmark's.

    Source: C. Banbury et al., MLPerf Tiny Benchmark, arXiv:2106.07597; mlcommons/tiny, benchmark/training.
    """

    name: str = SPACE_NAME

    def build(self, trial: Suggest, *, input_shape: Shape, classes: int) -> ArchSpec:
        net = Sketch(as_map(input_shape))
        x = _NETWORKS[trial.suggest_categorical("network", tuple(_NETWORKS))](net)
        x = net.add(GlobalAveragePool(inputs=(x,)))
        net.add(Dense(inputs=(x,), units=classes, activation="NONE"))
        return net.spec()


def _conv(
    net: Sketch,
    source: int,
    filters: int,
    *,
    kernel: tuple[int, int] = (3, 3),
    stride: int = 1,
    activation: bool = True,
) -> int:
    height, breadth, _ = net.shape_of(source)
    return net.add(
        Conv(
            inputs=(source,),
            filters=filters,
            kernel=(kernel[0] if height > 1 else 1, kernel[1] if breadth > 1 else 1),
            strides=along(height, breadth, stride),
            activation="RELU" if activation else "NONE",
        )
    )


def _separable(net: Sketch, source: int, filters: int, *, stride: int = 1) -> int:
    height, breadth, _ = net.shape_of(source)
    x = net.add(DepthwiseConv(inputs=(source,), kernel=along(height, breadth, 3), strides=(stride, stride)))
    return net.add(Conv(inputs=(x,), filters=filters, kernel=(1, 1)))


SPACE = MlperfTiny()
