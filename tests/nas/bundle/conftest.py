from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.costing import CostModel, Costs
from cost_models.target import Target
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from nas.bundle import Bundle, export
from nas.model.trained import Accuracy, GoldenShare, Preprocess, RawType, TaskInfo, TrainedModel
from nas.runtimes.tflm import TflmModel

DATA = Path(__file__).parent / "data"
# An untrained temporal network of 3.4 KB: 64 x 1 x 9 inputs, five outputs.
CONFUSION = ((4, 1, 0, 0, 0), (0, 5, 0, 0, 0), (0,) * 5, (0,) * 5, (0,) * 5)
TCN = DATA / "tcn.tflite"


@dataclass(frozen=True)
class Finished:
    """A finished model, costed, as `export` takes it."""

    model: TrainedModel
    target: Target
    costs: Costs

    def export(self, out: Path, **more: Any) -> Bundle:
        return export(self.model, target=self.target, costs=self.costs, out=out, **more)

    def with_fixed_predictions(self) -> Finished:
        """Figures that golden files can state, so that they do not follow every calibration; the exact ones stay."""
        size = len(self.model.tflite)
        costs = replace(
            self.costs,
            code_bytes=42_000,
            code_low_bytes=41_000,
            code_high_bytes=43_000,
            flash_bytes=size + 42_000,
            instructions=33_497,
            cycles=42_818,
            cycles_low=38_000,
            cycles_high=47_000,
            latency_us=669.0,
            energy_uj=5.5,
        )
        return replace(self, costs=costs)

    def with_model(self, **changes: Any) -> Finished:
        return replace(self, model=replace(self.model, **changes))

    def with_task(self, **changes: Any) -> Finished:
        return self.with_model(task=replace(self.model.task, **changes))


def make_finished(
    path: Path = TCN,
    *,
    name: str = "kws",
    raw_type: RawType = "int16",
    golden_count: int = 3,
    target_name: str = "nrf52840",
) -> Finished:
    data = path.read_bytes()
    target = load_target(target_name)
    port, output = TflmModel(data).input, TflmModel(data).output
    channels = port.shape[-1]
    rng = np.random.default_rng(7)
    shape = (golden_count, *port.shape)
    match raw_type:
        case "uint8":
            raw = rng.integers(0, 256, shape).astype(np.uint8)
            offset, scale = (127.5,), (0.01,)
        case "int16":
            raw = rng.integers(-(2**15), 2**15, shape).astype(np.int16)
            offset, scale = tuple(rng.normal(0, 99, channels)), tuple(rng.uniform(1e-4, 1e-3, channels))
        case _:
            raw = rng.normal(0, 1, shape).astype(np.float32)
            offset, scale = (0.1,), (1.7,)
    task = TaskInfo(
        name="five gestures",
        input_shape=port.shape,
        class_names=tuple(f"gesture {index}" for index in range(output.size)),
        preprocess=Preprocess(raw_type=raw_type, offset=offset, scale=scale),
        source="random samples",
        licence="CC0-1.0",
        samples={"train": 80, "val": 10, "test": 10},
    )
    model = TrainedModel(
        name=name,
        tflite=data,
        task=task,
        golden_inputs=raw,
        accuracies=(
            Accuracy(
                part="test",
                engine="tflm",
                correct=9,
                total=10,
                confusion=((4, 1, 0, 0, 0), (0, 5, 0, 0, 0), (0,) * 5, (0,) * 5, (0,) * 5),
            ),
            Accuracy(part="val", engine="litert", correct=8, total=10),
        ),
        provenance={"seed": 1, "trial": 12, "space": "ds_cnn"},
        golden_share=GoldenShare(noticed=295, tried=300),
    )
    costs = CostModel(target).estimate(read_graph(data), file_bytes=len(data))
    return Finished(model=model, target=target, costs=costs)


@pytest.fixture(scope="session")
def finished() -> Finished:
    return make_finished()


@pytest.fixture
def bundle(finished: Finished, tmp_path: Path) -> Bundle:
    return finished.export(tmp_path / "bundle")


@pytest.fixture
def make() -> Callable[..., Finished]:
    return make_finished
