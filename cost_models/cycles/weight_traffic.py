"""Weight bytes that each trip of a kernel loop fetches, which slow flash makes expensive."""

from __future__ import annotations

from cost_models.cycles import esp_nn_c, espressif
from cost_models.cycles.paths import FEATURES

# Weights lie in flash and each trip reads them again: a 2x2 tile step of 16 columns reads 2 x 16 bytes.
_PRODUCT = {
    "pairs*depth": 2.0,
    "tiles*blocks16": 32.0,
    "tiles*blocks4": 8.0,
    "tiles*rest": 2.0,
    "tiles*depth": 2.0,
    "odd_rows*blocks16": 32.0,
    "odd_rows*blocks4": 8.0,
    "odd_rows*rest": 2.0,
    "odd_rows*depth": 2.0,
    "odd_channel*rows*depth": 1.0,
}
_VECTORS = {"tiles*vectors": 16.0, "singles*vectors": 16.0}
_IM2COL = {
    "tiles*blocks4": 8.0,
    "tiles*rest": 2.0,
    "tiles*depth": 2.0,
    "odd_channel*blocks4": 4.0,
    "odd_channel*rest": 1.0,
    "odd_channel*depth": 1.0,
    "left_over*blocks4": 4.0,
    "left_over*rest": 1.0,
    "left_over*depth": 1.0,
}
_DENSE = {
    "pairs*blocks16": 32.0,
    "pairs*(blocks4=1)": 8.0,
    "pairs*(blocks4=2)": 16.0,
    "pairs*(blocks4=3)": 24.0,
    "pairs*(rest=1)": 2.0,
    "pairs*(rest=2)": 4.0,
    "pairs*(rest=3)": 6.0,
    "odd_channel*blocks16": 16.0,
    "odd_channel*(blocks4=1)": 4.0,
    "odd_channel*(blocks4=2)": 8.0,
    "odd_channel*(blocks4=3)": 12.0,
    "odd_channel*(rest=1)": 1.0,
    "odd_channel*(rest=2)": 2.0,
    "odd_channel*(rest=3)": 3.0,
    "triples*depth": 3.0,
    "singles*depth": 1.0,
    "quads*vectors": 64.0,
    "singles*vectors": 16.0,
}
_PAIRED = {
    "pairs*blocks4": 8.0,
    "pairs*rest": 2.0,
    "odd_channel*blocks4": 4.0,
    "odd_channel*rest": 1.0,
    "triples*depth": 3.0,
    "singles*depth": 1.0,
    "slow_products": 1.0,
    "macs": 1.0,
}


def _wide_product(columns: float) -> dict[str, float]:
    """A product of 16-bit activations whose inner loop takes that many columns a step."""
    bytes_of = {"blocks": columns, "rest": 1.0, "slow": 1.0}
    return {
        f"{tile}*{name}": rows * count
        for tile, rows in (("tiles", 2.0), ("odd_channel", 1.0), ("left_over", 1.0))
        for name, count in bytes_of.items()
    }


def _scattered(columns: dict[int, float]) -> dict[str, float]:
    """A transposed convolution that takes so many input channels a step, by output columns at once."""
    blocks = {f"taps*blocks_of_{at_once}": step for at_once, step in columns.items()}
    return {**blocks, **{f"taps*rest_of_{at_once}": 1.0 for at_once in columns}}


