"""The TFLM build that an arena figure belongs to: version, kernel library, core, and the ABI's struct sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from cost_models.errors import UserError, did_you_mean

TFLM_VERSION = "90b983c2"
CMSIS_NN_VERSION = "4ab83cc3"
KERNELS = ("cmsis_nn", "reference")

# Which instruction set extension CMSIS-NN is compiled for; its scratch rules differ by nothing else.
_ARM_CORES = {
    "cortex-m0": "",
    "cortex-m0plus": "",
    "cortex-m3": "",
    "cortex-m23": "",
    "cortex-m4": "dsp",
    "cortex-m7": "dsp",
    "cortex-m33": "dsp",
    "cortex-m35p": "dsp",
    "cortex-m52": "mve",
    "cortex-m55": "mve",
    "cortex-m85": "mve",
}
# 32-bit cores of other vendors: same struct layout rules, but enumerations take 4 bytes.
_OTHER_CORES = ("riscv32", "xtensa-lx6", "xtensa-lx7")
CORES = (*_ARM_CORES, *_OTHER_CORES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a TFLM binary fixes about memory before any model is seen.

    Struct sizes are those of a 32-bit ABI with TF_LITE_STATIC_MEMORY. Arm's bare-metal ABI stores an
    enumeration in the fewest bytes that hold it, other ABIs in 4.

    Attributes:
        cmsis_nn: Built with CMSIS-NN's kernels where it has them, TFLM's portable ones elsewhere.
        dsp: CMSIS-NN uses the DSP extension.
        mve: CMSIS-NN uses Helium.
        short_enums: An enumeration takes 1 byte.
        tensor_bytes: sizeof(TfLiteTensor).
    """

    cmsis_nn: bool
    dsp: bool
    mve: bool
    short_enums: bool
    tensor_bytes: int


@cache
def find_build(kernels: str, core: str) -> Build:
    """The build that a kernel library and a core stand for.

    Raises:
        UserError: One of them is unknown, or CMSIS-NN is asked for on a core that is not Arm's.
    """
    if kernels not in KERNELS:
        raise UserError(f"There is no kernel library {kernels!r}.", did_you_mean(kernels, KERNELS))
    if core not in CORES:
        raise UserError(f"The memory of TFLM on core {core!r} is not known.", did_you_mean(core, CORES))
    cmsis_nn = kernels == "cmsis_nn"
    extension = _ARM_CORES.get(core)
    if extension is None and cmsis_nn:
        raise UserError(f"CMSIS-NN does not run on {core}.", "Set kernels to reference.")
    return Build(
        cmsis_nn=cmsis_nn,
        dsp=cmsis_nn and extension == "dsp",
        mve=cmsis_nn and extension == "mve",
        short_enums=extension is not None,
        tensor_bytes=40 if extension is None else 32,
    )
