"""Magnitude pruning of single weights by tfmot, while the network is trained on."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from nas.model.evaluation import Request
from nas.tf.compression.step import CompressionStep, Training
from search_spaces.space import Candidate


class WeightPruning(CompressionStep):
    """Zeroes the smallest weights of each kernel, more of them as the training goes on.

    Zeros save nothing under TFLM's dense kernels: they shrink only what is compressed, such as an update that
    is sent over the air. Costs never count them.
    """

    def steps(self, candidate: Candidate, request: Request, left: int) -> int:
        return round(left * request.recipe.sparse_share) if request.sparsity > 0 else 0

    def rate(self, request: Request) -> float:
        return request.recipe.sparse_rate

    def begin(self, model: tf_keras.Model, candidate: Candidate, request: Request, steps: int) -> Training:
        import tensorflow_model_optimization as tfmot

        end, every = max(1, steps // 2), max(1, steps // 50)
        pruning = tfmot.sparsity.keras.PolynomialDecay(
            initial_sparsity=0.0,
            final_sparsity=request.sparsity,
            begin_step=0,
            end_step=end,
            frequency=every,
        )
        wrapped = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=pruning)
        wrappers = [layer for layer in wrapped.layers if hasattr(layer, "pruning_step")]
        marks = end // every  # the sparsity grows at every so many steps, the last time at this mark
        mark = tf.Variable(0, trainable=False, dtype=tf.int32)

        def set_step(step: Any) -> None:
            for wrapper in wrappers:
                wrapper.pruning_step.assign(tf.cast(step, wrapper.pruning_step.dtype))

        def before_step(step: Any) -> None:
            # Where time is short the schedule jumps, and a mark that it passes must count. The wrappers add 1 before
            # they look, and prune nothing beyond the end.
            reached = tf.minimum((tf.cast(step, tf.int32) + 1) // every, marks)
            set_step(tf.where(reached > mark, reached * every - 1, end))
            mark.assign(reached)

        def stripped(trained: tf_keras.Model) -> tf_keras.Model:
            if int(mark) < marks:  # stopped by the time before the schedule reached its sparsity
                set_step(marks * every)
                for wrapper in wrappers:
                    wrapper.pruning_obj.conditional_mask_update()
            for wrapper in wrappers:
                wrapper.pruning_obj.weight_mask_op()
            return tfmot.sparsity.keras.strip_pruning(trained)

        return Training(model=wrapped, before_step=before_step, end=stripped)
