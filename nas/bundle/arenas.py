"""Arenas for builds whose structs are wider than those that the exact figure is for."""

from __future__ import annotations


def loose_arena(exact_bytes: int, *, operators: int, graphs: int) -> int:
    """An arena that does for 32-bit TFLM built without TF_LITE_STATIC_MEMORY.

    Source: there NodeAndRegistration has 44 B instead of 32 B, one for each operator, and TfLiteTensor 64 B
        instead of 32 B, one for the input and one for the output of a graph (sizeof in 90b983c2).
    """
    return -(-(exact_bytes + 12 * operators + 64 * graphs) // 16) * 16


def host_arena(exact_bytes: int, *, tensors: int, operators: int) -> int:
    """An arena that does for 64-bit builds, whose structs are wider.

    Source: 64-bit TFLM needs about 12 B per tensor, 47 B per operator and 200 B more (measured); doubled here.
    """
    wider = exact_bytes + 24 * tensors + 96 * operators + 2048
    return -(-wider // 1024) * 1024
