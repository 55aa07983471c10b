"""Predictions against what QEMU counted: a committed sample, and the whole calibration set where it lies."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from pathlib import Path

import pytest

from cost_models.calibrate import calibrate
from cost_models.cycles import predict
from cost_models.cycles.calibration import cross_validate, residual_of
from cost_models.cycles.coefficients import bare_kernels
from cost_models.cycles.counting import copy_at, fill_at
from cost_models.cycles.kernel_table import graph_of
from cost_models.cycles.measurements import SHORT_NAMES, MeasuredRun, read_kernels, read_runs
from cost_models.cycles.published import SOURCES, published
from cost_models.cycles.table import core_table
from cost_models.evaluation import row_of
from cost_models.target_file import load_target

SAMPLE = Path(__file__).with_name("cycles_sample.csv")
PROJECT = Path(__file__).resolve().parents[2]
CALIBRATION = PROJECT.parent / "shared" / "calibration"
needs_figures = pytest.mark.skipif(
    not CALIBRATION.is_dir(), reason="needs the measured figures beside the project"
)


def sample() -> list[dict[str, str]]:
    with SAMPLE.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize(
    "row", sample(), ids=lambda row: "-".join((row["cpu"], row["op"], row["input_shape"]))
)
def test_each_sampled_operator_is_predicted(row: dict[str, str]) -> None:
    work = predict(graph_of([row]), kernels=row["kernels"], core=SHORT_NAMES[row["cpu"]])
    table = core_table(row["kernels"], SHORT_NAMES[row["cpu"]])
    assert work.instructions is not None
    assert table is not None
    predicted = work.instructions - table.dispatch[0] - table.invoke[0]
    # What an exponential or a rounding takes depends on the data, by some per cent.
    # TFLM's portable mean is unrolled by the number of dimensions on some cores, which no loop of it says.
    tolerance = {"SOFTMAX": 0.06, "ADD": 0.06, "MEAN": 0.04}.get(row["op"], 0.02)
    assert predicted == pytest.approx(float(row["insns"]), rel=tolerance)


@pytest.mark.parametrize(
    ("size", "target", "source", "isa", "counted"),
    [
        (1, 0, 0, "dsp", 19),
        (7, 0, 0, "dsp", 25),
        (7, 1, 0, "dsp", 32),
        (13, 2, 3, "dsp", 45),
        (64, 1, 1, "dsp", 77),
        (250, 0, 0, "dsp", 161),
        (15, 0, 0, "scalar", 99),
        (63, 0, 0, "scalar", 117),
        (64, 1, 1, "scalar", 399),
        (3, 0, 0, "esp_rv32", 29),
        (7, 3, 0, "esp_rv32", 50),
        (37, 0, 0, "esp_rv32", 56),
        (200, 3, 3, "esp_rv32", 186),
    ],
)
def test_memcpy_takes_what_qemu_counted(size: int, target: int, source: int, isa: str, counted: int) -> None:
    assert copy_at(size, target, source, isa) == counted


@pytest.mark.parametrize(
    ("size", "target", "isa", "counted"),
    [
        (1, 0, "dsp", 15),
        (16, 0, "dsp", 37),
        (100, 1, "dsp", 92),
        (64, 0, "scalar", 67),
        (100, 1, "scalar", 109),
        (5, 3, "esp_rv32", 14),
    ],
)
def test_memset_takes_what_qemu_counted(size: int, target: int, isa: str, counted: int) -> None:
    assert fill_at(size, target, isa) == counted


@pytest.mark.parametrize(
    ("core", "kind", "elements", "counted"),
    [
        ("cortex-m0plus", "RELU", 700, 86_854),
        ("cortex-m7", "LOGISTIC", 700, 316_680),
        ("cortex-m55", "RELU6", 700, 7_859),
        ("cortex-m33", "LOGISTIC", 700, 253_750),
    ],
)
def test_activations_take_what_qemu_counted(core: str, kind: str, elements: int, counted: int) -> None:
    row = {"op": kind, "input_shape": f"1x{elements}", "output_shape": f"1x{elements}"}
    work = predict(graph_of([row]), kernels="cmsis_nn", core=core)
    table = core_table("cmsis_nn", core)
    assert work.instructions is not None
    assert table is not None
    assert work.instructions - table.dispatch[0] - table.invoke[0] == pytest.approx(counted, rel=0.02)


@needs_figures
def test_every_measured_model_is_predicted_within_two_per_cent() -> None:
    for run in read_runs(CALIBRATION):
        table = core_table(run.kernels, run.core)
        assert table is not None
        residual = residual_of(run, table)
        assert residual is not None
        assert abs(residual.instructions) < 0.02, (run.model, run.core, residual.instructions)


@needs_figures
@pytest.mark.slow
def test_models_of_families_left_out_stay_within_the_aim() -> None:
    kernels = read_kernels(PROJECT / "scripts" / "kernel_counts.csv")
    runs: dict[tuple[str, str], list[MeasuredRun]] = defaultdict(list)
    for run in read_runs(CALIBRATION):
        runs[run.kernels, run.core].append(run)
    assert len(runs) == 6
    for (library, core), measured in runs.items():
        residuals = cross_validate(measured, bare_kernels(kernels[core], library))
        assert len(residuals) > 0.9 * len(measured)
        errors = [abs(residual.instructions) for residual in residuals]
        assert statistics.median(errors) < 0.02, (library, core)
        assert max(errors) < 0.06, (library, core)


def test_rows_of_the_table_summarise_errors() -> None:
    row = row_of("x", "y", "z", [0.0, -0.1, 0.2, 0.0], exact=True)
    assert (row.cases, row.exact, row.median, row.worst) == (4, 0.5, 0.05, 0.2)


@needs_figures
@pytest.mark.parametrize("board", sorted(SOURCES))
def test_published_boards_replayed_as_new_ones_are_found_within_the_aim(board: str) -> None:
    target = load_target(board)
    measured = published(board, CALIBRATION, PROJECT / "scripts" / "mlperf_tiny_operators.csv")
    rates, check = calibrate(measured, target, source="replayed")
    assert check is not None
    assert check.median < 0.10
    assert 0.85 <= check.coverage <= 0.95
    # The shipped rates are these very ones.
    assert target.rates is not None
    assert rates.scale == pytest.approx(target.rates.scale, rel=0.02)
