"""Weight bytes that each trip of a kernel loop fetches, which slow flash makes expensive."""

from __future__ import annotations

from cost_models.cycles import espressif
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
    **espressif.WEIGHT_BYTES,
}


def weight_bytes_per_trip(path: str) -> tuple[float, ...]:
    """Weight bytes that one trip of each loop of a path fetches, in the order of `FEATURES[path]`."""
    known = _BYTES.get(path, {})
    return tuple(known.get(name, 0.0) for name in FEATURES[path])
