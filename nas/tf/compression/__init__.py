"""Compression steps, one file each: a training goes through those that apply, in the order of `STEPS`."""

from __future__ import annotations

from nas.tf.compression.channel_pruning import ChannelPruning
from nas.tf.compression.step import CompressionStep, Training
from nas.tf.compression.weight_pruning import WeightPruning

STEPS: tuple[CompressionStep, ...] = (ChannelPruning(), WeightPruning())

__all__ = ["STEPS", "ChannelPruning", "CompressionStep", "Training", "WeightPruning"]
