"""PlatformIO library: library.json, sources in src, headers in include, an example application."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.content import BundleContent
from nas.bundle.layout import ARDUINO_LACKS_SIGNAL, File, Layout
from nas.bundle.sources import build_file, layout, readme, render, self_test_main


class PlatformIoLayout(Layout):
    """A library for `lib/` or the registry, with an example project; TFLM is a library of its own."""

    name = "platformio"
    title = "PlatformIO library"
    signal_note = ARDUINO_LACKS_SIGNAL

    def files(self, content: BundleContent) -> Mapping[str, File]:
        name = content.model.name
        example = f"examples/{name}_self_test"
        return {
            **layout(content, sources="src", headers="include"),
            "README.md": readme("platformio_readme.md.j2", content, self.notes(content)),
            "library.json": build_file("library.json.j2", content),
            f"{example}/platformio.ini": File(
                role="example", data=render("platformio.ini.j2", content).encode()
            ),
            f"{example}/src/main.cpp": File(
                role="example", data=render("platformio_main.cpp.j2", content).encode()
            ),
            f"test/{name}_self_test_main.cc": self_test_main(content),
        }


LAYOUT = PlatformIoLayout()
