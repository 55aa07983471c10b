"""Plain CMake: a library target that links whatever target the user's build has for TFLM."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.context import Context
from nas.bundle.layout import File, Layout
from nas.bundle.sources import build_file, layout, self_test_main


class CMakeLayout(Layout):
    """Sources under src and include, a CMakeLists.txt with library and self-test."""

    name = "cmake"
    title = "CMake library"

    def files(self, context: Context) -> Mapping[str, File]:
        return {
            **layout(context, sources="src", headers="include"),
            f"test/{context.model.name}_self_test_main.cc": self_test_main(context),
            "CMakeLists.txt": build_file("cmake.txt.j2", context),
        }


LAYOUT = CMakeLayout()
