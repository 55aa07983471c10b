"""The default task: scikit-learn's embedded 8x8 images of handwritten digits."""

from __future__ import annotations

import numpy as np

from cost_models.errors import UserError
from nas.tasks.dataset import Dataset
from nas.tasks.options import TaskOptions
from nas.tasks.split import split_parts


def load(argument: str, options: TaskOptions) -> Dataset:
    """1,797 images, 10 classes, 60 % train, 20 % val, 20 % test."""
    if argument:
        raise UserError(f"The task digits takes no argument, such as {argument!r}.", "Write --task digits.")
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.uint8)
    return split_parts(
        name="digits",
        samples=images,
        labels=digits.target,
        groups=None,
        class_names=tuple(str(i) for i in range(10)),
        source="UCI Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), as in scikit-learn",
        licence="CC BY 4.0",
        # uint8 pictures of three dimensions are what the data are: nothing to say of it.
        input_kind="images",
    )


TASK = load
