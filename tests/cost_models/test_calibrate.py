"""`nas-calibrate`: logs become rates, a replayed board is found again, and each mistake has its sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from cost_models.calibrate import main, measurement, read_log
from cost_models.cycles import Rates, predict
from cost_models.cycles.boards import Measurement, fit_rates
from cost_models.cycles.table import core_table
from cost_models.rates_file import rates_toml, with_rates
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph

CALIBRATION = Path(__file__).resolve().parents[3] / "shared" / "calibration"
BOARD = Rates(
    scale=1.4,
    cycles_per_weight_byte=0.8,
    cycles_per_operator=500.0,
    spread_model=0.05,
    spread_operator=0.05,
    source="invented",
)
needs_models = pytest.mark.skipif(
    not CALIBRATION.is_dir(), reason="needs the measured figures beside the project"
)


def write_log(folder: Path, model: Path, rates: Rates, *, repeats: int = 1, noise: float = 0.0) -> Path:
    """The log that a board with these rates would print for a model."""
    graph = read_graph(model.read_bytes())
    work = predict(graph, kernels="cmsis_nn", core="cortex-m4", rates=rates)
    lines = []
    for repeat in range(repeats):
        lines.append('"Event","Tag","Ticks"')
        for part in work.operators():
            sign = 1 if (part.index + repeat) % 2 else -1
            lines.append(f"{part.index},{part.kind},{round((part.cycles or 0) * (1 + sign * noise))}")
    log = folder / f"{model.stem}.csv"
    log.write_text("\n".join(lines) + "\n")
    (folder / model.name).write_bytes(model.read_bytes())
    return log


def some_models(count: int) -> list[Path]:
    models = sorted((CALIBRATION / "models").glob("*.tflite"))
    return models[:: max(1, len(models) // count)][:count]


@needs_models
def test_replayed_logs_find_the_board_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = [write_log(tmp_path, model, BOARD, noise=0.01) for model in some_models(8)]
    target = tmp_path / "mine.toml"
    arguments = [*map(str, logs), "--target", str(target), "--extends", "stm32f407", "--json"]
    assert main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    rates = load_target(str(target)).rates
    assert rates is not None
    assert rates.scale == pytest.approx(1.4, rel=0.03)
    assert rates.cycles_per_weight_byte == pytest.approx(0.8, rel=0.15)
    assert report["check"]["median"] < 0.02
    assert report["check"]["coverage"] >= 0.8


@needs_models
def test_median_of_several_inferences_counts(tmp_path: Path) -> None:
    model = some_models(1)[0]
    log = read_log(write_log(tmp_path, model, BOARD, repeats=3))
    assert measurement(log).cycles == measurement(read_log(write_log(tmp_path, model, BOARD))).cycles


def test_an_inference_broken_off_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    (tmp_path / "log.tflite").write_bytes(b"")
    header = '"Event","Tag","Ticks"\n'
    log.write_text(f"noise\n{header}0,CONV_2D,5\n1,SOFTMAX,7\n{header}0,CONV_2D,900\n1,SOF")
    read = read_log(log)
    assert (read.tags, read.ticks) == (("CONV_2D", "SOFTMAX"), (5, 7))


@needs_models
def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    log = write_log(tmp_path, some_models(1)[0], BOARD)
    target = tmp_path / "mine.toml"
    assert main([str(log), "--target", str(target), "--extends", "nrf52840", "--dry-run"]) == 0
    assert not target.exists()


def one_operator(cycles: float, channels: int) -> Measurement:
    from cost_models.cycles.kernel_table import graph_of

    row = {
        "op": "CONV_2D",
        "input_shape": "1x8x8x8",
        "filter_shape": f"{channels}x3x3x8",
        "output_shape": f"1x8x8x{channels}",
        "stride_h": "1",
        "stride_w": "1",
        "padding": "SAME",
    }
    return Measurement(model=f"conv{channels}", graph=graph_of([row]), cycles=(cycles,))


def test_twice_the_cycles_give_twice_the_rates() -> None:
    table = core_table("cmsis_nn", "cortex-m4")
    assert table is not None
    fits = []
    for factor in (1.0, 2.0):
        measured = [one_operator(factor * 20_000 * channels, channels) for channels in (4, 8, 16, 24)]
        rates, _ = fit_rates(measured, table=table, kernels="cmsis_nn", core="cortex-m4", source="test")
        fits.append(rates)
    assert fits[1].scale == pytest.approx(2 * fits[0].scale, abs=0.02)


def test_what_every_operator_takes_is_no_more_than_the_quickest_took() -> None:
    table = core_table("cmsis_nn", "cortex-m4")
    assert table is not None
    measured = [one_operator(400_000 + 20_000 * channels, channels) for channels in (4, 8, 16, 24)]
    free, bounded = (
        fit_rates(
            measured, table=table, kernels="cmsis_nn", core="cortex-m4", source="test", quickest=quickest
        )[0]
        for quickest in (math.inf, 3000.0)
    )
    assert free.cycles_per_operator > 300_000
    assert bounded.cycles_per_operator == 3000.0
    assert bounded.scale > free.scale  # the rest of the fit makes up for it


def test_an_operator_that_copies_a_few_bytes_takes_microseconds_on_an_rp2040() -> None:
    """Person detection's RESHAPE took 2,625 cycles there (raspberrypi/pico-tflmicro@dfea53b9)."""
    rates = load_target("rp2040").rates
    assert rates is not None
    assert rates.cycles_per_operator <= 2625


