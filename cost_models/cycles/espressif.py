"""Espressif's chips: cycles of ESP-NN's kernels and TFLM's portable ones, from what was published of them.

Nobody counted instructions on Xtensa and of the ESP32-P4's vector kernels, so there are cycles without instructions.
The ESP32-C3's were counted (`esp_nn_c`): here are only its rates. Sources:

- espressif/esp-nn@d45b843c, README.md: ticks of single kernels and of their plain C on the ESP32-S3 and the ESP32-P4
  (`scripts/espressif_kernels.csv`), person detection with and without ESP-NN on four chips.
- avionicharshit-byte/mcufit-bench@88f8d23f: four networks on an ESP32 with ESP-NN (with the former in
  `scripts/espressif_models.csv`).
"""

from __future__ import annotations

from dataclasses import dataclass

from cost_models.cycles.rates import Basis, Rates
from cost_models.graph import Conv2DOptions, DepthwiseConv2DOptions, Operator, Pool2DOptions, Tensor

Trips = tuple[str, tuple[float, ...]]
Tensors = tuple[Tensor, ...]

_FEATURES = ("operator", "outputs", "products", "weights")
# Cycles per call, output and product (or pooled tap). The ESP32-S3's C stands for the generic sources, whose loops are
# those of the plain C, some unrolled. Two 1x1 convolutions give an output and a product each their own price. Other
# kernels have one row: where it cannot tell the two apart, a product has the price that it has in a 1x1 convolution.
_KERNELS: dict[str, tuple[float, float, float]] = {
    "esp_c_conv": (700.0, 161.8, 8.979),
    "esp_c_depthwise": (700.0, 0.0, 31.46),
    "esp_c_dense": (700.0, 75.0, 9.25),
    "esp_c_average_pool": (0.0, 0.0, 15.14),
    "esp_c_max_pool": (0.0, 0.0, 13.33),
    "esp_c_add": (0.0, 174.2, 0.0),
    "esp_c_mul": (0.0, 76.0, 0.0),
    "esp_c_softmax": (0.0, 59.4, 0.0),
    "esp_s3_conv_1x1": (700.0, 33.57, 0.2836),
    "esp_s3_conv_im2col": (700.0, 163.7, 0.2836),
    # No row: between the two above.
    "esp_s3_conv": (700.0, 74.0, 0.2836),
    "esp_s3_depthwise": (700.0, 3.0, 4.62),
    "esp_s3_dense": (700.0, 49.1, 0.2836),
    "esp_s3_average_pool": (0.0, 0.0, 4.18),
    "esp_s3_max_pool": (0.0, 0.0, 1.70),
    "esp_s3_add": (0.0, 46.1, 0.0),
    "esp_s3_mul": (0.0, 21.7, 0.0),
    "esp_s3_softmax": (0.0, 43.4, 0.0),
    "esp_p4_conv_1x1": (700.0, 62.8, 0.4171),
    "esp_p4_conv_im2col": (700.0, 123.0, 0.4171),
    "esp_p4_conv": (700.0, 88.0, 0.4171),
    "esp_p4_depthwise": (700.0, 0.0, 13.09),
    "esp_p4_depthwise_multiplied": (700.0, 0.0, 8.80),
    "esp_p4_dense": (500.0, 25.3, 0.4171),
    "esp_p4_average_pool": (0.0, 0.0, 2.99),
    "esp_p4_max_pool": (0.0, 0.0, 0.857),
    "esp_p4_add": (0.0, 54.8, 0.0),
    "esp_p4_mul": (0.0, 29.5, 0.0),
    "esp_p4_softmax": (0.0, 33.5, 0.0),
}
# Shapes that the vector kernels leave to plain C; the ESP32-P4's is 0.83 of the ESP32-S3's in the rows of both.
_PLAIN_C = {"esp_s3": 1.0, "esp_p4": 0.83}


def _prices() -> dict[str, tuple[float, ...]]:
    """Cycles per trip of every path, in the order of its features."""
    prices: dict[str, tuple[float, ...]] = {
        path: (call, output, product, 0.0) for path, (call, output, product) in _KERNELS.items()
    }
    for isa, ratio in _PLAIN_C.items():
        for name in ("conv", "depthwise"):
            prices[f"{isa}_{name}_c"] = tuple(ratio * price for price in prices[f"esp_c_{name}"])
    return prices


