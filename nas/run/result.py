"""The result of a run: result.json with its schema, and the object that people and programs hold."""

from __future__ import annotations

import html
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.errors import UserError, file_faults_said
from cost_models.reading import read_bounded
from nas.model.result import ChosenSummary, RunSummary, TrialSummary
from nas.run.folder import LARGEST_RESULT_BYTES, RunFolder, open_run_folder

if TYPE_CHECKING:
    from rich.console import Console

    from nas.bundle import Bundle


def read_result(folder: RunFolder) -> tuple[RunSummary, dict[str, Any]]:
    """A run's result.json, typed and as it stands.

    Raises:
        UserError: There is no result yet, or it is none.
    """
    if not os.path.lexists(folder.result_file):
        raise UserError(f"{folder.path} has no result yet.", f"Let nas-run end, or --resume {folder.path}.")
    try:
        content = json.loads(read_bounded(folder.result_file, LARGEST_RESULT_BYTES))
        return RunSummary.model_validate(content), content
    except (UserError, ValueError, TypeError, RecursionError):  # pydantic's errors are ValueErrors
        raise UserError(
            f"{folder.result_file} cannot be read as the result of a run.",
            f"nas-run --resume {folder.path} writes it again.",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontModel:
    """A model of the Pareto front.

    Attributes:
        number: Of its trial; what `nas.export(run, model=...)` takes.
        accuracy: Of the int8 bytes on validation data, between 0 and 1.
        score: The run's metric on the same, by which it was searched; the accuracy unless the run says otherwise.
        sram_bytes: Tensor arena, exact.
        flash_bytes: Model and code.
        macs: Multiplications with additions of one inference.
        cycles: Of one inference; None where the target has no calibration.
        latency_us: Of one inference.
        energy_uj: Of one inference.
        steps: Training steps.
        chosen: Whether it is the one that was exported.
        params: The choices that make the network.
        tflite: The int8 model's file.
    """

    number: int
    accuracy: float
    score: float
    sram_bytes: int
    flash_bytes: int
    macs: int
    cycles: int | None
    latency_us: float | None
    energy_uj: float | None
    steps: int
    chosen: bool
    params: dict[str, Any] = field(repr=False)
    tflite: Path = field(repr=False)


class Front(list[FrontModel]):
    """The Pareto front, most accurate first."""

    def to_pandas(self) -> Any:
        """A data frame, a row for each model.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UserError("pandas is not installed.", "Install it: pip install pandas.") from None
        return pandas.DataFrame(self)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of a run.

    Attributes:
        path: The run folder.
        content: result.json as it stands; `summary` is the same with types.
        refusal: Why no model was delivered; empty where one was.
        refusal_notes: What would help.
        signal: The signal that ended the search early; None for none.
        home: The run's own folder, where `path` is the part of one of its boards.
    """

    path: Path
    content: Mapping[str, Any] = field(repr=False)
    refusal: str = ""
    refusal_notes: tuple[str, ...] = ()
    signal: int | None = None
    home: Path | None = None

    @cached_property
    def summary(self) -> RunSummary:
        """The result with types."""
        return RunSummary.model_validate(self.content)

    @cached_property
    def boards(self) -> Mapping[str, RunResult]:
        """The result on each board of a run for several (`targets`), by its target's name; else empty.

        Raises:
            UserError: The result of a board is gone.
        """
        run = RunFolder(path=self.path)
        results = {}
        for board in self.summary.boards:
            part = run.board(board.folder)
            results[board.target.name] = RunResult(
                path=part.path, content=read_result(part)[1], home=run.path
            )
        return results

    @property
    def delivered(self) -> bool:
        """Whether there is a model, on each of several boards."""
        boards = self.summary.boards
        return all(board.chosen is not None for board in boards) if boards else self.chosen is not None

    @property
    def front(self) -> Front:
        """The Pareto front of accuracy, SRAM, flash and cycles, most accurate first."""
        summary = self.summary
        trials = {trial.number: trial for trial in summary.evaluated()}
        chosen = None if summary.chosen is None else summary.chosen.number
        folder = RunFolder(path=self.path, home=self.home)
        return Front(_front_models(folder, (trials[n] for n in summary.front if n in trials), chosen))

    @property
    def chosen(self) -> ChosenSummary | None:
        """The exported model; None where none was worth it."""
        return self.summary.chosen

    @property
    def test_accuracy(self) -> float | None:
        """Accuracy of the exported int8 bytes on test data, of numbers the skill; None where none was exported."""
        chosen = self.chosen
        return None if chosen is None or chosen.test_accuracy is None else chosen.test_accuracy.value

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return RunFolder(path=self.path).report_file

    @property
    def bundle(self) -> Bundle | None:
        """The verified bundle: C sources, model, manifest; None where no model was exported.

        Of several boards that of the first; each of `boards` has its own.
        """
        from cost_models.target_file import load_target
        from nas.bundle import Bundle

        if self.boards:
            return next(iter(self.boards.values())).bundle
        folder = RunFolder(path=self.path)
        if self.chosen is None or not folder.bundle.exists():
            return None
        return Bundle.read(folder.bundle, target=load_target(self.content["config"]["target"]))

    def __str__(self) -> str:
        """The front and the verdict, as `nas-run` prints them, or why there is none."""
        stream = io.StringIO()
        self._print(file=stream)
        return stream.getvalue()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """The same in IPython's terminal."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The same in a notebook."""
        console = self._print(file=io.StringIO(), record=True)
        return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")

    def _print(self, **streams: Any) -> Console:
        from rich.console import Console

        from nas.report import print_boards, print_front

        console = Console(width=100, **streams)
        for name, part in (self.boards or {"": self}).items():
            if name:
                console.print(f"== {name}", markup=False, highlight=False)
            print_front(part.summary, console)
        if self.boards:
            print_boards(self.summary, console)
        for text in (self.refusal, *self.refusal_notes):
            if text:
                console.print(text, markup=False, highlight=False)
        return console

    def show_report(self) -> object:
        """The whole report, inline in a notebook (some megabytes, for it holds its own drawing library).

        Raises:
            UserError: IPython is not installed.
        """
        try:
            from IPython.display import HTML
        except ImportError:
            raise UserError("IPython is not installed.", f"Open {self.report} in a browser.") from None
        page = html.escape(self.report.read_text(encoding="utf-8"))
        return HTML(f'<iframe srcdoc="{page}" style="width: 100%; height: 40rem; border: 0"></iframe>')


def _front_models(
    folder: RunFolder, trials: Iterable[TrialSummary], chosen: int | None
) -> Iterable[FrontModel]:
    for trial in trials:
        costs = trial.costs or {}
        yield FrontModel(
            number=trial.number,
            accuracy=trial.measured,
            score=trial.value,
            sram_bytes=costs["sram_bytes"],
            flash_bytes=costs["flash_bytes"],
            macs=costs["macs"],
            cycles=costs.get("cycles"),
            latency_us=costs.get("latency_us"),
            energy_uj=costs.get("energy_uj"),
            steps=trial.trained_steps,
            chosen=trial.number == chosen,
            params=trial.params,
            tflite=folder.model_file(trial.model_key),
        )


@file_faults_said()
def load_run(path: str | Path) -> RunResult:
    """The result of an earlier run.

    Args:
        path: The run folder.

    Raises:
        UserError: It is not a run, has no result yet, or is damaged.
    """
    folder = open_run_folder(str(path))
    _, content = read_result(folder)
    return RunResult(path=folder.path, content=content)
