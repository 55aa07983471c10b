"""The plain layout: all files in one folder, to be added to a build that has TFLM."""

from __future__ import annotations

from collections.abc import Mapping

from nas.export.context import Context
from nas.export.exporter import Exporter, File
from nas.export.sources import c_sources, render


class TflmExporter:
    """Sources side by side, nothing that builds them."""

    title = "TensorFlow Lite for Microcontrollers"

    def files(self, context: Context) -> Mapping[str, File]:
        main = render("self_test_main.cc.j2", context).encode()
        return {
            **c_sources(context),
            f"{context.model.name}_self_test_main.cc": File(role="self_test_main", data=main),
        }


EXPORTER: Exporter = TflmExporter()
