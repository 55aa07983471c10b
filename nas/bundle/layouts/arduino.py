"""Arduino library: sources in src, an example sketch, library.properties."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.content import BundleContent
from nas.bundle.layout import ARDUINO_LACKS_SIGNAL, File, Layout
from nas.bundle.sources import build_file, layout, readme, render


class ArduinoLayout(Layout):
    """The layout that the library manager and arduino-cli expect; the sketch runs the self-test over serial."""

    name = "arduino"
    title = "Arduino library"
    signal_note = ARDUINO_LACKS_SIGNAL

    def files(self, content: BundleContent) -> Mapping[str, File]:
        name = content.model.name
        sketch = render("arduino.ino.j2", content).encode()
        return {
            **layout(content, sources="src", headers="src", suffix=".cpp"),
            "README.md": readme("arduino_readme.md.j2", content, self.notes(content)),
            "library.properties": build_file("library.properties.j2", content),
            f"examples/{name}_self_test/{name}_self_test.ino": File(role="example", data=sketch),
        }


LAYOUT = ArduinoLayout()