PRICES = _prices()
FEATURES: dict[str, tuple[str, ...]] = dict.fromkeys(PRICES, _FEATURES)
WEIGHT_BYTES: dict[str, dict[str, float]] = {path: {"weights": 1.0} for path in PRICES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """The facts about a core that come from whole networks.

    Attributes:
        name: The chip.
        scale: Cycles with ESP-NN to those of the table above; of counted instructions, to their ideal cycles.
        portable: Cycles of TFLM's portable kernels to the ideal cycles that a Cortex-M4 takes for them (the core itself
            where they were counted on it), by person detection without ESP-NN.
        fetch: Cycles for a weight byte from external flash, once an inference.
        spread: Error that a network's operators share, as `Rates.spread_model`.
        source: What `scale` rests on.
        basis: What the cycles with ESP-NN are.
        portable_source: What `portable` rests on besides person detection.
    """

    name: str
    scale: float
    portable: float
    fetch: float
    spread: float
    source: str
    basis: Basis = "class"
    portable_source: str = ""


_README = "espressif/esp-nn@d45b843c: README.md"
_COREMARK = "409.25 at 160 MHz, espressif/idf-extra-components@f93327db"
CHIPS: dict[str, Chip] = {
    "xtensa-lx6": Chip(
        name="ESP32",
        scale=1.04,
        portable=7.67,
        fetch=30.0,
        spread=0.35,
        source=f"the ESP32-S3's plain C and four networks on ESP32s: {_README};"
        " avionicharshit-byte/mcufit-bench@88f8d23f",
    ),
    "xtensa-lx7": Chip(
        name="ESP32-S3",
        scale=1.0,
        portable=4.32,
        fetch=6.0,
        spread=0.25,
        source=f"single kernels on an ESP32-S3: {_README}",
    ),
    "riscv32": Chip(
        name="ESP32-C3",
        scale=1.0,
        # Person detection took 3.05 times what these counts say, by flags that are not stated (so on all four chips):
        # halfway between the two.
        portable=1.75,
        fetch=10.0,
        spread=0.3,
        source=f"counted instructions, each as long as in CoreMark: {_COREMARK}",
        basis="bound",
        portable_source=f"; CoreMark: {_COREMARK}",
    ),
    "riscv32-pie": Chip(
        name="ESP32-P4",
        scale=1.0,
        portable=3.93,
        fetch=6.0,
        spread=0.3,
        source=f"single kernels on an ESP32-P4: {_README}",
    ),
}
# One network tells nothing of how another does.
_PORTABLE_SPREAD = 0.4
# As the single kernels differ from what they cost in a network.
_OPERATOR_SPREAD = 0.3


def chip_rates(core: str, kernels: str) -> Rates | None:
    """The rates of one of Espressif's cores; None for other cores and libraries."""
    chip = CHIPS.get(core)
    if chip is None or kernels not in ("esp_nn", "reference"):
        return None
    portable = kernels == "reference"
    return Rates(
        scale=chip.portable if portable else chip.scale,
        cycles_per_weight_byte=0.0 if portable else chip.fetch,
        spread_model=_PORTABLE_SPREAD if portable else chip.spread,
        spread_operator=_OPERATOR_SPREAD,
        source=f"person detection without ESP-NN on an {chip.name}: {_README}{chip.portable_source}"
        if portable
        else chip.source,
        basis="class" if portable else chip.basis,
    )


def _trips(path: str, outputs: int, products: int, weights: int = 0) -> Trips:
    return path, (1, outputs, products, weights)


def conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_conv_s8`; TFLM's portable kernel where it is dilated."""
    options = op.options
    assert isinstance(options, Conv2DOptions)
    input_, filter_ = tensors[op.inputs[0]].shape, tensors[op.inputs[1]].shape
    output = tensors[op.outputs[0]]
    _, height, width, channels = filter_
    window = height * width * channels
    strides = options.stride_h, options.stride_w
    if isa == "esp_c":
        path = "esp_c_conv"
    elif channels != input_[3] or (options.dilation_h, options.dilation_w) != (1, 1):
        path = f"{isa}_conv_c"
    elif height == width == 1 and strides == (1, 1):
        path = f"{isa}_conv_1x1"
    elif window >= 16 > width * channels:
        path = f"{isa}_conv_im2col"
    else:
        path = f"{isa}_conv"
    return _trips(path, output.elements, output.elements * window, filter_[0] * window)


def depthwise_conv_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_depthwise_conv_s8`; TFLM's portable kernel where it is dilated."""
    options = op.options
    assert isinstance(options, DepthwiseConv2DOptions)
    _, height, width, channels = tensors[op.inputs[1]].shape
    outputs, taps = tensors[op.outputs[0]].elements, height * width
    inputs = tensors[op.inputs[0]].shape[3]
    path = f"{isa}_depthwise"
    if isa != "esp_c":
        multiplied = channels != inputs
        plain = (options.dilation_h, options.dilation_w) != (1, 1)
        if isa == "esp_s3":
            plain = plain or (channels // inputs % 4 != 0 if multiplied else inputs <= 3)
        else:
            plain = plain or (not multiplied and inputs < 16)
            path += "_multiplied" if multiplied else ""
        path = f"{isa}_depthwise_c" if plain else path
    return _trips(path, outputs, outputs * taps, taps * channels)


def fully_connected(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_fully_connected_s8`."""
    outputs, depth = tensors[op.outputs[0]].elements, tensors[op.inputs[1]].shape[-1]
    return _trips(f"{isa}_dense", outputs, outputs * depth, tensors[op.inputs[1]].elements)


def pool_2d(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_avg_pool_s8` and `esp_nn_max_pool_s8`; their plain C where channels are not a multiple of 4."""
    options = op.options
    assert isinstance(options, Pool2DOptions)
    output = tensors[op.outputs[0]]
    kind = "average_pool" if op.kind == "AVERAGE_POOL_2D" else "max_pool"
    taps = options.filter_h * options.filter_w
    return _trips(
        f"{isa if output.shape[3] % 4 == 0 else 'esp_c'}_{kind}", output.elements, output.elements * taps
    )


def elementwise(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_add_elementwise_s8` and `esp_nn_mul_elementwise_s8`, of equal shapes."""
    return _trips(f"{isa}_{op.kind.lower()}", tensors[op.outputs[0]].elements, 0)


def softmax(op: Operator, tensors: Tensors, isa: str) -> Trips:
    """`esp_nn_softmax_s8`."""
    return _trips(f"{isa}_softmax", tensors[op.inputs[0]].elements, 0)
