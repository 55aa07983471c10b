"""ESP-IDF component: idf_component.yml and CMakeLists.txt; TFLM is Espressif's own component."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.content import BundleContent
from nas.bundle.layout import File, Layout, esp_nn_version_note
from nas.bundle.sources import build_file, layout, readme, render


class EspIdfLayout(Layout):
    """A component for `components/`, with an example project that runs the self-test."""

    name = "esp-idf"
    title = "ESP-IDF component"
    cores = ("xtensa", "riscv")

    def files(self, content: BundleContent) -> Mapping[str, File]:
        example = f"examples/{content.model.name}_self_test"
        return {
            **layout(content, sources="src", headers="include"),
            "CMakeLists.txt": build_file("esp_cmake.txt.j2", content),
            "README.md": readme("esp_readme.md.j2", content, self.notes(content)),
            "idf_component.yml": build_file("idf_component.yml.j2", content),
            **{
                f"{example}/{path}": File(role="example", data=render(template, content).encode())
                for path, template in (
                    ("CMakeLists.txt", "esp_example_cmake.txt.j2"),
                    ("main/CMakeLists.txt", "esp_example_main_cmake.txt.j2"),
                    ("main/idf_component.yml", "esp_example_component.yml.j2"),
                    ("main/main.cc", "esp_example_main.cc.j2"),
                )
            },
        }

    def kernel_notes(self, content: BundleContent) -> tuple[str, ...]:
        if content.target.kernels == "esp_nn":
            return (esp_nn_version_note(content),)
        arena = f"{content.model.name.upper()}_ARENA_BYTES"
        return (
            f"Arena, flash and cycles are those of the {content.target.kernels} kernels. ESP-NN's, which"
            f" esp-tflite-micro takes unless told otherwise, may need a larger arena ({arena}), which the self-test"
            " shows.",
        )


LAYOUT = EspIdfLayout()
