"""The plain layout: all files in one folder, to be added to a build that has TFLM."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.context import Context
from nas.bundle.exporter import Exporter, File
from nas.bundle.sources import layout, self_test_main


class TflmExporter:
    """Sources side by side, nothing that builds them."""

    title = "TensorFlow Lite for Microcontrollers"

    def files(self, context: Context) -> Mapping[str, File]:
        return {
            **layout(context),
            f"{context.model.name}_self_test_main.cc": self_test_main(context),
        }


EXPORTER: Exporter = TflmExporter()
