"""The plain layout: all files in one folder, to be added to a build that has TFLM."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.content import BundleContent
from nas.bundle.layout import File, Layout, esp_nn_version_note
from nas.bundle.sources import layout, self_test_main


class TflmLayout(Layout):
    """Sources side by side, nothing that builds them."""

    name = "tflm"
    title = "TensorFlow Lite for Microcontrollers"

    def files(self, content: BundleContent) -> Mapping[str, File]:
        return {
            **layout(content),
            f"{content.model.name}_self_test_main.cc": self_test_main(content),
        }

    def kernel_notes(self, content: BundleContent) -> tuple[str, ...]:
        return (esp_nn_version_note(content),) if content.target.kernels == "esp_nn" else ()


LAYOUT = TflmLayout()
