"""TensorFlow's only home: networks from specs, training, pruning, quantization, int8 bytes.

Importing this package imports TensorFlow, with Keras 2 and without its remarks on the machine.
"""

import os

from nas.tf.quiet import quiet

# tfmot refuses Keras 3, and the choice is read once, when TensorFlow is imported.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with quiet():
    import tensorflow  # noqa: F401
