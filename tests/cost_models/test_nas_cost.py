"""`nas-cost` from the command line: what it prints, its exit codes, and what it never imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cost_models.arena.report import timeline
from cost_models.compressed import compress
from cost_models.cycles.paths import COUNTERS
from cost_models.lean import lean
from cost_models.target_names import list_targets
from cost_models.tflite_graph import read_graph
from tests.cost_models.conftest import Run
from tests.cost_models.few_values import in_steps, with_few_values

MODELS = Path(__file__).parents[1] / "data" / "calibration"
MODEL = str(MODELS / "ds_cnn-20059.tflite")
OTHER = str(MODELS / "resnet-20138.tflite")
HEAVY = ("tensorflow", "tf_keras", "ray", "optuna", "numpy", "plotly", "sklearn", "search_spaces", "nas")
KEYS = [
    "path",
    "ops",
    "macs",
    "sram_bytes",
    "arena_used_bytes",
    "flash_bytes",
    "model_bytes",
    "cycles",
    "cycles_low",
    "cycles_high",
    "instructions",
    "latency_us",
    "energy_uj",
    "basis",
    "fits",
    "per_op",
]


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "broken.tflite"
    path.write_bytes(Path(MODEL).read_bytes()[:100])
    return str(path)


def as_json(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    return document


def test_json_has_the_published_schema(run: Run) -> None:
    code, out, err = run(MODEL, OTHER, "--json")
    document = as_json(out)
    assert (code, err) == (0, "")
    assert list(document) == ["schema", "target", "models"]
    assert (document["schema"], document["target"]) == (1, "nrf52840")
    assert [entry["path"] for entry in document["models"]] == [MODEL, OTHER]
    for entry in document["models"]:
        assert list(entry) == KEYS
        assert entry["fits"] is True
        assert len(entry["per_op"]) == entry["ops"]
        assert [part["index"] for part in entry["per_op"]] == list(range(entry["ops"]))
        assert all(
            list(part) == ["index", "op", "macs", "instructions", "cycles", "basis"]
            for part in entry["per_op"]
        )
        assert entry["macs"] == sum(part["macs"] for part in entry["per_op"])
        assert entry["instructions"] == sum(part["instructions"] for part in entry["per_op"])


def test_a_file_is_costed_as_it_stands(run: Run) -> None:
    _, out, _ = run(MODEL, "--json")
    assert as_json(out)["models"][0]["model_bytes"] == Path(MODEL).stat().st_size


def test_lean_shows_both(run: Run) -> None:
    code, out, _ = run(MODEL, "--json", "--lean")
    entry = as_json(out)["models"][0]
    assert code == 0
    assert list(entry) == [*KEYS, "lean"]
    assert list(entry["lean"]) == KEYS[1:]
    assert entry["lean"]["model_bytes"] == len(lean(Path(MODEL).read_bytes())) < entry["model_bytes"]
    code, out, _ = run(MODEL, "--lean")
    assert code == 0
    assert "leaned" in out


def test_compressed_shows_both_and_says_what_decode_takes(run: Run, tmp_path: Path) -> None:
    few = tmp_path / "few.tflite"
    few.write_bytes(with_few_values(Path(MODEL).read_bytes(), in_steps(15)))
    code, out, _ = run(str(few), "--json", "--compressed")
    entry = as_json(out)["models"][0]
    assert code == 0
    assert list(entry["compressed"]) == KEYS[1:]
    assert entry["compressed"]["model_bytes"] == len(compress(few.read_bytes())) < entry["model_bytes"]
    assert entry["compressed"]["flash_bytes"] > entry["flash_bytes"]  # the code of DECODE
    assert "TFLM_DECODE" in {part["op"] for part in entry["compressed"]["per_op"]}
    code, out, _ = run(str(few), "--compressed")
    assert code == 0
    assert "compressed" in out


def test_targets_without_calibration_give_null_not_a_guess(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "nrf52840"\ncore = "cortex-m23"\n', encoding="utf-8")
    code, out, _ = run(MODEL, "--json", "--target", str(mine))
    entry = as_json(out)["models"][0]
    assert code == 0
    assert [entry[key] for key in ("cycles", "cycles_low", "cycles_high", "latency_us", "energy_uj")] == [
        None
    ] * 5
    _, out, _ = run(MODEL, "--target", str(mine))
    assert "cycles and latency: not known: this target has no calibration." in out


def test_espressifs_chips_say_which_component_and_what_their_cycles_rest_on(run: Run) -> None:
    code, out, _ = run(MODEL, "--json", "--target", "esp32s3")
    entry = as_json(out)["models"][0]
    assert code == 0
    assert entry["instructions"] is None
    assert entry["cycles_low"] < entry["cycles"] < entry["cycles_high"]
    _, out, _ = run(MODEL, "--target", "esp32s3", "--per-op")
    said = out.replace("\n", " ")
    assert "cycles and latency: by the class of its core, with a 90 % interval for any board of it" in said
    assert "single kernels on an ESP32-S3: espressif/esp-nn@d45b843c: README.md." in said
    build = "TFLM 90b983c2 in esp-tflite-micro 99f49e14 with ESP-NN d45b843c"
    assert f"SRAM: exact for {build} on xtensa-lx7." in said


def test_a_model_over_its_budget_exits_with_1_and_says_by_how_much(run: Run) -> None:
    code, out, _ = run(MODEL, OTHER, "--budget", "1KB")
    assert code == 1
    assert "is over the limit of 1,024 B (1.0 KB)" in out
    code, out, _ = run(MODEL, "--budget", "1KB", "--json")
    assert code == 1
    assert as_json(out)["models"][0]["fits"] is False


def test_one_model_that_fits_does_not_make_up_for_another(run: Run) -> None:
    _, out, _ = run(MODEL, OTHER, "--json")
    sizes = sorted(entry["flash_bytes"] for entry in as_json(out)["models"])
    assert sizes[0] < sizes[1]
    code, out, _ = run(MODEL, OTHER, "--json", "--budget", f"flash={sizes[0]}")
    assert code == 1
    assert sorted(entry["fits"] for entry in as_json(out)["models"]) == [False, True]


def test_a_file_that_cannot_be_read_does_not_stop_the_others(run: Run, broken: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.tflite")
    code, out, err = run(broken, MODEL, missing, str(tmp_path), "--json")
    first, second, third, fourth = as_json(out)["models"]
    assert code == 2
    assert list(first) == ["path", "error"]
    assert (second["path"], second["fits"]) == (MODEL, True)
    assert third == {
        "path": missing,
        "error": "It cannot be read: No such file or directory. Give a file that can be read.",
    }
    assert fourth["error"] == "It is a folder. Give a regular file."
    assert f"nas-cost: {broken}: " in err
    assert "Traceback" not in err


def test_an_unreadable_file_outweighs_one_that_does_not_fit(run: Run, broken: str) -> None:
    assert run(MODEL, broken, "--budget", "1KB")[0] == 2


def test_only_unreadable_files_print_no_table(run: Run, broken: str) -> None:
    code, out, err = run(broken)
    assert (code, out) == (2, "")
    assert err.startswith(f"nas-cost: {broken}: ")


def test_a_file_larger_than_any_flash_is_refused_unread(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "large.tflite"
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    code, _, err = run(str(path))
    assert code == 2
    assert "It has more than 64 MB. That is not a file of the kind expected here." in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((MODEL, "--taget", "x"), "There is no flag --taget. Did you mean --target?"),
        ((MODEL, "--budgt=1KB"), "There is no flag --budgt. Did you mean --budget?"),
        ((MODEL, "--tar", "rp2040"), "There is no flag --tar. Did you mean --target?"),
        (("--json",), "There is no model to cost. Give one or more .tflite files."),
        ((MODEL, "--budget"), "Argument --budget: expected one argument. nas-cost --help lists the flags."),
        ((MODEL, "--target", "nrf5284"), "There is no target 'nrf5284'. Did you mean nrf52840?"),
        (
            (MODEL, "--budget", "256XB"),
            "Budget '256XB': sram has the unit 'XB'. Its units are B, KB or MB.",
        ),
        (
            (MODEL, "--budget", "-1KB", "--target", "rp2040"),
            "Budget '-1KB': sram must be more than 0."
            " Write it like 256KB, or like sram=256KB,flash=512KB,latency=50ms,energy=2mJ,cycles=3M.",
        ),
    ],
)
def test_a_mistake_is_a_sentence_a_hint_and_exit_code_2(
    run: Run, argv: tuple[str, ...], message: str
) -> None:
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err == f"nas-cost: {message}\n"


def test_a_capped_limit_is_said(run: Run) -> None:
    code, _, err = run(MODEL, "--budget", "256KB")
    assert code == 0
    assert err.startswith("nas-cost: sram=262,144 B is more than nrf52840 has to spare: the limit is ")


def test_per_op_shows_every_operator(run: Run) -> None:
    _, plain, _ = run(MODEL)
    code, out, _ = run(MODEL, "--per-op")
    assert code == 0
    assert "DEPTHWISE_CONV_2D" in out
    assert "DEPTHWISE_CONV_2D" not in plain


@pytest.mark.parametrize(("model", "scratch"), [(MODEL, False), (OTHER, True)])
def test_per_op_names_the_peak_and_what_is_alive_there(run: Run, model: str, scratch: bool) -> None:
    graph = read_graph(Path(model).read_bytes())
    memory = timeline(graph, kernels="cmsis_nn", core="cortex-m4")
    peak = memory.steps[memory.peak]
    assert any(buffer.tensor is None for buffer in peak.buffers) is scratch
    _, out, _ = run(model, "--per-op")
    kind = graph.operators[peak.operator].kind
    head = (
        f"Peak at operator {peak.operator} ({kind}): {peak.live_bytes:,} B of activations and scratch alive"
    )
    lines = out.splitlines()
    at = lines.index(head)
    listed = lines[at + 1 : at + 1 + len(peak.buffers)]
    for line, buffer in zip(listed, peak.buffers, strict=True):
        what = (
            f"scratch of operator {buffer.operator}" if buffer.tensor is None else f"tensor {buffer.tensor} "
        )
        assert line.lstrip().startswith(f"{buffer.size:,} B  {what}")
    assert any(line.endswith(", its input") for line in listed)
    assert any(line.endswith(", its output") for line in listed)
    assert f"The plan is {memory.planned_bytes:,} B long" in lines[at + 1 + len(peak.buffers)]


def test_two_files_of_the_same_name_are_told_apart(run: Run, tmp_path: Path) -> None:
    twin = tmp_path / Path(MODEL).name
    twin.write_bytes(Path(MODEL).read_bytes())
    _, out, _ = run(MODEL, str(twin), "--json")
    assert [entry["path"] for entry in as_json(out)["models"]] == [MODEL, str(twin)]


def test_targets_lists_every_target(run: Run) -> None:
    code, out, _ = run("--targets")
    assert code == 0
    assert all(name in out for name in list_targets())
    code, out, _ = run("--targets", "--json")
    assert code == 0
    assert [entry["name"] for entry in as_json(out)["targets"]] == list(list_targets())


def test_targets_say_what_their_latency_rests_on(run: Run) -> None:
    _, out, _ = run("--targets", "--json")
    entries = {entry["name"]: entry for entry in as_json(out)["targets"]}
    found = {name: (entries[name]["basis"], entries[name]["calibrated"]) for name in entries}
    assert found["nrf52832"] == ("measured", True)
    assert found["stm32u575"] == ("class", False)
    assert found["stm32f103"] == ("bound", False)
    assert found["esp32"] == ("class", False)
    _, out, _ = run("--targets")
    lines = {line.split()[1]: line.split()[-2] for line in out.splitlines() if line.startswith("│ ")}
    assert [lines[name] for name in ("nrf52832", "stm32u575", "stm32f103", "esp32")] == [
        "measured",
        "class",
        "bound",
        "class",
    ]


def test_a_class_shows_its_interval_and_says_what_it_is(run: Run) -> None:
    code, out, _ = run(MODEL, "--target", "stm32u575")
    assert code == 0
    assert "(class)" in out
    assert "cycles and latency: by the class of its core, with a 90 % interval for any board of it" in out
    assert "the class of Cortex-M33 boards: stm32l552, ra6m4, nrf5340, stm32u575." in out
    _, out, _ = run(MODEL, "--target", "stm32u575", "--json")
    assert as_json(out)["models"][0]["basis"] == "class"


def test_certainty_judges_by_the_upper_end_and_the_verdict_says_so(run: Run) -> None:
    _, out, _ = run(MODEL, "--target", "stm32u575", "--json")
    entry = as_json(out)["models"][0]
    limit = f"cycles={(entry['cycles'] + entry['cycles_high']) // 2}"
    code, out, _ = run(MODEL, "--target", "stm32u575", "--budget", limit)
    assert code == 0
    assert "Predictions are held to the limits by their middle; --certain takes their upper ends." in out
    assert "middle" not in run(MODEL, "--target", "stm32u575", "--budget", "sram=1MB")[1]
    code, out, err = run(MODEL, "--target", "stm32u575", "--budget", limit, "--certain")
    assert code == 1
    assert "cycles (upper end of its 90 % interval) is over the limit" in out
    assert "Predictions are held to the limits by the upper ends of their 90 % intervals." in out
    assert err == ""
    _, out, _ = run(MODEL, "--target", "stm32u575", "--budget", limit, "--certain", "--json")
    assert as_json(out)["certain"] is True


def test_an_operator_that_nobody_counted_leaves_the_rest_as_at_least(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = read_graph(Path(MODEL).read_bytes()).operators[0].kind
    monkeypatch.setitem(COUNTERS, "cmsis_nn", {k: v for k, v in COUNTERS["cmsis_nn"].items() if k != kind})
    code, out, _ = run(MODEL)
    assert code == 0
    missing = (
        f"its instructions, cycles, latency and energy are those of all operators but {kind}, whose instructions nobody"
        " counted on cortex-m4: at least so much, without an upper end."
    )
    assert f"{MODEL}: {missing}" in out
    assert "at least" in out
    assert "calibrated, with its 90 %" not in out
    _, out, _ = run(MODEL, "--json")
    entry = as_json(out)["models"][0]
    assert (entry["cycles_high"], entry["basis"], entry["uncounted"]) == (None, "at least", [kind])
    known = [each["cycles"] for each in entry["per_op"]]
    assert None in known
    assert entry["cycles"] == sum(each for each in known if each is not None) > 0
    code, _, err = run(MODEL, "--budget", "latency=1s")
    assert code == 2
    assert err == (
        f"nas-cost: {MODEL}: Whether latency keeps its limit is not known: {missing}"
        " Limit sram or flash, or leave that operator out of the network.\n"
    )


def test_a_limit_below_what_the_known_operators_take_is_broken_whatever_the_others_take(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = read_graph(Path(MODEL).read_bytes()).operators[0].kind
    monkeypatch.setitem(COUNTERS, "cmsis_nn", {k: v for k, v in COUNTERS["cmsis_nn"].items() if k != kind})
    for certain in ((), ("--certain",)):
        code, out, _ = run(MODEL, "--budget", "cycles=100", *certain)
        assert code == 1
        assert "cycles at least " in out


def test_a_target_file_of_the_users_own_works_by_its_path(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tight.toml"
    path.write_text('extends = "nrf52840"\nsram_bytes = 9_000\n', encoding="utf-8")
    code, out, _ = run(OTHER, "--json", "--target", str(path))
    assert code == 1
    assert as_json(out)["target"] == "tight"


def python(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, check=False)


def test_help_imports_nothing_heavy() -> None:
    result = python("-X", "importtime", "-c", "from cost_models.cli import main; main(['--help'])")
    imported = {line.rsplit("|", 1)[1].strip() for line in result.stderr.splitlines() if "|" in line}
    assert "usage: nas-cost" in result.stdout
    assert "cost_models.cli" in imported
    assert not imported & {*HEAVY, "pydantic", "rich"}


def test_costing_never_imports_the_heavy_libraries() -> None:
    code = (
        "import sys; from cost_models.cli import main; code = main([sys.argv[1], '--lean', '--per-op']);"
        f" print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr); sys.exit(code)"
    )
    result = python("-c", code, MODEL)
    assert (result.returncode, result.stderr) == (0, "[]\n")


@pytest.mark.parametrize(
    ("argv", "verdict"),
    [(["--targets", "--json"], 0), ([MODEL], 0), ([MODEL, "--json", "--budget", "1KB"], 1)],
)
def test_a_closed_pipe_is_no_traceback_and_leaves_the_verdict(argv: list[str], verdict: int) -> None:
    code = "import sys; from cost_models.cli import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == verdict
