"""`nas-run --explain`: what a budget admits, known before anything is trained."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_models.budget import parse_limits
from cost_models.costing import CostModel
from cost_models.errors import UserError
from nas.cli.run import main
from nas.model.explanation import ExplainedSpace, Explanation
from nas.model.statistics import wilson
from nas.report import explained
from nas.report.explain_page import render_explanation
from nas.report.quantities import percent, resource_of, three_digits_up
from nas.run.config import RunConfig
from nas.run.explain import explain
from nas.run.folder import RunFolder, save_config
from nas.run.pipeline import NothingFitsError, plan
from nas.run.setup import prepare
from search_spaces.choices import Choices
from search_spaces.space import PRUNE_RATIOS, list_spaces

TIGHT = "sram=4KB,flash=60KB,latency=5ms"


@pytest.fixture(scope="module")
def found() -> Explanation:
    return explain(RunConfig(budget=TIGHT), spaces=["ds_cnn", "mlp"], draws=150)


def space(found: Explanation, name: str) -> ExplainedSpace:
    return next(each for each in found.spaces if each.space == name)


def test_all_shipped_spaces_are_looked_at_where_none_is_named() -> None:
    told: list[str] = []
    found = explain(RunConfig(), draws=3, say=told.append)
    assert tuple(each.space for each in found.spaces) == list_spaces() == tuple(told)


def test_a_share_is_of_the_networks_drawn_and_has_the_interval_of_its_sampling(found: Explanation) -> None:
    for each in found.spaces:
        assert each.drawn == 150 < each.seen
        assert (each.given.low, each.given.high) == wilson(each.given.fitting, 150)
        assert each.given.low <= each.given.fitting / 150 <= each.given.high


def test_the_share_is_what_screening_the_same_draws_says(found: Explanation) -> None:
    job = prepare(RunConfig(budget=TIGHT, space="ds_cnn", seed=0))
    rng = job.rng("explain ds_cnn")
    fitting = sum(job.screen(Choices(rng=rng)).fits for _ in range(150))
    assert space(found, "ds_cnn").given.fitting == fitting


def test_doubling_never_admits_less_and_never_less_capacity(found: Explanation) -> None:
    for each in found.spaces:
        everything = each.variants[-1]
        assert len(everything.doubled) == 3
        for variant in each.variants[1:]:
            assert each.given.fitting <= variant.fitting <= everything.fitting
            for size in ("most_macs", "most_weights"):
                assert (getattr(each.given, size) or 0) <= (getattr(variant, size) or 0)


def test_the_smallest_limit_admits_a_network_and_is_no_larger_than_one_that_does(found: Explanation) -> None:
    for each in found.spaces:
        for limit in each.limits:
            assert limit.least is not None
            assert limit.least_of_any is not None
            assert limit.least_of_any <= limit.least <= limit.limit


def test_the_smallest_limits_of_a_space_that_can_be_counted_are_the_right_ones() -> None:
    path = "examples/own_space.py"
    limits = {"sram": 6000, "flash": 50_000}  # neither keeps all networks
    job = prepare(RunConfig(budget="sram=6000,flash=50000", space=path))
    costs = []
    for filters, growth, ratio in itertools.product(range(4, 33, 4), range(1, 4), PRUNE_RATIOS):
        costed = job.screen(Choices({"filters": filters, "growth": growth, "prune_ratio": ratio})).costs
        assert costed is not None
        costs.append({"sram": costed.sram_bytes, "flash": costed.flash_bytes, "macs": costed.macs})
    found = explain(RunConfig(budget="sram=6000,flash=50000"), spaces=[path], draws=500).spaces[0]
    for name, other in (("sram", "flash"), ("flash", "sram")):
        right = min(cost[name] for cost in costs if cost[other] <= limits[other])
        assert next(limit.least for limit in found.limits if limit.resource == name) == right
    fitting = [cost for cost in costs if all(cost[name] <= limits[name] for name in limits)]
    assert 0 < len(fitting) < len(costs)
    assert found.given.most_macs == max(cost["macs"] for cost in fitting)


def test_no_dry_run_finds_a_network_below_the_smallest_limit(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (90, 28, 28, 1), "uint8")
    np.savez(pictures, X=pixels, y=np.arange(90) % 3)
    config = RunConfig(task=f"npz:{pictures}", space="mbv2", budget="64KB", seed=0)
    for limit in explain(config, spaces=["mbv2"]).spaces[0].limits:
        assert limit.least is not None
        below = {"budget": f"{limit.resource}={limit.least - 1:.0f}", "seed": 1}
        with pytest.raises(NothingFitsError):
            plan(config.model_copy(update=below)).check()


def test_the_smallest_limit_is_known_where_no_network_drawn_keeps_the_others() -> None:
    least = explain(RunConfig(), spaces=["mbv2"], draws=400).spaces[0].limits[1].least
    flash = f"flash={(least or 0) * 1.005:.0f}"
    found = explain(RunConfig(budget=f"sram=500,{flash}"), spaces=["mbv2"], draws=400).spaces[0]
    assert found.limits[1].over == found.drawn
    sram = found.limits[0].least
    assert sram is not None
    assert explain(RunConfig(budget=f"sram={sram:.0f},{flash}"), spaces=["mbv2"], draws=400).fits


def test_the_limit_that_most_networks_break_binds(found: Explanation) -> None:
    binding = space(found, "ds_cnn").binding
    assert binding is not None
    assert binding.over == max(limit.over for limit in space(found, "ds_cnn").limits)
    assert binding.over_alone <= binding.over
    assert (binding.median_excess or 0) > 0
    wide = explain(RunConfig(), spaces=["mlp"], draws=20).spaces[0]
    assert wide.given.fitting == 20
    assert wide.binding is None


def test_two_calls_say_the_same() -> None:
    one, other = (explain(RunConfig(budget=TIGHT), spaces=["mlp"], draws=30).as_json() for _ in range(2))
    assert {**one, "seconds": 0} == {**other, "seconds": 0}
    assert explain(RunConfig(budget=TIGHT, seed=9), spaces=["mlp"], draws=30).seed == 9


def test_a_slow_machine_draws_fewer_and_says_how_many() -> None:
    found = explain(RunConfig(), spaces=["mbv2"], draws=10**6, seconds=0.5)
    drawn = found.spaces[0].drawn
    assert 1 <= drawn < 10**6
    assert f"Shares are of {drawn:,} networks" in " ".join(explained.how(found))


def test_a_doubled_limit_beyond_the_chip_is_said_to_be() -> None:
    each = explain(RunConfig(), spaces=["mlp"], draws=5).spaces[0]
    beyond = {variant.doubled: variant.beyond for variant in each.variants}
    assert beyond[("sram",)] == ("sram",)
    assert beyond[()] == ()


def test_a_space_without_networks_for_the_input_says_so(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    np.savez(path, X=np.random.default_rng(0).normal(size=(300, 30)).astype("float32"), y=np.arange(300) % 3)
    found = explain(RunConfig(task=f"npz:{path}"), draws=5)
    assert [each.space for each in found.spaces if each.refused is None] == ["autoencoder", "mlp"]
    assert "needs an axis of time" in str(space(found, "tcn").refused)
    page = render_explanation(found)
    assert "tcn is left out: The search space tcn needs an axis of time" in page


def test_where_nothing_fits_the_closest_miss_is_named_and_the_factor_that_would_do() -> None:
    found = explain(RunConfig(budget="sram=1KB,flash=20KB"), spaces=["ds_cnn"], draws=50)
    each = found.spaces[0]
    assert not found.fits
    assert each.given.most_macs is None
    assert each.limits[0].least is None
    (said,) = explained.misses(found)
    assert "is over the limit of" in said
    assert (
        f"All limits {three_digits_up(1 + (each.closest_excess or 0)):.3g} times as large would admit it."
        in said
    )
    wider = 1024 * (1 + (each.closest_excess or 0)) * 1.001
    again = explain(RunConfig(budget=f"sram={wider:.0f},flash={20 * wider:.0f}"), spaces=["ds_cnn"], draws=50)
    assert again.fits


def test_networks_that_the_target_has_no_costs_for_are_said_not_to_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UserError("Its memory is not known.", "Replace it.")

    monkeypatch.setattr(CostModel, "estimate", refuse)
    found = explain(RunConfig(budget=TIGHT), spaces=["mlp"], draws=10)
    each = found.spaces[0]
    assert (each.uncosted, each.given.fitting, each.binding, each.closest_excess) == (10, 0, None, None)
    assert not found.fits
    json.dumps(found.as_json(), allow_nan=False)
    assert explained.misses(found) == [
        "mlp: of the closest network found, Its memory is not known. Replace it."
    ]
    assert explained.binding_text(each) == "none: the target has no costs for the others"
    assert "The target has no costs for 10 of the networks of mlp" in " ".join(explained.how(found))
    assert "Its memory is not known" in render_explanation(found)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose recorded accuracy grows with the networks' MACs."""
    config = RunConfig(seed=1, space="mlp")
    job = prepare(config)
    folder = RunFolder(path=tmp_path_factory.mktemp("earlier"))
    save_config(folder, config, job.dataset.digest())
    rng = np.random.default_rng(3)
    trials: list[dict[str, Any]] = []
    for number in range(30):
        choices = Choices(rng=rng)
        costs = job.screen(choices).costs
        assert costs is not None
        trials.append(
            {
                "number": number,
                "digest": "abcdef",
                "state": "evaluated",
                "params": choices.params,
                "steps": 500,
                "accuracy": costs.macs / 1e6,
                "tflm_accuracy": None,
            }
        )
    folder.result_file.write_text(json.dumps({"trials": trials, "front": [0], "chosen": None}))
    return folder.path


