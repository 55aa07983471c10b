"""What people read of how a network came to int8."""

from __future__ import annotations

from nas.model.quantization import Quantization, TensorLoss, Tried, quantization_from_json, quantization_text

CURED = Quantization(
    rung="equalization",
    float_metric=0.95,
    tried=(Tried(rung="ptq", metric=0.7), Tried(rung="equalization", metric=0.94)),
    worst=(TensorLoss(layer=3, kind="Conv", tensor="activations", share=0.62),),
    left_out="quantization-aware training, for want of time",
)


def test_the_text_says_what_was_kept_tried_left_and_where_int8_loses() -> None:
    assert quantization_text(CURED.to_json()) == (
        "equalized channels: 94.0 % on validation data, float 95.0 %; also tried: post-training quantization 70.0 %;"
        " not tried: quantization-aware training, for want of time; most is lost by activations of layer 3 (Conv),"
        " 62 % of the error"
    )
    assert quantization_text(None) == ""


def test_the_account_reads_back_from_its_json() -> None:
    assert quantization_from_json(CURED.to_json()) == CURED
