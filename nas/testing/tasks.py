"""The contract of a task: sound parts, labels in range, the same data each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nas.testing.sentences import fail, reason, require

if TYPE_CHECKING:
    from nas.tasks import Dataset, TaskOptions


def check_task(
    task: str | Callable[[str, TaskOptions], Dataset], argument: str = "", options: TaskOptions | None = None
) -> None:
    """Loads the data set of a task twice: sound parts, labels in range, the same data each time.

    Args:
        task: The function that the file exports as TASK, or what `--task` calls it, such as "my_task.py".
        argument: The text after the task's name.
        options: What a user may say of the data besides.

    Raises:
        AssertionError: The task breaks its contract.
    """
    import numpy as np

    from nas.tasks import Dataset
    from nas.tasks.loading import PARTS

    name = task if isinstance(task, str) else getattr(task, "__name__", "TASK")
    said = f"The task {name}"
    data = _loaded(task, argument, options, said)
    require(isinstance(data, Dataset), f"{said} returns {type(data).__name__}, not a Dataset.")
    classes, width = len(data.info.class_names), len(data.info.targets)
    require(
        (width > 0 and not classes) or (classes == len(set(data.info.class_names)) and classes > 1),
        f"{said} has {classes} class names, of which {len(set(data.info.class_names))} differ; it needs two or more.",
    )
    dtype = np.dtype(data.info.preprocess.raw_type)
    for part in PARTS:
        require(part in data.samples and part in data.labels, f"{said} has no {part} part.")
        samples, labels = data.samples[part], data.labels[part]
        require(len(samples) > 0, f"The {part} part of the task {name} is empty.")
        require(
            samples.shape[1:] == data.info.input_shape and samples.dtype == dtype,
            f"{said} has {part} samples of {samples.dtype} {samples.shape[1:]}, where its info says {dtype}"
            f" {data.info.input_shape}.",
        )
        require(
            not width or (labels.shape == (len(samples), width) and bool(np.isfinite(labels).all())),
            f"{said} has {part} numbers of shape {labels.shape} for {len(samples)} samples; it needs {width} finite"
            " ones for each.",
        )
        require(
            width > 0 or (labels.shape == (len(samples),) and labels.dtype == np.int64),
            f"{said} has {part} labels of {labels.dtype} {labels.shape} for {len(samples)} samples; it needs one int64"
            " for each.",
        )
        require(
            width > 0 or bool((labels >= 0).all() and (labels < classes).all()),
            f"{said} has {part} labels from {labels.min()} to {labels.max()} for {classes} classes.",
        )
        require(
            data.info.samples.get(part) == len(samples),
            f"{said} says that it has {data.info.samples.get(part)} {part} samples, and has {len(samples)}.",
        )
        inputs = data.inputs(samples)
        require(
            bool(np.isfinite(inputs).all()),
            f"{said} has {part} samples that are not finite after preprocessing.",
        )
    anomalies = data.info.false_alarms is not None
    require(
        not anomalies or not data.labels["train"].any(),
        f"{said} has anomalies in its train part, where a network learns what is normal alone.",
    )
    for part in ("val", "test") if anomalies else ():
        require(
            len(np.unique(data.labels[part])) == classes,
            f"The {part} part of the task {name} needs normal samples and anomalies.",
        )
    lacking = [] if width or anomalies else np.setdiff1d(np.arange(classes), data.labels["train"]).tolist()
    require(
        not lacking,
        f"{said} has no training sample of class {data.info.class_names[lacking[0]] if lacking else ''}.",
    )
    for note in data.notes:
        require(
            note.strip() == note != "" and "\n" not in note,
            f"{said} has a note that is not a line: {note!r}.",
        )
    two = _loaded(task, argument, options, said)
    require(
        data.digest() == two.digest() and data.info == two.info,
        f"{said} gives other data each time: a resumed run and its workers would not see the same.",
    )


def _loaded(task: Any, argument: str, options: TaskOptions | None, said: str) -> Dataset:
    from nas.tasks import TaskOptions, load_task

    try:
        if isinstance(task, str):
            return load_task(f"{task}:{argument}" if argument else task, options)
        data: Dataset = task(argument, options or TaskOptions())
        return data
    except Exception as error:
        fail(f"{said} fails: {reason(error)}", error)