def test_an_earlier_run_says_the_best_accuracy_it_recorded_of_what_fits(earlier: Path) -> None:
    config = RunConfig(budget="flash=40KB", warm_start=str(earlier))
    found = explain(config, draws=20)
    assert found.record is not None
    assert (found.record.space, found.record.trainings) == ("mlp", 30)
    given, flash = (space(found, "mlp").variants[i].recorded for i in (0, 2))
    assert given is not None
    assert flash is not None
    assert given.best is not None
    assert flash.best is not None
    assert given.networks < flash.networks
    assert given.best < flash.best  # as the record was made
    # Capacity bounds it: the record holds nothing larger than the largest that fits.
    assert given.best * 1e6 <= (space(found, "mlp").given.most_macs or 0) * 1.5
    assert space(found, "tcn").given.recorded is None
    said = " ".join(explained.how(found))
    assert "It is from that record, not a prediction" in said


def test_an_earlier_run_of_another_space_than_the_one_named_is_refused(earlier: Path) -> None:
    with pytest.raises(UserError, match="searched the space mlp, not tcn"):
        explain(RunConfig(space="tcn", warm_start=str(earlier)), spaces=["tcn"], draws=5)


def test_choices_that_the_space_no_longer_asks_for_are_refused(earlier: Path, tmp_path: Path) -> None:
    changed = RunFolder(path=tmp_path / "changed")
    changed.path.mkdir()
    changed.config_file.write_bytes((earlier / "config.json").read_bytes())
    result = json.loads((earlier / "result.json").read_text())
    result["trials"][0]["params"] = {"nothing": 1}
    changed.result_file.write_text(json.dumps(result))
    with pytest.raises(UserError, match="The choices of the earlier run are not those that mlp asks for"):
        explain(RunConfig(warm_start=str(changed.path)), spaces=None, draws=3)


