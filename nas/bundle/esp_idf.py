"""ESP-IDF component: idf_component.yml and CMakeLists.txt; TFLM is Espressif's own component."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.context import Context
from nas.bundle.exporter import Exporter, File
from nas.bundle.notes import layout_notes
from nas.bundle.sources import build_file, layout, render


class EspIdfExporter:
    """A component for `components/`, with an example project that runs the self-test."""

    title = "ESP-IDF component"

    def files(self, context: Context) -> Mapping[str, File]:
        example = f"examples/{context.model.name}_self_test"
        return {
            **layout(context, sources="src", headers="include"),
            "CMakeLists.txt": build_file("esp_cmake.txt.j2", context),
            "README.md": File(
                role="document",
                data=render("esp_readme.md.j2", context, notes=layout_notes(context, "esp-idf")).encode(),
            ),
            "idf_component.yml": build_file("idf_component.yml.j2", context),
            **{
                f"{example}/{path}": File(role="example", data=render(template, context).encode())
                for path, template in (
                    ("CMakeLists.txt", "esp_example_cmake.txt.j2"),
                    ("main/CMakeLists.txt", "esp_example_main_cmake.txt.j2"),
                    ("main/idf_component.yml", "esp_example_component.yml.j2"),
                    ("main/main.cc", "esp_example_main.cc.j2"),
                )
            },
        }


EXPORTER: Exporter = EspIdfExporter()