def test_rates_replace_the_old_table_and_keep_every_other_line() -> None:
    text = 'title = "x"\n# a remark\n\n[rates]\nscale = 9.0\n\n[sources]\ncore = "here"\n'
    new = with_rates(text, BOARD)
    assert "scale = 9.0" not in new
    assert rates_toml(BOARD) in new
    assert new.index("# a remark") < new.index("[rates]") < new.index("[sources]")
    assert with_rates(new, BOARD) == new


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    return capsys.readouterr().err


def test_a_file_without_events_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text("hello\n")
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", "nrf52840")
    assert f"{log} holds no profiler events." in error


def test_a_missing_log_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "none.csv"
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", "nrf52840")
    assert f"{log} cannot be read: No such file or directory." in error


def test_a_log_without_its_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text('"Event","Tag","Ticks"\n0,CONV_2D,12\n')
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", "nrf52840")
    assert f"The model of {log} is not at {tmp_path / 'log.tflite'}." in error
    log.write_text('# model: gone.tflite\n"Event","Tag","Ticks"\n0,CONV_2D,12\n')
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", "nrf52840")
    assert "Mend its '# model:' line." in error


def test_ticks_of_zero_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text('"Event","Tag","Ticks"\n0,CONV_2D,0\n')
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", "nrf52840")
    assert f"{log} has an operator of no ticks." in error


def test_two_models_in_one_log_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text('"Event","Tag","Ticks"\n0,CONV_2D,5\n"Event","Tag","Ticks"\n0,SOFTMAX,5\n')
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", "nrf52840")
    assert f"{log} holds logs of different models." in error


@needs_models
def test_a_log_of_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = some_models(1)[0]
    log = write_log(tmp_path, model, BOARD)
    log.write_text('"Event","Tag","Ticks"\n0,SOFTMAX,12\n')
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", "nrf52840")
    assert f"{log} is not a log of {tmp_path / model.name}: at operator 0" in error


def test_target_file_mistakes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = str(tmp_path / "log.csv")
    missing = tmp_path / "t.toml"
    assert f"{missing} does not exist." in complaint(capsys, log, "--target", str(missing))
    assert "is not a .toml file." in complaint(capsys, log, "--target", str(tmp_path / "t.txt"))
    missing.write_text('extends = "nrf52840"\n')
    error = complaint(capsys, log, "--target", str(missing), "--extends", "nrf52840")
    assert f"{missing} exists, so --extends has no use." in error


def test_a_wrong_tick_rate_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "t.toml")
    error = complaint(
        capsys, "log.csv", "--target", target, "--extends", "nrf52840", "--ticks-per-cycle", "0"
    )
    assert "--ticks-per-cycle is not a number above zero." in error


@needs_models
def test_a_core_never_counted_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_log(tmp_path, some_models(1)[0], BOARD)
    base = tmp_path / "base.toml"
    base.write_text(
        'title = "M23"\ncore = "cortex-m23"\nkernels = "cmsis_nn"\nclock_hz = 1000000\n'
        "sram_bytes = 100000\nflash_bytes = 1000000\n",
        encoding="utf-8",
    )
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", str(base))
    assert "Nothing is known of cmsis_nn kernels on cortex-m23." in error


def test_an_unknown_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nas-calibrate --help lists the flags." in complaint(capsys, "log.csv")


