from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cost_models.tflite_graph import read_graph
from nas.bundle import Bundle, verify
from nas.bundle.compiler import find_compiler
from nas.bundle.layout import LAYOUTS, load_layout
from nas.bundle.verify import NO_COMPILER
from nas.cli import check as check_cli
from nas.cli import exit_codes
from nas.testing import check_layout

from .conftest import TCN, Finished


@pytest.mark.parametrize("format_name", LAYOUTS)
def test_every_layout_is_verified_alike(finished: Finished, tmp_path: Path, format_name: str) -> None:
    bundle = finished.export(tmp_path / "b", format=format_name)
    assert verify(bundle, cross=False).notes in ((), (NO_COMPILER,))
    assert bundle.manifest.format == format_name


@pytest.mark.parametrize("format_name", LAYOUTS)
@pytest.mark.parametrize("target", ["nrf52840", "esp32s3"])
def test_every_layout_keeps_the_contract(format_name: str, target: str) -> None:
    check_layout(load_layout(format_name), TCN, target=target)


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


def test_zephyrs_arena_has_room_for_the_wider_structs_of_its_tflm(finished: Finished, tmp_path: Path) -> None:
    """Zephyr defines no TF_LITE_STATIC_MEMORY, and CMSIS_NN for TFLM's own sources alone."""
    bundle = finished.export(tmp_path / "b", format="zephyr")
    operators = len(read_graph(finished.model.tflite).operators)
    default = re.search(r"default (\d+)\n", (bundle.path / "Kconfig").read_text())
    assert default is not None
    assert 2928 + 12 * operators + 64 <= int(default[1]) < 2928 + 12 * operators + 64 + 16
    assert int(default[1]) % 16 == 0
    cmake = (bundle.path / "CMakeLists.txt").read_text()
    after = cmake.partition("zephyr_library_named(")[2]
    assert "_definitions_ifdef(CONFIG_TENSORFLOW_LITE_MICRO_CMSIS_NN_KERNELS CMSIS_NN)" in after


@pytest.mark.parametrize(
    ("format_name", "target_name", "foreign"),
    [
        ("esp-idf", "nrf52840", True),
        ("esp-idf", "esp32s3", False),
        ("esp-idf", "esp32c3", False),
        ("cmsis-pack", "esp32", True),
        ("cmsis-pack", "nrf52840", False),
        ("cmake", "esp32", False),
        ("zephyr", "esp32", False),
        ("tflm", "esp32s3", False),
    ],
)
def test_costs_of_a_core_that_the_layout_does_not_build_for_are_noted(
    make: Callable[..., Finished], tmp_path: Path, format_name: str, target_name: str, foreign: bool
) -> None:
    finished = make(target_name=target_name)
    notes = finished.export(tmp_path / "b", format=format_name).manifest.notes
    expected = (
        f"The costs are those of {finished.target.core} ({target_name}), which {format_name} does not build"
    )
    assert any(note.startswith(expected) for note in notes) == foreign
    of_espressif = target_name.startswith("esp32")
    expected = {
        (
            "tflm",
            True,
        ): "The arena is that of esp-tflite-micro 99f49e14 with ESP-NN d45b843c; other versions may",
        (
            "esp-idf",
            True,
        ): "The arena is that of esp-tflite-micro 99f49e14 with ESP-NN d45b843c; other versions may",
        (
            "esp-idf",
            False,
        ): "Arena, flash and cycles are those of the cmsis_nn kernels. ESP-NN's, which esp-tflite",
    }.get(
        (format_name, of_espressif),
        f"The costs are those of esp-tflite-micro 99f49e14 with ESP-NN d45b843c, which {format_name} does not build:",
    )
    assert any(note.startswith(expected) for note in notes) == (format_name == "esp-idf" or of_espressif)


