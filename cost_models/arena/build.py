"""The TFLM build that an arena figure belongs to: version, kernel library, core, and the ABI's struct sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from cost_models.cores import CORES
from cost_models.errors import UserError, did_you_mean

TFLM_VERSION = "90b983c2"
CMSIS_NN_VERSION = "4ab83cc3"
# Espressif's kernels, and the component that calls them: what its memory depends on is TFLM 90b983c2's, unchanged.
ESP_NN_VERSION = "d45b843c"
ESP_TFLITE_MICRO_VERSION = "99f49e14"
KERNELS = ("cmsis_nn", "esp_nn", "reference")
EVAL_TENSOR_BYTES = 12  # sizeof(TfLiteEvalTensor) on 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The properties of a TFLM build that decide memory, whatever the model.

    Struct sizes are those of a 32-bit ABI with TF_LITE_STATIC_MEMORY. Arm's bare-metal ABI stores an
    enumeration in the fewest bytes that hold it, other ABIs in 4.

    Attributes:
        cmsis_nn: Built with CMSIS-NN's kernels where it has them, TFLM's portable ones elsewhere.
        dsp: CMSIS-NN uses the DSP extension.
        mve: CMSIS-NN uses Helium.
        esp_nn: Which of ESP-NN's sources Espressif's component is built with: "generic", "esp32s3" or "esp32p4";
            empty where it is not.
        short_enums: An enumeration takes 1 byte.
        tensor_bytes: sizeof(TfLiteTensor).
    """

    cmsis_nn: bool
    dsp: bool
    mve: bool
    esp_nn: str
    short_enums: bool
    tensor_bytes: int


@cache
def find_build(kernels: str, core: str) -> Build:
    """The build that a kernel library and a core stand for.

    Raises:
        UserError: One of them is unknown, or the library does not run on the core.
    """
    if kernels not in KERNELS:
        raise UserError(f"There is no kernel library {kernels!r}.", did_you_mean(kernels, KERNELS))
    if core not in CORES:
        raise UserError(f"The memory of TFLM on core {core!r} is not known.", did_you_mean(core, CORES))
    cmsis_nn = kernels == "cmsis_nn"
    row = CORES[core]
    if not row.is_arm and cmsis_nn:
        raise UserError(f"CMSIS-NN does not run on {core}.", "Set kernels to esp_nn or reference.")
    if row.is_arm and kernels == "esp_nn":
        raise UserError(f"ESP-NN does not run on {core}.", "Set kernels to cmsis_nn or reference.")
    return Build(
        cmsis_nn=cmsis_nn,
        dsp=cmsis_nn and row.isa == "dsp",
        mve=cmsis_nn and row.isa == "mve",
        esp_nn=row.esp_nn if kernels == "esp_nn" else "",
        short_enums=row.is_arm,
        tensor_bytes=32 if row.is_arm else 40,
    )