_DEPTHWISE_3X3 = {
    "quads*tap_rows": 4.0,
    "quads*left_taps": 4.0,
    "quads*right_taps": 4.0,
    "singles*tap_rows": 1.0,
    "singles*left_taps": 1.0,
    "singles*right_taps": 1.0,
}
_BYTES: dict[str, dict[str, float]] = {
    "conv_1x1_dsp": _PRODUCT,
    "conv_1x1_scalar": _PRODUCT,
    "conv_1x1_mve": _VECTORS,
    "conv_1_x_n_mve": _VECTORS,
    "conv_im2col_dsp": _IM2COL,
    "conv_im2col_scalar": _IM2COL,
    "conv_im2col_mve": _VECTORS,
    "conv_grouped_dsp": _IM2COL,
    "conv_grouped_scalar": _IM2COL,
    "dense_dsp": _DENSE,
    "dense_scalar": _DENSE,
    "dense_mve": _DENSE,
    "dense_tensor_dsp": _DENSE,
    "dense_tensor_scalar": _DENSE,
    "dense_tensor_mve": _DENSE,
    "depthwise_3x3_dsp": _DEPTHWISE_3X3,
    "depthwise_3x3_scalar": _DEPTHWISE_3X3,
    "depthwise_opt_dsp": {"quads*tap_pairs": 8.0, "quads*odd_tap": 4.0, "singles*taps": 1.0},
    "depthwise_opt_mve": {"quads*channels4*taps": 4.0, "left_over*channels4*taps": 4.0},
    "depthwise_generic": {"output_taps": 1.0},
    "depthwise_dilated": {"output_taps": 1.0},
    "depthwise_mult_4": {"tile_taps": 4.0},
    "reference_conv": {"macs_inside": 1.0},
    "reference_depthwise": {"taps_inside": 1.0},
    "reference_dense": {"macs": 1.0},
    "reference_dense_per_channel": {"macs": 1.0},
    "transpose_conv_direct_dsp": _scattered({4: 4.0, 2: 4.0, 1: 4.0}),
    "transpose_conv_direct_scalar": _scattered({4: 2.0, 2: 1.0, 1: 1.0}),
    **{f"transpose_conv_reference_{dtype}": {"products_inside": 1.0} for dtype in ("int8", "int16")},
    "transpose_conv_reference_float32": {"products_inside": 4.0},
    "batch_matmul_int8_constant_dsp": _DENSE,
    "batch_matmul_int8_constant_scalar": _DENSE,
    "svdf_int8_dsp": {**_DENSE, "filters*blocks": 4.0, "filters*rest": 1.0},
    "svdf_int8_scalar": {**_DENSE, "filters*blocks": 1.0},
    "svdf_int16_dsp": {**_PAIRED, "filters*blocks": 4.0, "filters*rest": 2.0},
    "svdf_int16_scalar": {**_PAIRED, "filters*blocks": 2.0},
    "svdf_reference_int8": {"filters*inputs": 1.0, "filters*memory": 1.0},
    "svdf_reference_int16": {"filters*inputs": 1.0, "filters*memory": 2.0},
    "svdf_reference_float32": {"filters*inputs": 4.0, "filters*memory": 4.0},
    **{f"lstm_{dtype}_{kind}": _PAIRED for dtype in ("int8", "int16") for kind in ("dsp", "scalar")},
    **{f"lstm_reference_{dtype}": {"macs": 1.0} for dtype in ("int8", "int16")},
    "lstm_reference_float32": {"macs": 4.0},
    **{f"conv_int16_{bias}dsp": _wide_product(4.0) for bias in ("", "bias32_")},
    **{f"conv_int16_{bias}scalar": _wide_product(1.0) for bias in ("", "bias32_")},
    "depthwise_int16": {"taps_inside": 1.0},
    "dense_int16_dsp": _PAIRED,
    "dense_int16_scalar": _PAIRED,
    **{
        f"{path}_{dtype}": {name: size}
        for path, name in (("conv", "macs_inside"), ("depthwise", "taps_inside"), ("dense", "macs"))
        for dtype, size in (("float32", 4.0), ("int16_reference", 1.0), ("int16_reference_bias32", 1.0))
    },
    **espressif.WEIGHT_BYTES,
    **esp_nn_c.WEIGHT_BYTES,
}


def weight_bytes_per_trip(path: str) -> tuple[float, ...]:
    """Weight bytes that one trip of each loop of a path fetches, in the order of `FEATURES[path]`."""
    known = _BYTES.get(path, {})
    return tuple(known.get(name, 0.0) for name in FEATURES[path])
