from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cost_models.budget import Budget
from cost_models.errors import UserError
from nas.bundle import Bundle, export
from nas.bundle.layout import LAYOUTS, load_layout
from nas.bundle.manifest import MANIFEST_NAME, Manifest
from nas.bundle.operators import registration
from nas.model.trained import Preprocess

from .conftest import Finished, make_finished

GOLDEN = Path(__file__).parent / "golden"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_same_model_gives_the_same_bytes(finished: Finished, tmp_path: Path) -> None:
    first = contents(finished.export(tmp_path / "a").path)
    assert first == contents(finished.export(tmp_path / "b").path)
    assert first == contents(finished.export(tmp_path / "a").path)


def test_the_manifest_names_every_file_and_nothing_of_this_machine(bundle: Bundle, tmp_path: Path) -> None:
    text = (bundle.path / MANIFEST_NAME).read_text()
    data = json.loads(text)
    assert {entry["path"] for entry in data["files"]} | {MANIFEST_NAME} == set(contents(bundle.path))
    assert str(tmp_path) not in text
    assert Manifest.model_validate_json(text) == bundle.manifest
    assert data["schema"] == 1
    assert data["costs"]["sram_bytes"] == 2928


def test_the_published_schema_is_the_manifests(golden: Callable[[Path, str], None]) -> None:
    schema = Manifest.model_json_schema(by_alias=True)
    golden(
        Path(__file__).parents[3] / "docs" / "manifest.schema.json",
        json.dumps(schema, indent=1, sort_keys=True) + "\n",
    )


@pytest.mark.parametrize("format_name", LAYOUTS)
def test_the_emitted_text_is_the_golden_one(
    format_name: str, tmp_path: Path, golden: Callable[[Path, str], None]
) -> None:
    """Data arrays are compared once, in the plain layout."""
    bundle = make_finished(golden_count=1).with_fixed_predictions().export(tmp_path / "b", format=format_name)
    for entry in bundle.manifest.files:
        if entry.role == "model" or (
            format_name != "tflm" and entry.role not in ("build", "example", "self_test_main")
        ):
            continue
        text = (bundle.path / entry.path).read_text(encoding="utf-8")
        golden(GOLDEN / format_name / (entry.path + ".golden"), text)
    golden(GOLDEN / format_name / "files.golden", "\n".join(sorted(contents(bundle.path))) + "\n")


def test_the_resolver_takes_int8_kernels_alone_where_tflm_has_them(bundle: Bundle) -> None:
    runner = (bundle.path / "kws.cc").read_text()
    assert "resolver.AddConv2D(tflite::Register_CONV_2D_INT8())" in runner
    assert "resolver.AddSoftmax(tflite::Register_SOFTMAX_INT8())" in runner
    assert registration("MEAN").argument == ""
    assert "MicroMutableOpResolver<4>" in runner


def test_an_operator_without_kernel_is_refused() -> None:
    with pytest.raises(UserError, match=r"TFLM's resolver has no operator LSTM\."):
        registration("LSTM")


def test_an_unknown_format_is_refused_with_the_closest_one() -> None:
    with pytest.raises(UserError, match=r"There is no format 'tflmm'\. Did you mean tflm\?"):
        load_layout("tflmm")


def test_every_format_has_a_title() -> None:
    assert all(load_layout(name).title for name in LAYOUTS)


def test_labels_that_do_not_fit_the_outputs_are_refused(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"The model has 5 outputs and the task 3 classes\."):
        finished.with_task(class_names=("a", "b", "c")).export(tmp_path / "b")


def test_a_task_whose_samples_have_more_elements_than_the_input_is_refused(
    finished: Finished, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError,
        match=r"The task's samples have the shape \(3, 5\), the model's input \S.*Export the model with",
    ):
        finished.with_task(input_shape=(3, 5)).export(tmp_path / "b")


def test_a_model_without_labels_is_no_classifier_and_still_leaves(finished: Finished, tmp_path: Path) -> None:
    bundle = finished.with_task(class_names=()).export(tmp_path / "b")
    assert bundle.manifest.task.class_names == ()


def test_golden_samples_of_another_type_or_shape_are_refused(finished: Finished, tmp_path: Path) -> None:
    raw = finished.model.golden_inputs
    with pytest.raises(UserError, match=r"The golden samples are uint8, the task's raw samples int16\."):
        finished.with_model(golden_inputs=raw.astype(np.uint8)).export(tmp_path / "b")
    with pytest.raises(UserError, match=r"have the shape \(3, 60, 1, 9\), the model's input \(64, 1, 9\)"):
        finished.with_model(golden_inputs=raw[:, :60]).export(tmp_path / "b")


def test_scalings_of_another_channel_count_are_refused(finished: Finished, tmp_path: Path) -> None:
    three = Preprocess(raw_type="int16", offset=(0.0, 1.0, 2.0), scale=(1.0,))
    with pytest.raises(UserError, match=r"The task scales 3 channels, the model has 9\."):
        finished.with_task(preprocess=three).export(tmp_path / "b")


