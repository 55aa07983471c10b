"""PlatformIO library: library.json, sources in src, headers in include, an example application."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.context import Context
from nas.bundle.exporter import Exporter, File
from nas.bundle.sources import build_file, layout, self_test_main


class PlatformIoExporter:
    """A library for `lib/` or the registry; TFLM comes from the user's lib_deps or build."""

    title = "PlatformIO library"

    def files(self, context: Context) -> Mapping[str, File]:
        name = context.model.name
        return {
            **layout(context, sources="src", headers="include"),
            "library.json": build_file("library.json.j2", context),
            f"examples/{name}_self_test/src/main.cc": self_test_main(context),
        }


EXPORTER: Exporter = PlatformIoExporter()
