"""A run's summary as `result.json` has it, made up but of plausible size; every test starts from it."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

from nas.model.result import ChosenSummary, RunSummary

CLASSES = [str(digit) for digit in range(10)]
SRAM_LIMIT, FLASH_LIMIT = 24_576, 1_032_192


def typed(content: dict[str, Any]) -> RunSummary:
    """A result as the report takes it."""
    return RunSummary.model_validate({"trials": [], "front": [], "chosen": None} | content)


def chosen_of(content: dict[str, Any]) -> ChosenSummary:
    """The chosen model of a result."""
    return ChosenSummary.model_validate({"number": 0} | content)


def synthetic_summary(trials: int = 64, seed: int = 3, *, calibrated: bool = True) -> dict[str, Any]:
    """A finished digits run with rejected, evaluated and failed trials and a chosen model."""
    rng = random.Random(seed)
    made = [_trial(number, rng, calibrated=calibrated) for number in range(trials)]
    evaluated = [trial for trial in made if trial["state"] == "evaluated"]
    front = [t["number"] for t in evaluated if not any(_dominates(o, t) for o in evaluated)]
    best = max(
        (t for t in evaluated if t["number"] in front),
        key=lambda t: (t["accuracy"], -t["costs"]["sram_bytes"]),
    )
    for trial in made:
        if trial["number"] in front[:4] or trial is best:
            trial["rung"], trial["steps"], trial["tflm_accuracy"] = "full", 2000, trial["accuracy"]
    return {
        "schema": 1,
        "run": "digits-ds_cnn-nrf52840",
        "started": "2026-11-23T08:14:02+00:00",
        "seconds": 171.4,
        "stopped_by": "trials",
        "config": {
            "task": "digits",
            "space": "ds_cnn",
            "target": "nrf52840",
            "trials": trials,
            "seed": 1234,
            "workers": 2,
            "budget": "24KB",
            "timeout": None,
        },
        "versions": {
            "mcu-nas": "0.1.0",
            "tensorflow": "2.21.0",
            "optuna": "5.0.1",
            "ray": "2.60.0",
            "python": "3.11.9",
        },
        "target": {
            "name": "nrf52840",
            "title": "Nordic nRF52840",
            "core": "cortex-m4",
            "kernels": "cmsis_nn",
            "clock_hz": 64_000_000,
        },
        "budget": [
            {"resource": "sram_bytes", "limit": SRAM_LIMIT, "note": ""},
            {"resource": "flash_bytes", "limit": FLASH_LIMIT, "note": ""},
        ],
        "notes": ["Energy is 156 µJ per million cycles, 3 V, DC/DC on, from flash."],
        "task": {
            "name": "digits",
            "input_shape": [8, 8, 1],
            "class_names": CLASSES,
            "samples": {"train": 1077, "val": 360, "test": 360},
        },
        "data": {
            "taken_as": "pictures of 8 x 8, 1 channel",
            "raw_type": "uint8",
            "class_names": CLASSES,
            "parts": {
                part: {
                    "samples": count,
                    "classes": [count // len(CLASSES)] * len(CLASSES),
                    "low": [0.0],
                    "high": [16.0],
                    "clipped": 0.0,
                    "copies": 0,
                }
                for part, count in (("train", 1077), ("val", 360), ("test", 360))
            },
            "constant": [],
            "levels": [17],
            "groups": None,
            "notes": ["3 of 360 test samples are exact copies of training samples."],
            "lines": [],
        },
        "trials": made,
        "front": front,
        "chosen": _chosen(best, rng, calibrated=calibrated),
        "time": {
            "workers": {"worker-0": 160.2, "worker-1": 158.9},
            "share": {
                "build": 0.05,
                "train": 0.71,
                "prune": 0.04,
                "quantize": 0.12,
                "evaluate": 0.06,
                "cost": 0.02,
            },
        },
    }


def _dominates(one: dict[str, Any], other: dict[str, Any]) -> bool:
    a, b = (
        (-t["accuracy"], t["costs"]["sram_bytes"], t["costs"]["flash_bytes"], t["costs"]["macs"])
        for t in (one, other)
    )
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _trial(number: int, rng: random.Random, *, calibrated: bool) -> dict[str, Any]:
    blocks = rng.randint(1, 5)
    params: dict[str, Any] = {"stem_width": rng.choice([8, 16, 24, 32, 48]), "blocks": blocks}
    params |= {f"width_{i}": rng.choice([8, 16, 24, 32, 48, 64, 96, 128]) for i in range(blocks)}
    params |= {
        "kernel": rng.choice([3, 5]),
        "learning_rate": round(10 ** rng.uniform(-3.3, -2), 6),
        "keep_ratio": rng.choice([0.5, 0.75, 1.0]),
    }
    widths = [params["stem_width"], *(params[f"width_{i}"] for i in range(blocks))]
    weights = 9 * widths[0] + sum(a * b + 13 * a for a, b in itertools.pairwise(widths)) + 10 * widths[-1]
    macs = 64 * weights
    sram = 64 * max(a + b for a, b in zip([1, *widths], widths, strict=False)) * 5 // 2 + 2_100 + 410 * blocks
    cycles = int(macs * rng.uniform(2.4, 3.2)) + 22_000 * blocks
    costs: dict[str, Any] = {
        "sram_bytes": sram // 16 * 16,
        "arena_used_bytes": sram - 220,
        "model_bytes": weights + 3_400 + 900 * blocks,
        "flash_bytes": weights + 3_400 + 900 * blocks + 61_300,
        "code_bytes": 61_300,
        "code_low_bytes": 60_100,
        "code_high_bytes": 62_500,
        "macs": macs,
        "instructions": None,
        "cycles": None,
        "cycles_low": None,
        "cycles_high": None,
        "latency_us": None,
        "energy_uj": None,
    }
    if calibrated:
        costs |= {
            "instructions": int(cycles * 0.8),
            "cycles": cycles,
            "cycles_low": int(cycles * 0.91),
            "cycles_high": int(cycles * 1.1),
            "latency_us": cycles / 64,
            "energy_uj": cycles * 156 / 1e6,
        }
    trial: dict[str, Any] = {
        "number": number,
        "state": "evaluated",
        "rung": "search",
        "steps": 125,
        "digest": f"{rng.getrandbits(64):016x}",
        "params": params,
        "accuracy": None,
        "tflm_accuracy": None,
        "costs": costs,
        "violations": [],
        "reason": None,
        "seconds": {},
        "started": 8 + 2.4 * number,
        "worker": f"worker-{number % 2}",
    }
    if costs["sram_bytes"] > SRAM_LIMIT:
        violation = {"resource": "sram", "value": costs["sram_bytes"], "limit": SRAM_LIMIT}
        return trial | {
            "state": "rejected",
            "violations": [violation],
            "reason": "over budget: sram",
            "worker": "driver",
        }
    if number % 23 == 11:
        return trial | {
            "state": "failed",
            "reason": "train: loss is not finite",
            "seconds": {"build": 0.3, "train": 1.2},
            "costs": None,
        }
    error = 0.9 * math.exp(-math.log10(macs) * 0.62) * rng.uniform(0.4, 1.5)
    accuracy = round(360 * (1 - min(0.88, error))) / 360
    return trial | {
        "accuracy": accuracy,
        "seconds": {
            "build": 0.2,
            "train": 3.1 + rng.random(),
            "quantize": 0.5,
            "evaluate": 0.2,
            "cost": 0.01,
        },
    }


def _chosen(best: dict[str, Any], rng: random.Random, *, calibrated: bool) -> dict[str, Any]:
    widths = [
        best["params"]["stem_width"],
        *(best["params"][f"width_{i}"] for i in range(best["params"]["blocks"])),
    ]
    layers: list[dict[str, Any]] = []

    def add(op: str, shape: list[int], macs: int, weights: int) -> None:
        cycles = int(2.6 * macs) + 9_000 if calibrated else None
        layers.append(
            {
                "index": len(layers),
                "op": op,
                "output_shape": shape,
                "macs": macs,
                "weight_bytes": weights,
                "instructions": None if cycles is None else int(cycles * 0.8),
                "cycles": cycles,
            }
        )

    add("CONV_2D", [1, 8, 8, widths[0]], 64 * 9 * widths[0], 13 * widths[0])
    for a, b in itertools.pairwise(widths):
        add("DEPTHWISE_CONV_2D", [1, 8, 8, a], 64 * 9 * a, 13 * a)
        add("CONV_2D", [1, 8, 8, b], 64 * a * b, a * b + 4 * b)
    add("MEAN", [1, widths[-1]], 0, 0)
    add("FULLY_CONNECTED", [1, 10], 10 * widths[-1], 10 * widths[-1] + 40)
    add("SOFTMAX", [1, 10], 0, 0)
    timeline = []
    for index, layer in enumerate(layers):
        before = math.prod(layers[index - 1]["output_shape"]) if index else 64
        after = math.prod(layer["output_shape"])
        low = index % 2 == 0
        top = best["costs"]["sram_bytes"] - 3_600
        live = [
            {"name": f"tensor_{index}", "bytes": before, "offset": 0 if low else top - before},
            {"name": f"tensor_{index + 1}", "bytes": after, "offset": top - after if low else 0},
        ]
        if layer["op"] == "CONV_2D":
            live.append({"name": "scratch", "bytes": 512, "offset": (before if low else after)})
        timeline.append(
            {"index": index, "op": layer["op"], "live": live, "bytes": sum(t["bytes"] for t in live)}
        )
    confusion = [[0] * 10 for _ in CLASSES]
    wrong = 5
    for index in range(360):
        truth = index % 10
        said = truth if index >= wrong else rng.choice([d for d in range(10) if d != truth])
        confusion[truth][said] += 1
    right = sum(confusion[i][i] for i in range(10))
    return {
        "number": best["number"],
        "policy": "highest int8 validation accuracy; among equals the fewest cycles",
        "digest": best["digest"],
        "test_accuracy": {
            "engine": "tflm",
            "correct": right,
            "total": 360,
            "value": right / 360,
            "low": 0.9679,
            "high": 0.9941,
        },
        "confusion": confusion,
        "layers": layers,
        "timeline": timeline,
        "bundle": "runs/digits-ds_cnn-nrf52840/bundle",
        "costs": best["costs"],
    }
