"""Plain CMake: a library target that links whatever target the user's build has for TFLM."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.content import BundleContent
from nas.bundle.layout import File, Layout
from nas.bundle.sources import build_file, layout, self_test_main


class CMakeLayout(Layout):
    """Sources under src and include, a CMakeLists.txt with library and self-test."""

    name = "cmake"
    title = "CMake library"

    def files(self, content: BundleContent) -> Mapping[str, File]:
        return {
            **layout(content, sources="src", headers="include"),
            f"test/{content.model.name}_self_test_main.cc": self_test_main(content),
            "CMakeLists.txt": build_file("cmake.txt.j2", content),
        }


LAYOUT = CMakeLayout()
