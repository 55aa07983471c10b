from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from nas.export import Bundle, verify
from nas.export.exporter import list_formats
from nas.export.verify import NO_COMPILER

from .conftest import Finished


@pytest.mark.parametrize("format_name", list_formats())
def test_every_layout_is_verified_alike(finished: Finished, tmp_path: Path, format_name: str) -> None:
    bundle = finished.export(tmp_path / "b", format=format_name)
    assert verify(bundle, cross=False).notes in ((), (NO_COMPILER,))
    assert bundle.manifest.format == format_name


@pytest.mark.parametrize("format_name", list_formats())
def test_layouts_differ_in_paths_alone(finished: Finished, tmp_path: Path, format_name: str) -> None:
    plain = by_role(finished.export(tmp_path / "plain"))
    other = by_role(finished.export(tmp_path / "other", format=format_name))
    shared = set(plain) & set(other) - {"self_test_main"}
    assert {"model_source", "runner_source", "io_source", "api_header", "document"} <= shared
    assert all(plain[role] == other[role] for role in shared)


def by_role(bundle: Bundle) -> dict[str, str]:
    return {
        entry.role: entry.sha256 for entry in bundle.manifest.files if entry.role not in ("build", "example")
    }


def test_the_pack_description_names_files_that_are_there(finished: Finished, tmp_path: Path) -> None:
    bundle = finished.export(tmp_path / "b", format="cmsis-pack")
    root = ElementTree.parse(bundle.path / "mcu_nas.kws.pdsc").getroot()
    names = [str(element.get("name")) for element in root.iter("file")]
    assert "src/kws.cc" in names
    assert all((bundle.path / name).exists() for name in names)


def test_the_platformio_description_is_json_and_names_folders_that_are_there(
    finished: Finished, tmp_path: Path
) -> None:
    bundle = finished.export(tmp_path / "b", format="platformio")
    data = json.loads((bundle.path / "library.json").read_text())
    assert (bundle.path / data["build"]["includeDir"] / data["headers"]).is_file()
    assert (bundle.path / data["examples"][0]["base"] / data["examples"][0]["files"][0]).is_file()


def test_the_arduino_properties_have_every_field_that_the_library_manager_wants(
    finished: Finished, tmp_path: Path
) -> None:
    bundle = finished.export(tmp_path / "b", format="arduino")
    lines = (bundle.path / "library.properties").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url"} <= set(
        fields
    )
    assert (bundle.path / "src" / fields["includes"]).is_file()


@pytest.mark.parametrize(
    ("format_name", "file"), [("zephyr", "zephyr/module.yml"), ("esp-idf", "idf_component.yml")]
)
def test_yaml_descriptions_parse_whatever_the_task_is_called(
    finished: Finished, tmp_path: Path, format_name: str, file: str
) -> None:
    bundle = finished.with_task(name='odd: "task" <&> #1').export(tmp_path / "b", format=format_name)
    assert isinstance(yaml.safe_load((bundle.path / file).read_text()), dict)


@pytest.mark.parametrize("format_name", list_formats())
def test_odd_task_names_and_labels_survive_every_layout(
    finished: Finished, tmp_path: Path, format_name: str
) -> None:
    names = ('say "hi"', "a\\b", "größer", "??=", "%d */ //")
    odd = finished.with_task(name='odd */ "task" <&>\n#1 \\', class_names=names)
    bundle = odd.export(tmp_path / "b", format=format_name)
    assert verify(bundle, cross=False).golden_count == 3
    if format_name == "cmsis-pack":
        ElementTree.parse(bundle.path / "mcu_nas.kws.pdsc")
    if format_name == "platformio":
        json.loads((bundle.path / "library.json").read_text())