def test_words_json_and_page_say_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "budget.html"
    argv = ["--explain", str(page), "--space", "mlp", "--budget", "sram=1KB,flash=40KB"]
    assert main(argv) == 0
    words = capsys.readouterr().out
    assert main([*argv, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    variant, drawn = content["spaces"][0]["variants"][0], content["spaces"][0]["drawn"]
    share = percent(variant["fitting"] / drawn).replace("\u00a0", " ")
    html = page.read_text(encoding="utf-8").replace("\u00a0", " ")
    for text in (words, html):
        assert share in text
        assert "2,000 networks drawn at random" in text
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")


def test_explain_as_a_word_is_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--space", "mlp", "--budget", "sram=100", "--json"]
    assert main(["explain", *argv]) == main(["--explain", *argv]) == 3
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["spaces"] == second["spaces"]


@pytest.mark.parametrize(
    ("resource", "value"),
    [
        ("sram", 1856.0),  # 1.8 KB to the nearest tenth, which is less
        ("sram", 10352.0),
        ("flash", 99.0),
        ("flash", 4_400_123.0),
        ("latency", 123.4),
        ("latency", 9_871.0),
        ("latency", 1_234_567.0),
        ("energy", 45.67),
        ("power", 1234.5),
        ("cycles", 254_321.0),
        ("instructions", 999.0),
    ],
)
def test_the_smallest_limit_admits_a_network_as_it_is_shown(resource: str, value: float) -> None:
    shown = resource_of(resource).limit_text(value).replace("\u00a0", "").replace(",", "")
    limit = parse_limits(f"{resource}={shown}")[resource]
    assert value <= limit <= value * 1.06


def test_nothing_fits_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain", "--space", "mlp", "--budget", "sram=100"]) == 3
    assert "Nothing was found that fits nrf52840" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--explain", "page.txt"],
            "--explain takes page.txt for the page. Name it FILE.html, or give no name.",
        ),
        (
            ["--explain", "no/such/page.html"],
            "no/such/page.html cannot be written. Name a file in a folder that exists.",
        ),
        (["--explain", "--resume", "r"], "--explain and --resume do not go together. Leave one of them out."),
        (["--explain", "--dry-run"], "--explain and --dry-run do not go together. Leave one of them out."),
        (["--explain", "--submit", "u"], "--explain and --submit do not go together. Leave one of them out."),
        (["--explain", "--space", "ds_cn"], "There is no search space 'ds_cn'. Did you mean ds_cnn?"),
        (
            ["--explain", "--warm-start", "nowhere"],
            "nowhere is not a run. --warm-start takes the folder of an earlier run.",
        ),
    ],
)
def test_a_mistake_gets_a_sentence_a_hint_and_exit_code_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"nas-run: {message}\n")


def test_explaining_loads_neither_tensorflow_nor_ray_nor_optuna() -> None:
    code = (
        "import sys; from nas.run.config import RunConfig; from nas.run.explain import explain;"
        "explain(RunConfig(), draws=2);"
        "print(sorted({'tensorflow', 'tf_keras', 'ray', 'optuna', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
