"""Makes docs/operators.md: what is known of each operator that TFLM registers. operators [--check]."""

import sys
from pathlib import Path

from cost_models.arena.build import TFLM_VERSION
from cost_models.arena.rules import RULES
from cost_models.code_size import CodeSizes
from cost_models.cycles.bounds import BY_ELEMENT
from cost_models.cycles.paths import COUNTERS
from cost_models.cycles.table import core_table
from cost_models.graph import ITEM_BYTES
from cost_models.operator_types import REGISTERED, activation_types

# Kinds whose kernel paths have another name than theirs.
_PATHS = {
    "AVERAGE_POOL_2D": "average_pool",
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "dense",
    "L2_POOL_2D": "l2_pool",
    "MAX_POOL_2D": "max_pool",
    "PADV2": "pad",
    "SUM": "mean",
    "TFLM_DECODE": "decode",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "lstm",
}
PAGE = Path(__file__).parents[1] / "docs" / "operators.md"
_HEAD = f"""# Operators

What `nas-cost` knows of the operators that TFLM {TFLM_VERSION} registers, signal operators and the NPU's apart.
`scripts/operators` makes this page from the cost models.

- **Types**: what the first input may hold; other combinations are refused, because TFLM has no kernel for them.
- **Memory**: *exact* is computed from the kernel's Init and Prepare, and equal to TFLM under QEMU on small models
  of it (Cortex-M4; on Helium and with ESP-NN, types other than int8 follow the source alone).
- **Code**: bytes that a Cortex-M4 program of this operator alone links beyond the base, with CMSIS-NN's kernels and
  TFLM's own, on int8 where it runs on that; several operators share some of it.
  Other cores are linked as well.
- **Work**: *counted* where the Cortex-M4's instructions are known, with CMSIS-NN, and on which of several types;
  *interval* where the work goes by elements, which bound it; *none*: a model's total leaves the operator out and says
  at least.

| operator | types | memory | code, CMSIS-NN | code, reference | work |
|---|---|---|---:|---:|---|
"""


def page() -> str:
    """The whole page."""
    sizes = {kernels: CodeSizes(kernels=kernels, core="cortex-m4") for kernels in ("cmsis_nn", "reference")}
    base = {kernels: size.of([]).value_bytes for kernels, size in sizes.items()}
    rows = []
    for kind in sorted(REGISTERED):
        code = [f"{size.of([kind]).value_bytes - base[kernels]:,}" for kernels, size in sizes.items()]
        memory = "exact" if kind in RULES else "none"
        rows.append(
            f"| {kind} | {', '.join(activation_types(kind))} | {memory} | {code[0]} | {code[1]} | {_work(kind)} |"
        )
    return _HEAD + "\n".join(rows) + "\n"


# Runs of bytes, whatever they hold.
_COPIED_OR_FILLED = ("CONCATENATION", "ZEROS_LIKE")
# Counted around branches of which only the data say which is taken.
_BRANCHES = ("IF",)


def _work(kind: str) -> str:
    otherwise = "interval" if kind in BY_ELEMENT else "none"
    table = core_table("cmsis_nn", "cortex-m4")
    if kind not in COUNTERS["cmsis_nn"] or table is None:
        return otherwise
    own = _PATHS.get(kind, kind.lower())
    paths = [path for path in table.instructions if path == own or path.startswith(f"{own}_")]
    if not paths:
        return otherwise
    types = [dtype for dtype in activation_types(kind) if dtype in ITEM_BYTES]
    if kind in _BRANCHES:
        return "interval"
    if kind in _COPIED_OR_FILLED:
        return "counted"
    # A path that names no type is int8's.
    named = [[word for word in path.split("_") if word in ITEM_BYTES] or ["int8"] for path in paths]
    known = [dtype for dtype in types if any(dtype == path[0] for path in named)]
    others = [dtype for dtype in types if dtype not in known]
    if not known or not others:
        return "counted"
    return f"counted ({', '.join(known)}), {otherwise}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(PAGE.read_text(encoding="utf-8") != page() and f"{PAGE} is old: run scripts/operators")
    PAGE.write_text(page(), encoding="utf-8")