def test_a_model_one_byte_over_its_budget_is_refused(finished: Finished, tmp_path: Path) -> None:
    needed = finished.costs.sram_bytes
    fits = Budget.of({"sram": needed, "flash": 1 << 20})
    finished.export(tmp_path / "b", budget=fits)
    with pytest.raises(UserError, match=r"over its budget: sram 2,928 B .* over the limit of 2,927 B"):
        finished.export(tmp_path / "b", budget=Budget.of({"sram": needed - 1, "flash": 1 << 20}))


def test_a_folder_with_other_files_is_not_touched(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="holds files and is not a bundle"):
        finished.export(tmp_path)
    bundle = finished.export(tmp_path / "b")
    (bundle.path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match=r"holds mine\.txt, which the exporter did not write"):
        finished.export(bundle.path)
    assert (bundle.path / "mine.txt").read_text() == "keep"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "mine.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("a file")
    with pytest.raises(UserError, match="b is a file"):
        finished.export(tmp_path / "b")
    with pytest.raises(UserError, match="cannot be written"):
        finished.export(tmp_path / "b" / "below")


def test_the_model_card_states_accuracy_with_its_interval_and_by_class(bundle: Bundle) -> None:
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert "| test | TFLM | 9 of 10 | 0.9000 | 0.5958 to 0.9821 |" in card
    assert "| gesture 0 | 5 | 0.800 | 1.000 |" in card
    assert "CC0-1.0" in card


def test_the_model_card_says_by_how_much_the_validation_figure_is_expected_to_be_too_good(
    finished: Finished, tmp_path: Path
) -> None:
    optimism = {"value": 0.0123, "networks": 9, "paired": False, "groups": 0}
    test, validation = finished.model.accuracies
    bundle = finished.with_model(
        provenance=finished.model.provenance | {"optimism": optimism},
        accuracies=(test, replace(validation, hits="AAAA")),
    ).export(tmp_path / "b")
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert (
        "Of validation data: chosen among 9 trainings judged by the same samples, its figure is expected to be at most"
        " 1.2 points too good."
    ) in card
    assert "- optimism" not in card
    assert bundle.manifest.provenance["optimism"] == optimism
    assert "AAAA" not in (bundle.path / MANIFEST_NAME).read_text(), "answers to samples are for the run"


def test_card_and_manifest_have_both_halves_of_a_robust_metric_and_what_disturbs(
    finished: Finished, tmp_path: Path
) -> None:
    test, _ = finished.model.accuracies
    robust = replace(test, metric="robust_accuracy", score=0.8, interval=(0.5, 0.9), disturbed=0.7)
    measured = {
        "samples": 10,
        "metric": 0.9,
        "disturbances": [{"name": "gain 0.8", "metric": 0.75}],
        "attacks": [{"name": "PGD", "metric": 0.25}],
    }
    bundle = finished.with_model(
        accuracies=(robust,), provenance=finished.model.provenance | {"robustness": measured}
    ).export(tmp_path / "b")
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert (
        "The search went by robust accuracy: on test data 0.8000 by TFLM (95 % interval 0.5000 to 0.9000), the mean of"
        " 0.9000 on samples as they are and 0.7000 on disturbed ones."
    ) in card
    assert "The accuracy on 10 test samples that are disturbed" in card, (
        "disturbed ones are not disturbed once more"
    )
    assert "| gain 0.8 | 0.7500 |\n| PGD | 0.2500 |\n" in card
    (entry,) = bundle.manifest.accuracies
    assert (entry.metric, entry.score, entry.disturbed) == ("robust_accuracy", 0.8, 0.7)


def test_labels_cannot_break_the_cards_tables(finished: Finished, tmp_path: Path) -> None:
    bundle = finished.with_task(class_names=("a|b", "c\nd", "e", "f", "g")).export(tmp_path / "b")
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert r"| a\|b | 5 | 0.800 | 1.000 |" in card
    assert "| c d | 5 |" in card


def test_export_is_what_the_package_offers() -> None:
    assert export.__module__ == "nas.bundle.bundle"


def test_a_folder_keeps_its_place_and_never_loses_a_bundle(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "link").symlink_to("there")
    finished.export(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    before, number = contents(there), there.stat().st_ino
    (there / ".mcu-nas-killed" / "new").mkdir(parents=True)  # of an export that was killed
    monkeypatch.chdir(there)
    finished.export(Path())
    assert (contents(there), there.stat().st_ino) == (before, number)
    assert not list(there.glob(".mcu-nas-*"))


@pytest.mark.parametrize("moves", range(0, 30, 3))
def test_an_export_that_is_cut_short_leaves_the_bundle_as_it_was(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    finished.export(tmp_path / "b", format="zephyr")
    before = contents(tmp_path / "b")
    replace, calls = Path.replace, 0

    def cut(path: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == moves + 1:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", cut)
    try:
        finished.export(tmp_path / "b")
    except KeyboardInterrupt:
        assert contents(tmp_path / "b") == before
    else:
        assert calls <= moves
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
