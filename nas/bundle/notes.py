"""What a layout's users must know of the costs: where ecosystem and target are not of one kind."""

from __future__ import annotations

from collections.abc import Mapping

from cost_models.arena import ESP_NN_VERSION, ESP_TFLITE_MICRO_VERSION
from nas.bundle.context import Context

# What each ecosystem builds for, by the start of a core's name; the others build for any.
_CORES: Mapping[str, tuple[str, ...]] = {"esp-idf": ("xtensa", "riscv"), "cmsis-pack": ("cortex-",)}

EXPORTED_BY_LITERT = (
    "Golden vectors and accuracies are by LiteRT without delegates, not by TFLM's interpreter, which was not installed"
    " where the model was exported: an output may differ from TFLM's by 1."
)


def layout_notes(context: Context, format_name: str) -> tuple[str, ...]:
    """Sentences for the manifest of a bundle in this layout.

    Args:
        context: The model and its target.
        format_name: The layout's name.
    """
    target, name = context.target, context.model.name
    notes = []
    if target.kernels == "esp_nn" and format_name in ("tflm", "esp-idf"):
        notes.append(
            f"The arena is that of esp-tflite-micro {ESP_TFLITE_MICRO_VERSION} with ESP-NN {ESP_NN_VERSION}; other"
            f" versions may need a larger one ({name.upper()}_ARENA_BYTES), which the self-test shows."
        )
    elif target.kernels == "esp_nn":
        notes.append(
            f"The costs are those of esp-tflite-micro {ESP_TFLITE_MICRO_VERSION} with ESP-NN {ESP_NN_VERSION}, which"
            f" {format_name} does not build: TFLM's portable kernels take another arena, which the self-test shows, and"
            " more time. A target file with kernels = 'reference' has their costs."
        )
    elif format_name == "esp-idf":
        notes.append(
            f"Arena, flash and cycles are those of the {target.kernels} kernels. ESP-NN's, which esp-tflite-micro"
            f" takes unless told otherwise, may need a larger arena ({name.upper()}_ARENA_BYTES), which the"
            " self-test shows."
        )
    if not target.core.startswith(_CORES.get(format_name, "")):
        notes.append(
            f"The costs are those of {target.core} ({target.name}), which {format_name} does not build for:"
            " export for the chip that the model shall run on."
        )
    if context.engine != "tflm":
        notes.append(EXPORTED_BY_LITERT)
    return tuple(notes)
