"""The Python API behind `import nas`: a search, and the operations on its result."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.command_line import require_extra
from cost_models.errors import UserError, file_faults_said
from nas.run.config import RunConfig, make_config
from nas.run.listeners import RunListener, Silent
from nas.run.result import RunResult

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from nas.bundle import Bundle, Verification
    from nas.model.policy import Policy


@file_faults_said()
def search(
    X: ArrayLike | None = None,  # noqa: N803 - the field's name for samples
    y: ArrayLike | None = None,
    *,
    budget: str | None = None,
    validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    test_data: tuple[ArrayLike, ArrayLike] | None = None,
    groups: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    config: RunConfig | None = None,
    progress: bool = True,
    **settings: Any,
) -> RunResult:
    """Searches a network for a microcontroller, to the verified bundle: what `nas-run` does.

    Args:
        X: Raw samples as the device will have them; None where `task` names the data. Shape: (n, features),
            (n, time, channels), (n, height, width) or (n, height, width, channels).
        y: A class index or class name of each sample, or numbers to predict. Shape: (n,), or (n, k) of numbers.
        budget: Limits as on the command line, such as "256KB" or "sram=64KB,flash=256KB,latency=20ms"; None takes
            what the target has.
        validation_data: Samples and labels; None takes a fifth of the training samples.
        test_data: Samples and labels, measured once at the end; None splits X and y 60/20/20.
        groups: The subject (person, machine, recording) of each sample in X: no subject is in two parts. Shape: (n,).
        class_names: Names by class index.
        config: A whole configuration; then no settings are taken.
        progress: Whether stderr is told how the search goes.
        settings: The other keys of `RunConfig`, as the flags of `nas-run` with underscores: target="rp2040",
            trials=100, timeout="30m", space="mbv2", task="images:photos".

    Returns:
        The result; its `chosen` is None where no model was worth delivering (then `refusal` says why).

    Raises:
        UserError: A usage error, with a hint.
        nas.NothingFitsError: No network of the space keeps the limits.
        KeyboardInterrupt: Ctrl-C came before the search began; later ones end the search with the best so far.
    """
    require_extra("search", "nas.search")
    data = (X, y, validation_data, test_data, groups, class_names)
    given = any(part is not None for part in data)
    if config is not None and (settings or budget is not None or given):
        raise UserError("config is a whole configuration.", "Leave the other arguments out.")
    if config is not None and not isinstance(config, RunConfig):
        raise UserError(
            "config is not a nas.RunConfig.", "Give settings by their names: nas.search(X, y, trials=100)."
        )
    if config is None:
        settings = _plain(settings if budget is None else settings | {"budget": budget})
        config = make_config(settings, {})
        if given:
            if X is None:
                raise UserError("X is missing.", "Give the samples of the labels: nas.search(X, y, ...).")
            if "task" in settings:
                raise UserError("X and task are both given.", "Give the samples, or name the task.")
            config = config.model_copy(update={"task": _saved(*data, config.out)})
    from nas.run import pipeline

    try:
        return _delivered(pipeline.start(config, _listener(progress)))
    except pipeline.StoppedError:
        raise KeyboardInterrupt from None


@file_faults_said()
def resume(
    run: RunResult | str | Path, *, progress: bool = True, trust_space: bool = False, **changes: Any
) -> RunResult:
    """Goes on with a run that was ended or killed; no training is repeated.

    Args:
        run: Its result or its folder.
        progress: Whether stderr is told how the search goes.
        trust_space: Run the code of a task, search space or sampler that the run folder names.
        changes: Keys that a resume may change: `trials`, `timeout`, `workers`, `policy` and so on.

    Raises:
        UserError: Not a run, data that have changed, or a key that would make it another search.
    """
    require_extra("search", "nas.resume")
    from nas.run import pipeline

    changes = _plain(changes)
    origin = {key: key for key in changes}
    try:
        return _delivered(
            pipeline.resume(str(_path(run)), changes, origin, _listener(progress), trust_space=trust_space)
        )
    except pipeline.StoppedError:
        raise KeyboardInterrupt from None


@file_faults_said()
def export(
    run: RunResult | str | Path,
    out: str | Path,
    *,
    model: int | str | None = None,
    policy: Policy | None = None,
    budget: str | None = None,
    target: str | None = None,
    format: str = "tflm",  # noqa: A002 - the command line's word
    name: str | None = None,
    trust_space: bool = False,
) -> Bundle:
    """A verified bundle of any model of a finished run, without training.

    Args:
        run: Its result or its folder.
        out: The folder of the bundle, made or replaced.
        model: Trial number or beginning of a digest; None takes the policy's choice.
        policy: "accuracy", "balanced" or "smallest"; None takes the run's.
        budget: Limits; None takes the run's.
        target: Another chip or board; None takes the run's.
        format: tflm, cmake, arduino, platformio, zephyr, esp-idf or cmsis-pack.
        name: Prefix of files and symbols; None takes the run's.
        trust_space: Run the code of a task that the run folder names.

    Raises:
        UserError: No such run or model, or nothing of it fits.
        nas.BundleError: The bundle failed its verification.
    """
    require_extra("search", "nas.export")
    from nas.run.reexport import reexport, select

    path = _path(run)
    return reexport(
        path,
        _path(out),
        model=None if model is None else str(model),
        selection=select(path, policy=policy, budget=budget, target=target),
        format=format,
        name=name,
        trust_space=trust_space,
    ).bundle


@file_faults_said()
def verify(bundle: Bundle | str | Path) -> Verification:
    """Proves that a bundle is what its manifest and model give, and that it computes what TFLM computes.

    Args:
        bundle: A bundle or its folder.

    Raises:
        UserError: The folder is not a bundle.
        nas.BundleError: It failed.
    """
    require_extra("search", "nas.verify")
    from nas.bundle import Bundle
    from nas.bundle import verify as prove

    if not isinstance(bundle, Bundle):
        try:
            bundle = Bundle.read(_path(bundle))
        except ValueError as error:
            raise UserError(
                f"{bundle} is not a bundle: {error}.", "Give the folder that nas-run made."
            ) from None
    return prove(bundle)


def _delivered(result: RunResult) -> RunResult:
    from nas.run.finalize import deliver_chosen

    if result.chosen is not None:
        deliver_chosen(result)
    return result


def _listener(progress: bool) -> RunListener:
    if not progress:
        return Silent()
    from nas.cli.progress import Progress

    return Progress(sys.stderr)


def _path(run: RunResult | str | Path) -> Path:
    if isinstance(run, RunResult):
        return run.path
    if not isinstance(run, (str, os.PathLike)) or not str(run):
        raise UserError(
            f"{run!r} is neither a result nor a folder.", "Give what nas.search returned, or a path."
        )
    return Path(run)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a job file would have them: paths and earlier runs by their names, numbers as Python's."""
    return {key: _plain_value(value) for key, value in settings.items()}


