"""The contract of a layout: every source, unchanged, at a path within the folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, get_args

from nas.testing.sentences import fail, reason, require

if TYPE_CHECKING:
    from nas.bundle.content import BundleContent
    from nas.bundle.layout import File, Layout


def check_layout(layout: Layout, model: Path | bytes, *, target: str = "nrf52840") -> None:
    """Writes a model in a layout: every source is there and unchanged, at paths within the folder, the same each time.

    Args:
        layout: What the file exports as LAYOUT.
        model: An int8 model (.tflite), such as one of a run's folder `models`.
        target: Name or file of a chip or board.

    Raises:
        AssertionError: The layout breaks its contract.
    """
    from nas.bundle.bundle import documents
    from nas.bundle.layout import File, Role
    from nas.bundle.manifest import MANIFEST_NAME
    from nas.bundle.sources import layout as plain_layout

    name = getattr(layout, "name", "")
    require(bool(name) and bool(getattr(layout, "title", "")), "A layout needs a name and a title.")
    said = f"The layout {name}"
    content = _content(model if isinstance(model, bytes) else model.read_bytes(), target)
    files = _files(layout, content, said)
    reserved = {path.lower() for path in (*documents(content), MANIFEST_NAME)}
    seen: dict[str, str] = {}
    for path, file in files.items():
        plain = path and PurePosixPath(path).as_posix() == path and not set(path) & set('\\:*?"<>|')
        require(
            bool(plain) and not path.startswith("/") and ".." not in PurePosixPath(path).parts,
            f"{said} writes {path!r}, which is not a plain path within its folder.",
        )
        require(path.lower() not in reserved, f"{said} writes {path}, which every bundle has already.")
        other = seen.setdefault(path.lower(), path)
        require(other == path, f"{said} writes {other} and {path}, which are one file on some systems.")
        require(
            isinstance(file, File) and isinstance(file.data, bytes) and file.role in get_args(Role),
            f"{said} has no File with bytes and a role of nas.bundle.layout.Role at {path}.",
        )
    for path, source in plain_layout(content).items():
        written = [file.data for file in files.values() if file.role == source.role]
        require(
            len(written) == 1,
            f"{said} has {len(written)} files of the role {source.role} in place of one ({path}).",
        )
        require(
            written[0] == source.data,
            f"{said} changes the {source.role} ({path}): sources are the same in every layout.",
        )
    require(
        files == _files(layout, content, said),
        f"{said} writes other bytes each time: nas-check would refuse them.",
    )
    for note in layout.notes(content):
        require(
            note.endswith(".") and "\n" not in note, f"{said} has a note that is not a sentence: {note!r}."
        )


def _files(layout: Layout, content: BundleContent, said: str) -> dict[str, File]:
    try:
        return dict(layout.files(content))
    except Exception as error:
        fail(f"{said} fails: {reason(error)}", error)


def _content(data: bytes, target_name: str) -> BundleContent:
    """The content of a model's bundle, with random samples as its golden vectors."""
    import numpy as np

    from cost_models.costing import CostModel
    from cost_models.target_file import load_target
    from cost_models.tflite_graph import read_graph
    from nas.bundle.content import make_content
    from nas.model.trained import Accuracy, Preprocess, TaskInfo, TrainedModel
    from nas.runtimes.reference import reference_model

    interpreter = reference_model(data)
    shape, target = interpreter.input.shape, load_target(target_name)
    task = TaskInfo(
        name="example",
        input_shape=shape,
        class_names=tuple(f"class {index}" for index in range(interpreter.output.size)),
        preprocess=Preprocess(raw_type="float32", offset=(0.0,), scale=(1.0,)),
        source="random samples",
        licence="CC0-1.0",
        samples={"train": 80, "val": 10, "test": 10},
    )
    model = TrainedModel(
        name="example",
        tflite=data,
        task=task,
        golden_inputs=np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32),
        accuracies=(Accuracy(part="test", engine=interpreter.engine, correct=9, total=10),),
        provenance={},
    )
    costs = CostModel(target).estimate(read_graph(data), file_bytes=len(data))
    return make_content(model, target=target, costs=costs)
