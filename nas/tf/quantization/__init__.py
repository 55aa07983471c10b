"""From a trained network to int8 bytes that lose as little as they can: the ladder, and the cures on its rungs."""

from __future__ import annotations

from nas.tf.quantization.ladder import Climb, climb, least_gap

__all__ = ["Climb", "climb", "least_gap"]
