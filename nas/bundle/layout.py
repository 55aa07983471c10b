"""The layout seam: what turns a content into the files of one firmware ecosystem, and what its users must know."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cost_models.arena import ESP_NN_VERSION, ESP_TFLITE_MICRO_VERSION
from cost_models.errors import UserError, did_you_mean
from nas.bundle.content import BundleContent

Role = Literal[
    "model",
    "int8_model",
    "model_source",
    "model_header",
    "api_header",
    "runner_source",
    "io_source",
    "frontend_model",
    "frontend_model_source",
    "frontend_model_header",
    "frontend_header",
    "frontend_source",
    "golden_source",
    "golden_header",
    "self_test_source",
    "self_test_main",
    "build",
    "example",
    "document",
    "licence",
]

LAYOUTS = ("arduino", "cmake", "cmsis-pack", "esp-idf", "platformio", "tflm", "zephyr")

EXPORTED_BY_LITERT = (
    "Golden vectors and accuracies are by LiteRT without delegates, not by TFLM's interpreter, which was not installed"
    " where the model was exported: an output may differ from TFLM's by 1."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a bundle.

    Attributes:
        role: What it is for; verification finds files by it in any layout.
        data: Its bytes.
    """

    role: Role
    data: bytes


class Layout:
    """One firmware ecosystem's layout; a module of `nas.bundle.layouts` exports an instance as LAYOUT.

    Attributes:
        name: What the command line calls it.
        title: What people call it.
        cores: How the names of the cores begin that it builds for; empty for any.
        signal_note: What its TFLM lacks of the signal kernels that a front end runs; empty where it has them.
    """

    name: str
    title: str
    cores: tuple[str, ...] = ()
    signal_note: str = ""

    def files(self, content: BundleContent) -> Mapping[str, File]:
        """The bundle's files by their path in the folder, with `/` between parts."""
        raise NotImplementedError

    def kernel_notes(self, content: BundleContent) -> tuple[str, ...]:
        """Where the kernels that this ecosystem builds are not those that were costed."""
        if content.target.kernels != "esp_nn":
            return ()
        return (
            f"The costs are those of esp-tflite-micro {ESP_TFLITE_MICRO_VERSION} with ESP-NN {ESP_NN_VERSION}, which"
            f" {self.name} does not build: TFLM's portable kernels take another arena, which the self-test shows, and"
            " more time. A target file with kernels = 'reference' has their costs.",
        )

    def notes(self, content: BundleContent) -> tuple[str, ...]:
        """Sentences for manifest and README: where ecosystem and target are not of one kind."""
        notes = list(self.kernel_notes(content))
        target = content.target
        if self.cores and not target.core.startswith(self.cores):
            notes.append(
                f"The costs are those of {target.core} ({target.name}), which {self.name} does not build for:"
                " export for the chip that the model shall run on."
            )
        if content.frontend and self.signal_note:
            notes.append(self.signal_note)
        if content.engine != "tflm":
            notes.append(EXPORTED_BY_LITERT)
        return tuple(notes)


ARDUINO_LACKS_SIGNAL = (
    "The front end runs TFLM's signal kernels (`signal/` of tflite-micro, with KissFFT), which"
    " tflite-micro-arduino-examples does not have: add them to it, or take a TFLM library that has them."
)


def esp_nn_version_note(content: BundleContent) -> str:
    """The arena belongs to the versions that it was computed for."""
    return (
        f"The arena is that of esp-tflite-micro {ESP_TFLITE_MICRO_VERSION} with ESP-NN {ESP_NN_VERSION}; other"
        f" versions may need a larger one ({content.model.name.upper()}_ARENA_BYTES), which the self-test shows."
    )


def load_layout(name: str) -> Layout:
    """Find a layout by its name.

    Raises:
        UserError: There is none.
    """
    if name not in LAYOUTS:
        raise UserError(f"There is no format {name!r}.", did_you_mean(name, LAYOUTS))
    layout: Layout = importlib.import_module(f"nas.bundle.layouts.{name.replace('-', '_')}").LAYOUT
    return layout