def _plain_value(value: object) -> object:
    import numpy as np

    if isinstance(value, (RunResult, Path)):
        return str(_path(value))
    return value.item() if isinstance(value, np.generic) else value


def _saved(
    samples: ArrayLike | None,
    labels: ArrayLike | None,
    validation: tuple[ArrayLike, ArrayLike] | None,
    test: tuple[ArrayLike, ArrayLike] | None,
    groups: ArrayLike | None,
    class_names: Sequence[str] | None,
    out: str | None,
) -> str:
    """Keeps arrays in a file named by its content beside the runs: a resume or an export needs them again."""

    from nas.model.npz import npz_bytes
    from nas.run.folder import write_atomically
    from nas.tasks.loading.array_like import as_labels, as_samples

    if labels is None:
        raise UserError("y is missing.", "Give a class for each sample: nas.search(X, y, ...).")
    parted = test is not None or validation is not None
    if validation is not None and test is None:
        raise UserError("test_data is missing.", "Beside validation_data give test_data, or leave both out.")
    end = "_train" if parted else ""
    arrays: dict[str, Any] = {f"X{end}": samples, f"y{end}": labels}
    for part, name, pair in (("val", "validation_data", validation), ("test", "test_data", test)):
        if pair is not None:
            arrays[f"X_{part}"], arrays[f"y_{part}"] = _pair(name, pair)
    if groups is not None:
        arrays[f"groups{end}"] = groups
    if class_names is not None:
        arrays["class_names"] = _names(class_names)
    arrays = {
        key: as_samples(value, key) if key.startswith("X") else as_labels(value, key)
        for key, value in arrays.items()
    }
    content = npz_bytes(arrays)
    parent = Path(out).parent if out else Path("runs")
    path = parent / f"arrays-{hashlib.sha256(content).hexdigest()[:16]}.npz"
    if not path.exists():
        try:
            parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except OSError as error:
            raise UserError(
                f"The samples cannot be written to {path} ({error.strerror}).",
                "Give another folder with out=.",
            ) from None
    return f"npz:{path}"


def _pair(name: str, value: object) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise UserError(f"{name} is not a pair.", f"Give samples and labels: {name}=(X, y).")
    return value[0], value[1]


def _names(names: object) -> Any:
    """Names by class index. Sets and dictionaries have no such order, and a text would be taken letter by letter."""
    import numpy as np

    items = (
        []
        if isinstance(names, (str, bytes, Set, Mapping)) or not isinstance(names, Iterable)
        else list(names)
    )
    if not items or not all(isinstance(item, (str, Integral)) for item in items):
        raise UserError(
            "class_names is not a list of names.", "Give the names in the order of the class indices."
        )
    return np.asarray([str(item) for item in items], np.str_)
