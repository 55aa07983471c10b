"""Our AdamW takes the steps of Keras' own."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def test_fifty_steps_end_where_those_of_keras_end() -> None:
    import nas.tf  # noqa: F401
    import tensorflow as tf  # isort: skip
    import tf_keras

    from nas.tf.adamw import AdamW

    rng = np.random.default_rng(0)
    starts = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5,), (1, 2, 3))]
    ours, theirs = ([tf.Variable(start) for start in starts] for _ in range(2))
    keras = tf_keras.optimizers.AdamW(learning_rate=0.01, weight_decay=0.1, jit_compile=False)
    keras.build(theirs)
    mine = AdamW(ours, decay=0.1)
    for step in range(50):
        gradients = [tf.constant(rng.normal(size=start.shape).astype(np.float32)) for start in starts]
        keras.apply_gradients(zip(gradients, theirs))
        mine.apply(gradients, rate=tf.constant(0.01), step=tf.constant(step))
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)