def test_the_esp_idf_component_names_versions_and_what_is_not_modelled(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = finished.export(tmp_path / "b", format="esp-idf")
    component = yaml.safe_load((bundle.path / "idf_component.yml").read_text())
    assert component["dependencies"] == {"idf": ">=5.1", "espressif/esp-tflite-micro": "~1.3"}
    readme = (bundle.path / "README.md").read_text()
    assert len(bundle.manifest.notes) == 2
    assert all(note in readme for note in bundle.manifest.notes)
    assert check_cli.main([str(bundle.path)]) == exit_codes.DONE
    printed = capsys.readouterr().err
    assert all(note in printed for note in bundle.manifest.notes)


STUBS = {
    "kws_model.h": "",
    "tensorflow/lite/micro/micro_interpreter.h": "#error the runner has passed its checks",
}


@pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["-std=c++17"], "Define TF_LITE_STATIC_MEMORY as TFLM's own build does"),
        (["-std=c++17", "-DTF_LITE_STATIC_MEMORY"], "the runner has passed its checks"),
        (["-std=c++17", "-DKWS_TFLM_WITHOUT_STATIC_MEMORY"], "the runner has passed its checks"),
        (["-std=c++17", "-DARDUINO=10819"], "the runner has passed its checks"),
        (["-std=c++14", "-DTF_LITE_STATIC_MEMORY"], "the runner of kws is C++17"),
    ],
)
def test_the_runner_refuses_a_build_that_is_not_tflms(
    bundle: Bundle, tmp_path: Path, flags: list[str], complaint: str
) -> None:
    for name, text in STUBS.items():
        (tmp_path / "stubs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "stubs" / name).write_text(text + "\n")
    compiler = find_compiler()
    assert compiler is not None
    command = [
        compiler.cxx,
        *flags,
        "-fsyntax-only",
        "-I",
        str(tmp_path / "stubs"),
        str(bundle.path / "kws.cc"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    first = next(line for line in done.stderr.splitlines() if "error" in line)
    assert complaint in first


def test_layouts_hand_the_runner_what_it_asks_for(finished: Finished, tmp_path: Path) -> None:
    def text(format_name: str, name: str) -> str:
        return (finished.export(tmp_path / format_name, format=format_name).path / name).read_text()

    assert "-DTF_LITE_STATIC_MEMORY" in json.loads(text("platformio", "library.json"))["build"]["flags"]
    pack = ElementTree.fromstring(text("cmsis-pack", "mcu_nas.kws.pdsc"))
    assert "#define TF_LITE_STATIC_MEMORY" in str(pack.findtext(".//Pre_Include_Local_Component_h"))
    assert "zephyr_library_compile_definitions(KWS_TFLM_WITHOUT_STATIC_MEMORY)" in text(
        "zephyr", "CMakeLists.txt"
    )


@pytest.mark.parametrize(
    ("format_name", "file"), [("zephyr", "zephyr/module.yml"), ("esp-idf", "idf_component.yml")]
)
def test_yaml_descriptions_parse_whatever_the_task_is_called(
    finished: Finished, tmp_path: Path, format_name: str, file: str
) -> None:
    bundle = finished.with_task(name='odd: "task" <&> #1').export(tmp_path / "b", format=format_name)
    assert isinstance(yaml.safe_load((bundle.path / file).read_text()), dict)


@pytest.mark.parametrize("format_name", LAYOUTS)
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


HOSTILE = (
    "*\\ int injected; /* */ int injected; \n#error injected\n</description><injected/> <img src=http://x.org/p.png>"
    " ![p](http://x.org/p.png) [l](javascript:x) <script>x</script> $(shell,touch INJECTED) ${INJECTED} $ENV{HOME}"
    ' "); system("touch INJECTED"); // ]]> --> `x` | cell \u202e \x1b[31m http://x.org www.x.org'
)


@pytest.mark.parametrize("format_name", LAYOUTS)
def test_hostile_names_stay_text_in_every_file(finished: Finished, tmp_path: Path, format_name: str) -> None:
    bundle = (
        finished.with_task(
            name=HOSTILE,
            source=HOSTILE,
            licence=HOSTILE,
            class_names=tuple(f"{HOSTILE}{at}" for at in range(5)),
        )
        .with_model(provenance={HOSTILE: HOSTILE, "list": [HOSTILE]})
        .export(tmp_path / "b", format=format_name)
    )
    verify(bundle, cross=False)
    for entry in bundle.manifest.files:
        if entry.role == "model":
            continue
        text = (bundle.path / entry.path).read_text(encoding="utf-8")
        assert not [char for char in text if not char.isprintable() and char not in "\n\t"], entry.path
        assert not re.search(r"^\s*#error injected", text, re.M), entry.path
        if entry.path.endswith((".yml", "CMakeLists.txt", "Kconfig")):
            assert "INJECTED" not in text, entry.path
        if entry.path.endswith(".pdsc"):
            assert not list(ElementTree.fromstring(text).iter("injected"))
        if entry.path.endswith(".md"):
            assert not re.search(r"<[a-zA-Z/!]", text), entry.path
            assert not re.search(r"(?<!\\)\[|(?<!\\)\]|https?:|www\\.", text), entry.path
        if entry.path.endswith(".h"):
            code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
            assert "injected" not in code
        if entry.path == "library.properties":
            assert len(text.splitlines()) == 10
