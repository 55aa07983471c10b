"""What training does to samples of each kind of data, so that networks learn the kind and not the samples."""

from __future__ import annotations

from nas.model.recipe import TrainingRecipe
from nas.tasks.dataset import Dataset
from nas.tf.train import Schedule
from search_spaces.arch import ArchSpec


def make_schedule(
    dataset: Dataset, spec: ArchSpec, recipe: TrainingRecipe, *, steps: int, rate: float
) -> Schedule:
    """The schedule of a training, with what may be done to samples of this kind.

    Args:
        dataset: The task's data.
        spec: The network, whose input may be another shape of the same samples.
        recipe: Shared by all trainings.
        steps: Of this training.
        rate: The peak learning rate.
    """
    shape = dataset.info.input_shape
    image = len(shape) == 3
    vector = len(spec.input_shape) == 1  # such a network has nothing to shift, whatever the task has
    shift = masks = (0, 0)
    spectrum = dataset.info.frontend is not None and not image  # no band stands for another
    # A sample that is moved, louder or partly hidden may be another number, or just what shall be found.
    as_it_is = dataset.info.false_alarms is not None or bool(dataset.info.targets)
    if dataset.info.frontend is not None and image and spec.input_shape == shape and not as_it_is:
        masks = (int(recipe.masked * shape[0]), int(recipe.masked * shape[1]))
    if as_it_is:
        pass
    elif image and not vector:
        shift = (max(1, shape[0] // 14), max(1, shape[1] // 14))
    elif len(shape) == 2 and not vector and not spectrum:
        shift = (min(shape[0] // 16, 400), 0)
    return Schedule(
        steps=steps,
        batch=min(recipe.batch, max(8, len(dataset.labels["train"]) // 8)),
        peak_rate=rate,
        weight_decay=recipe.weight_decay,
        label_smoothing=recipe.label_smoothing,
        shift=shift,
        gain=0.0 if image or spectrum or as_it_is else recipe.gain,
        masks=masks,
        jitter=dataset.disturbed.jitter,
        triples=dataset.disturbed.triples,
        flip=dataset.disturbed.flip,
        sensor=dataset.disturbed.robust,
    )
