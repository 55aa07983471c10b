"""The contract suites name what is wrong with a plug-in: one of each kind is broken in each way."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from cost_models.errors import UserError
from nas.bundle.content import BundleContent
from nas.bundle.layout import File, Layout, load_layout
from nas.execute import Done, EvaluatorSpec, Executor
from nas.execute.inline import InlineExecutor
from nas.model.evaluation import Request
from nas.tasks import Dataset, TaskOptions, split_parts
from nas.testing import (
    answers,
    check_executor,
    check_layout,
    check_sampler,
    check_space,
    check_task,
)
from search_spaces.arch import ArchSpec, Sketch
from search_spaces.layers import INPUT, Conv, Dense, GlobalAveragePool

MODEL = Path(__file__).parent / "bundle" / "data" / "tcn.tflite"


def sentence(check: Callable[[], object]) -> str:
    """What a suite says: one line that ends."""
    with pytest.raises(AssertionError) as error:
        check()
    said = str(error.value)
    assert said.endswith(".")
    assert "\n" not in said
    return said


# Tasks


def sound(argument: str, options: TaskOptions) -> Dataset:
    samples = np.random.default_rng(0).normal(size=(120, 16, 2)).astype(np.float32)
    return split_parts(name="mine", samples=samples, labels=np.arange(120) % 3)


def changed(**changes: Any) -> Callable[[str, TaskOptions], Dataset]:
    def mine(argument: str, options: TaskOptions) -> Dataset:
        return replace(sound(argument, options), **changes)

    return mine


def with_part(kind: str, part: str, change: Callable[[Any], Any]) -> Callable[[str, TaskOptions], Dataset]:
    def mine(argument: str, options: TaskOptions) -> Dataset:
        dataset = sound(argument, options)
        arrays = {**getattr(dataset, kind), part: change(getattr(dataset, kind)[part])}
        changes: dict[str, Any] = {kind: arrays}
        return replace(dataset, **changes)

    return mine


SEEDS = itertools.count()


def drifting(argument: str, options: TaskOptions) -> Dataset:
    samples = np.random.default_rng(next(SEEDS)).normal(size=(120, 16, 2))
    return split_parts(name="mine", samples=samples, labels=np.arange(120) % 3)


def refusing(argument: str, options: TaskOptions) -> Dataset:
    raise UserError("There is no file here.", "Give one.")


def test_a_sound_task_passes() -> None:
    check_task(sound)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (
            with_part("labels", "val", lambda y: y + 1),
            "The task mine has val labels from 1 to 3 for 3 classes.",
        ),
        (
            with_part("labels", "val", lambda y: y - 1),
            "The task mine has val labels from -1 to 1 for 3 classes.",
        ),
        (
            with_part("labels", "train", lambda y: np.minimum(y, 1)),
            "The task mine has no training sample of class 2.",
        ),
        (
            with_part("labels", "test", lambda y: y[1:]),
            "The task mine has test labels of int64 (23,) for 24 samples; it needs one int64 for each.",
        ),
        (
            with_part("samples", "test", lambda x: x[:, :8]),
            "The task mine has test samples of float32 (8, 2), where its info says float32 (16, 2).",
        ),
        (
            with_part("samples", "val", lambda x: x.astype(np.float64)),
            "The task mine has val samples of float64 (16, 2), where its info says float32 (16, 2).",
        ),
        (
            with_part("samples", "val", lambda x: np.full_like(x, np.nan)),
            "The task mine has val samples that are not finite after preprocessing.",
        ),
        (with_part("samples", "val", lambda x: x[:0]), "The val part of the task mine is empty."),
        (changed(samples={}), "The task mine has no train part."),
        (
            drifting,
            "The task drifting gives other data each time: a resumed run and its workers would not see the",
        ),
        (refusing, "The task refusing fails: There is no file here. Give one."),
        (lambda argument, options: 3, "The task <lambda> returns int, not a Dataset."),
        (lambda argument: 3, "The task <lambda> fails: TypeError: "),
        ("no_such_task", "The task no_such_task fails: There is no task no_such_task. Known: "),
    ],
)
def test_a_broken_task_is_named(task: Any, expected: str) -> None:
    assert sentence(lambda: check_task(task)).startswith(expected)


def test_a_task_file_is_checked_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\n"
        "from nas.tasks import split_parts\n"
        "def TASK(argument, options):\n"
        "    count = int(argument)\n"
        "    samples = np.arange(count * 4.0).reshape(count, 4)\n"
        "    return split_parts(name='mine', samples=samples, labels=np.arange(count) % 2)\n"
    )
    check_task(str(path), "80")
    assert "fails: " in sentence(lambda: check_task(str(path), "many"))


# Search spaces


@dataclass
class Space:
    """A sound one; subclasses are not."""

    name: str = "mine"

    def filters(self, trial: Any) -> int:
        return int(trial.suggest_int("filters", 4, 16, step=4))

    def units(self, classes: int) -> int:
        return classes

    def shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape

    def build(self, trial: Any, *, input_shape: tuple[int, ...], classes: int) -> ArchSpec:
        net = Sketch(self.shape(input_shape))
        x = net.add(Conv(inputs=(INPUT,), filters=self.filters(trial), kernel=(3, 3)))
        x = net.add(GlobalAveragePool(inputs=(x,)))
        net.add(Dense(inputs=(x,), units=self.units(classes), activation="NONE"))
        return net.spec()


class Wavering(Space):
    calls = 0

    def filters(self, trial: Any) -> int:
        self.calls += 1
        return int(trial.suggest_int(f"filters{self.calls}", 4, 16))


class Branching(Space):
    def filters(self, trial: Any) -> int:
        return int(trial.suggest_int("many", 4, 8)) if trial.suggest_categorical("wide", (False, True)) else 4


class Ranging(Space):
    def filters(self, trial: Any) -> int:
        return int(trial.suggest_int("filters", 1, trial.suggest_int("most", 4, 9)))


class Remembering(Space):
    calls = 0

    def filters(self, trial: Any) -> int:
        self.calls += 1
        return super().filters(trial) + self.calls


class Wide(Space):
    def units(self, classes: int) -> int:
        return classes + 1


class Cutting(Space):
    def shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (input_shape[0] // 2, *input_shape[1:])


class Failing(Space):
    def filters(self, trial: Any) -> int:
        return 16 // (super().filters(trial) - 8)


class Answering(Space):
    def build(self, trial: Any, *, input_shape: tuple[int, ...], classes: int) -> Any:
        return trial.suggest_int("filters", 4, 16)


def test_a_sound_space_passes() -> None:
    check_space(Space())
    check_space(Space(), (8, 8, 1), classes=2)


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (
            Wavering(),
            "The search space mine does not always ask for the same choices: filters1 (4 to 16, step 1) for one"
            " network, filters2 (4 to 16, step 1) for another.",
        ),
        (
            Branching(),
            "The search space mine does not always ask for the same choices: many (4 to 8, step 1) for",
        ),
        (Ranging(), "The search space mine does not always ask for the same choices: filters (1 to "),
        (Remembering(), "The search space mine gives two networks for the choices {'filters': "),
        (Wide(), "The search space mine ends in an output of (11,) for 10 classes."),
        (Cutting(), "The search space mine takes 1,536 elements of a sample that has 3,072."),
        (
            Failing(),
            "The search space mine fails for the choices {'filters': 8}: The search space mine fails for",
        ),
        (Answering(), "The search space mine fails for the choices {'filters': "),
        (Space(name=""), "A search space needs a name and a build method."),
        (3, "A search space needs a name and a build method."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_space_is_named(space: Any, expected: str) -> None:
    assert sentence(lambda: check_space(space)).startswith(expected)


# Layouts


class Own(Layout):
    """The plain layout, changed."""

    name = "mine"
    title = "Mine"

    def __init__(self, change: Callable[[dict[str, File]], object], note: str = "A note.") -> None:
        self.change, self.note = change, note

    def files(self, content: BundleContent) -> Mapping[str, File]:
        files = {**load_layout("tflm").files(content)}
        self.change(files)
        return files

    def notes(self, content: BundleContent) -> tuple[str, ...]:
        return (self.note,)


def more(path: str, data: Any = b"x", role: Any = "build") -> Callable[[dict[str, File]], object]:
    return lambda files: files.update({path: File(role=role, data=data)})


TICKS = itertools.count()


def test_a_sound_layout_passes() -> None:
    check_layout(Own(more("deep/er/CMakeLists.txt")), MODEL)
    check_layout(Own(more("build.txt")), MODEL.read_bytes(), target="esp32s3")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            more("../evil.txt"),
            "The layout mine writes '../evil.txt', which is not a plain path within its folder.",
        ),
        (
            more("a/../../b"),
            "The layout mine writes 'a/../../b', which is not a plain path within its folder.",
        ),
        (
            more("/etc/passwd"),
            "The layout mine writes '/etc/passwd', which is not a plain path within its folder.",
        ),
        (
            more("a\\b.txt"),
            "The layout mine writes 'a\\\\b.txt', which is not a plain path within its folder.",
        ),
        (more(""), "The layout mine writes '', which is not a plain path within its folder."),
        (more("manifest.json"), "The layout mine writes manifest.json, which every bundle has already."),
        (
            more("Example.H"),
            "The layout mine writes example.h and Example.H, which are one file on some systems.",
        ),
        (
            more("build.txt", "text"),
            "The layout mine has no File with bytes and a role of nas.bundle.layout.Role at",
        ),
        (
            more("build.txt", role="bild"),
            "The layout mine has no File with bytes and a role of nas.bundle.layout.Role",
        ),
        (
            lambda files: files.pop("example_model.cc"),
            "The layout mine has 0 files of the role model_source in place of one (example_model.cc).",
        ),
        (
            more("two.cc", role="runner_source"),
            "The layout mine has 2 files of the role runner_source in place of one (example.cc).",
        ),
        (
            lambda files: more("example_model.cc", files["example_model.cc"].data + b"\n", "model_source")(
                files
            ),
            "The layout mine changes the model_source (example_model.cc): sources are the same in every layout.",
        ),
        (
            lambda files: more("build.txt", str(next(TICKS)).encode())(files),
            "The layout mine writes other bytes each time: nas-check would refuse them.",
        ),
        (lambda files: 1 / 0, "The layout mine fails: ZeroDivisionError: division by zero."),
    ],
)
def test_a_broken_layout_is_named(change: Any, expected: str) -> None:
    assert sentence(lambda: check_layout(Own(change), MODEL)).startswith(expected)


def test_a_layout_without_a_name_or_with_half_a_note_is_named() -> None:
    assert sentence(lambda: check_layout(object(), MODEL)) == "A layout needs a name and a title."  # type: ignore[arg-type]
    half = Own(lambda files: None, note="half a note")
    assert sentence(lambda: check_layout(half, MODEL)) == (
        "The layout mine has a note that is not a sentence: 'half a note'."
    )


# Samplers


class Drawing(optuna.samplers.RandomSampler):
    """At random, changed."""

    def __init__(self, seed: int | None, change: Callable[[str, Any, int], Any] | None = None) -> None:
        super().__init__(seed=seed)
        self.change = change

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        value = super().sample_independent(study, trial, param_name, param_distribution)
        return value if self.change is None else self.change(param_name, value, trial.number)


class Brittle(optuna.samplers.RandomSampler):
    """Takes for granted that every trial has values."""

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        min(one.values[0] for one in study.trials if one.state.is_finished()) if trial.number > 2 else 0
        return {}


class Refusing(optuna.samplers.RandomSampler):
    def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
        sum(values)


def test_a_sound_sampler_passes() -> None:
    check_sampler(lambda seed: Drawing(seed))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda seed: Drawing(None), "The sampler proposes {'width': "),
        (
            lambda seed: Drawing(seed, lambda name, value, _: 65 if name == "width" else value),
            "The sampler proposes width = 65 in trial 0, which is not in IntDistribution(",
        ),
        (
            lambda seed: Drawing(
                seed, lambda name, value, _: {"width": 8, "growth": 1.0, "block": "plain"}.get(name, 1)
            ),
            "The sampler proposes {'width': 8, 'growth': 1.0, 'block': 'plain', 'depth': 1} in each of 24 trials.",
        ),
        (Brittle, "The sampler fails in trial 5: TypeError: 'NoneType' object is not subscriptable."),
        (
            lambda seed: Refusing(seed),
            "The sampler fails where trial 3 ends: TypeError: 'NoneType' object is not",
        ),
        (lambda seed: seed, "The sampler is of type int, no optuna.samplers.BaseSampler."),
        (lambda: 3, "The sampler cannot be made with a seed: TypeError: "),
    ],
)
def test_a_broken_sampler_is_named(make: Any, expected: str) -> None:
    assert sentence(lambda: check_sampler(make)).startswith(expected)


# Executors


class Forgetful(InlineExecutor):
    def submit(self, request: Request) -> None:
        if request.number != 4:
            super().submit(request)


class Repeating(InlineExecutor):
    def wait(self, timeout: float) -> Any:
        return (*(found := super().wait(timeout)), *found)


class Mistaking(InlineExecutor):
    """Gives the evaluation of one request for another."""

    def wait(self, timeout: float) -> Any:
        last = getattr(self, "last", None)
        found = super().wait(timeout)
        if found:
            self.last = found[0].evaluation
        return [replace(done, evaluation=last or done.evaluation) for done in found]


class Clinging(InlineExecutor):
    def abandon(self) -> None:
        pass


class Eager(InlineExecutor):
    def wait(self, timeout: float) -> Any:
        request = Request(number=0, space="", params={}, steps=1, full=False, seed=0, sparsity=0.0)
        return super().wait(timeout) or [Done(request=request, evaluation=None, worker="", waited=0)]  # type: ignore[arg-type]


class Closing(InlineExecutor):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("is closed")
        self.closed = True


class Down(InlineExecutor):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.up = False


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Repeating, "The executor answers request 0 twice."),
        (
            Mistaking,
            "The executor answers request 1 with Failed(stage='worker', reason='echo 0', retryable=False",
        ),
        (Clinging, "The executor answers request 100, which is not under way."),
        (Eager, "The executor answers before it is asked."),
        (Closing, "The executor cannot be closed twice: RuntimeError: is closed."),
        (Down, "The executor is not up, although it answered."),
    ],
)
def test_a_broken_executor_is_named(kind: type[InlineExecutor], expected: str) -> None:
    def make(spec: EvaluatorSpec) -> Executor:
        return kind(spec.make(), 2)

    assert sentence(lambda: check_executor(make)).startswith(expected)


def test_a_request_without_an_answer_is_waited_for_and_counted() -> None:
    executor = Forgetful(EvaluatorSpec(factory="nas.testing.executors:make_echo").make(), 2)
    requests = [
        Request(number=i, space="", params={}, steps=1, full=False, seed=0, sparsity=0.0) for i in range(6)
    ]
    said = sentence(lambda: answers(executor, requests, patience_s=0.2))
    assert said == "The executor answered 5 of 6 requests within 0.2 s."


def test_the_suites_need_no_pytest_and_load_nothing_heavy() -> None:
    code = (
        "import sys; sys.modules['pytest'] = None; import nas.testing;"
        "print([name for name in ('optuna', 'ray', 'sklearn', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
