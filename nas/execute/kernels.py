"""Which of TensorFlow's kernels for CPUs train quicker: its own or oneDNN's. A process decides once, on import."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

_CHOICE = "TF_ENABLE_ONEDNN_OPTS"


def kernel_variables(input_shape: Sequence[int]) -> dict[str, str]:
    """Environment variables for workers that train networks with such an input.

    TensorFlow takes oneDNN's kernels by itself on CPUs with AVX-512 alone. With AVX2 they train networks for pictures
    and spectra 1.3 times as fast, those with large kernels two to three times; and networks for signals a fifth slower,
    as each call of them costs more (docs/search.md, where the time goes). What the user has set stays.
    """
    pictures = len(input_shape) == 3 and min(input_shape[:2]) > 1
    if _CHOICE in os.environ or not pictures or platform.machine().lower() not in ("x86_64", "amd64"):
        return {}
    return {_CHOICE: "1"}
