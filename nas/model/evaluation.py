"""What is asked of a worker, and the three things that can come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from cost_models.budget import Violation
from cost_models.costing import Costs
from nas.model.quantization import Quantization
from nas.model.recipe import TrainingRecipe
from nas.model.trained import Accuracy

Stage = Literal["build", "train", "prune", "quantize", "evaluate", "cost", "worker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One evaluation, in names and numbers only: it pickles, and could be pasted into a bug report.

    Attributes:
        number: The Optuna trial that asks.
        space: Name of the search space.
        params: The choices, by name.
        steps: Training steps (the fidelity).
        full: Whether this is a final candidate: TFLM's own accuracy is then measured too.
        seed: Seed of weights, batches and augmentation.
        sparsity: Share of weights that tfmot's magnitude pruning zeroes.
        train_seconds: Time left for building and training, from the worker's receipt on; None for as long as it takes.
        recipe: How the network is trained.
        on_all: Whether it is trained on validation samples as well, which then say nothing of it.
        init: Digest of the weights that the network begins with, which the worker has; None to begin at random.
        folds: Into how many folds training and validation samples are parted, to train it once without each of them; 0
            for a single training. Its accuracy is then that of the answers to all samples, each left out of its
            training.
    """

    number: int
    space: str
    params: dict[str, Any]
    steps: int
    full: bool
    seed: int
    sparsity: float
    train_seconds: float | None = None
    recipe: TrainingRecipe = field(default_factory=TrainingRecipe)
    on_all: bool = False
    init: str | None = None
    folds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A trained and quantized network that keeps the budget.

    Attributes:
        accuracy: Validation accuracy of the int8 bytes, by the engine that ranks (LiteRT).
        tflm_accuracy: The same by TFLM's interpreter, for final candidates.
        costs: Costs read back from the bytes, on the first board that has some.
        boards: Of a search for several boards the costs on each that has some, by its target's name.
        tflite: The lean bytes.
        seconds: Where the time went, by stage.
        cut_at: Training steps after which the time was up; None where all were done.
        quantization: How it came to int8, for final candidates.
        curve: Training loss, a mean for each of equal parts of the training.
        weights: The float weights of a final candidate as `FloatWeights.to_npz` has them; None where they are not kept.
    """

    digest: str
    accuracy: Accuracy
    tflm_accuracy: Accuracy | None
    costs: Costs
    tflite: bytes
    seconds: dict[str, float] = field(default_factory=dict)
    cut_at: int | None = None
    quantization: Quantization | None = None
    curve: tuple[float, ...] = ()
    weights: bytes | None = None
    boards: dict[str, Costs] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A network that breaks the budget; of several boards that of each, and the violations of the closest."""

    digest: str
    violations: tuple[Violation, ...]
    costs: Costs
    boards: dict[str, Costs] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An evaluation that went wrong.

    Attributes:
        stage: Where.
        reason: What, in a line.
        retryable: Whether another try may help.
        trace: The traceback, where there is one.
        users_file: The user's own file that raised, with the line: "space.py, line 12"; empty where it was not theirs.
    """

    stage: Stage
    reason: str
    retryable: bool
    trace: str = ""
    users_file: str = ""


Evaluation = Evaluated | Rejected | Failed