@pytest.mark.parametrize("ticks", ["nan", "inf", "0", "-1"])
def test_ticks_that_are_no_positive_number_are_refused(
    ticks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.csv"
    log.write_text("hello\n")
    target = ["--target", str(tmp_path / "t.toml"), "--extends", "nrf52840"]
    assert "--ticks-per-cycle is not a number above zero." in complaint(
        capsys, str(log), *target, "--ticks-per-cycle", ticks
    )


def test_a_target_that_cannot_be_read_or_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, binary = tmp_path / "folder.toml", tmp_path / "binary.toml"
    folder.mkdir()
    binary.write_bytes(b"\xff\xfe")
    log = tmp_path / "log.csv"
    log.write_text("hello\n")
    assert f"{folder} is not a file." in complaint(
        capsys, str(log), "--target", str(folder), "--extends", "nrf52840"
    )
    assert f"{binary} is not text in UTF-8" in complaint(capsys, str(log), "--target", str(binary))


def test_rates_that_no_target_can_have_leave_the_file_as_it_was(tmp_path: Path) -> None:
    from cost_models.calibrate import _replace
    from cost_models.errors import UserError

    target = tmp_path / "mine.toml"
    target.write_text('extends = "nrf52840"\ntitle = "mine"\n')
    before = target.read_text()
    with pytest.raises(UserError, match="would not load with these rates"):
        _replace(target, before + "\n[rates]\nscale = 0.0\n")
    assert target.read_text() == before
    with pytest.raises(UserError, match="cannot be written"):
        _replace(tmp_path / "no" / "t.toml", before)
    with pytest.raises(UserError, match="cannot be written"):
        _replace(target / "t.toml", before)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize("ticks", ["nan", "inf", "-inf"])
def test_a_log_whose_ticks_are_no_numbers_is_refused(
    ticks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.csv"
    log.write_text(f'"Event","Tag","Ticks"\n0,CONV_2D,{ticks}\n')
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", "nrf52840")
    assert error == f"nas-calibrate: {log} has ticks of {ticks}. Log a counter's whole numbers.\n"


def test_noise_longer_than_any_field_is_skipped(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    (tmp_path / "log.tflite").write_bytes(b"")
    log.write_text("x" * 200_000 + '\n"Event","Tag","Ticks"\n0,CONV_2D,5\n')
    assert read_log(log).ticks == (5,)


def test_the_model_of_a_log_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    (tmp_path / "log.tflite").write_bytes(b"")
    log.write_text('"Event","Tag","Ticks"\n0,CONV_2D,5\n')
    error = complaint(capsys, str(log), "--target", str(tmp_path / "t.toml"), "--extends", "nrf52840")
    assert f"{tmp_path / 'log.tflite'}: This is not a .tflite model" in error


SAMPLE = Path(__file__).parents[1] / "data" / "calibration" / "plain-20067.tflite"


@pytest.mark.parametrize("ticks_per_cycle", ["1e-300", "1e300"])
def test_cycles_that_no_chip_takes_are_refused_and_write_nothing(
    ticks_per_cycle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path, SAMPLE, BOARD)
    target = tmp_path / "t.toml"
    flags = ["--target", str(target), "--extends", "nrf52840", "--ticks-per-cycle", ticks_per_cycle]
    error = complaint(capsys, str(log), *flags)
    assert f"{log} has operators of " in error
    assert "Check the ticks and --ticks-per-cycle." in error
    assert not target.exists()


@pytest.mark.parametrize("copies", [1, 2])
def test_too_few_cycles_for_any_rate_leave_the_file_as_it_was(
    copies: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mine.toml"
    target.write_text('extends = "nrf52840"\ntitle = "mine"\n')
    before = target.read_text()
    log = write_log(tmp_path, SAMPLE, BOARD)
    head = [line.rsplit(",", 1)[0] for line in log.read_text().splitlines()[1:]]
    text = '"Event","Tag","Ticks"\n' + "".join(f"{line},0.01\n" for line in head)
    logs = []
    for number in range(copies):
        logs.append(tmp_path / f"model{number}.csv")
        logs[-1].write_text(text)
        logs[-1].with_suffix(".tflite").write_bytes(SAMPLE.read_bytes())
    error = complaint(capsys, *map(str, logs), "--target", str(target))
    said = (
        "The logs give a rate of no cycles per ideal cycle." if copies == 1 else "of model0 explain no rates."
    )
    assert said in error
    assert target.read_text() == before


def test_a_single_model_is_said_to_leave_nothing_out_and_gets_a_wide_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path, SAMPLE, BOARD)
    target = tmp_path / "t.toml"
    arguments = [str(log), "--target", str(target), "--extends", "nrf52840"]
    assert main([*arguments, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["check"] is None
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "With a single model nothing could be left out" in out
    assert "models left out of the fit" not in out
    rates = load_target(str(target)).rates
    assert rates is not None
    assert min(rates.spread_model, rates.spread_operator) > 0.3
