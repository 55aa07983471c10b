"""The plain layout: all files in one folder, to be added to a build that has TFLM."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.context import Context
from nas.bundle.layout import File, Layout, esp_nn_version_note
from nas.bundle.sources import layout, self_test_main


class TflmLayout(Layout):
    """Sources side by side, nothing that builds them."""

    name = "tflm"
    title = "TensorFlow Lite for Microcontrollers"

    def files(self, context: Context) -> Mapping[str, File]:
        return {
            **layout(context),
            f"{context.model.name}_self_test_main.cc": self_test_main(context),
        }

    def kernel_notes(self, context: Context) -> tuple[str, ...]:
        return (esp_nn_version_note(context),) if context.target.kernels == "esp_nn" else ()


LAYOUT = TflmLayout()
