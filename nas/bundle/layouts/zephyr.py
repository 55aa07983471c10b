"""Zephyr module: zephyr/module.yml, Kconfig and CMake; TFLM is Zephyr's own optional module."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.content import BundleContent
from nas.bundle.layout import File, Layout
from nas.bundle.sources import build_file, layout, render, self_test_main


class ZephyrLayout(Layout):
    """Added by ZEPHYR_EXTRA_MODULES or west; switched on by one Kconfig symbol."""

    name = "zephyr"
    title = "Zephyr module"
    signal_note = (
        "The front end runs TFLM's signal kernels, of which Zephyr's module tflite-micro builds window and rfft alone:"
        " add the others of `signal/micro/kernels` and `signal/src` to its CMakeLists.txt."
    )

    def files(self, content: BundleContent) -> Mapping[str, File]:
        name = content.model.name
        sample = f"samples/{name}_self_test"
        conf = File(role="example", data=render("zephyr_prj.conf.j2", content).encode())
        cmake = File(role="example", data=render("zephyr_sample_cmake.txt.j2", content).encode())
        return {
            **layout(content, sources="src", headers="include"),
            "zephyr/module.yml": build_file("zephyr_module.yml.j2", content),
            "CMakeLists.txt": build_file("zephyr_cmake.txt.j2", content),
            "Kconfig": build_file("zephyr_kconfig.j2", content),
            f"{sample}/CMakeLists.txt": cmake,
            f"{sample}/prj.conf": conf,
            f"{sample}/src/main.cc": self_test_main(content),
        }


LAYOUT = ZephyrLayout()
