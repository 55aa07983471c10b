"""The made-up run as one that learned something else, found less, or served more boards."""

from __future__ import annotations

import copy
from typing import Any

Summary = dict[str, Any]


def of_one_model(summary: Summary) -> Summary:
    """A front of one model: that which was chosen."""
    return copy.deepcopy(summary) | {"front": [summary["chosen"]["number"]]}


def of_anomalies(summary: Summary) -> Summary:
    """A run that tells anomalies from normal samples: of ROC AUC 0.93, with a threshold for 5 % false alarms."""
    made = copy.deepcopy(summary)
    names = ["normal", "anomaly"]
    made["task"] |= {"metric": "auc", "false_alarms": 0.05, "class_names": names}
    made["data"]["class_names"] = names
    for part, parts in made["data"]["parts"].items():
        half = parts["samples"] // 2
        parts["classes"] = [parts["samples"], 0] if part == "train" else [half, half]
    for trial in made["trials"]:
        if trial["accuracy"] is not None:
            trial["score"] = trial["accuracy"] - 0.05
    made["chosen"]["confusion"] = [[171, 9], [22, 158]]
    made["chosen"]["test_accuracy"] |= {
        "correct": 329,
        "value": 329 / 360,
        "low": 0.8804,
        "high": 0.9389,
        "metric": "auc",
        "score": 0.9318,
        "score_low": 0.9062,
        "score_high": 0.9574,
        "threshold": 123_456,
    }
    return made


def of_numbers(summary: Summary, metric: str = "rmse", skill: float = 0.5, count: int = 1) -> Summary:
    """A run that predicts numbers, as its test data show."""
    made = copy.deepcopy(summary)
    targets = [{"name": f"charge {place}" if place else "charge"} for place in range(count)]
    made["task"] |= {
        "metric": metric,
        "class_names": [],
        "targets": [target | {"mean": 51.0, "deviation": 12.5} for target in targets],
    }
    made["data"]["class_names"] = []
    for parts in made["data"]["parts"].values():
        parts["classes"] = []
    errors = {"rmse": 6.2513, "mae": 4.9, "r2": 0.75, "low": 5.7, "high": 6.8}
    made["chosen"] |= {"confusion": [], "predictions": []}
    made["chosen"]["test_accuracy"] |= {
        "correct": 0,
        "value": skill,
        "low": skill - 0.1,
        "high": skill + 0.1,
        "metric": metric,
        "score": skill,
        "score_low": skill - 0.1,
        "score_high": skill + 0.1,
        "numbers": [target | errors for target in targets],
    }
    return made


def of_boards(summary: Summary) -> Summary:
    """A run for three boards: the last of them has nothing that fits."""
    made = copy.deepcopy(summary)
    boards = []
    for name, title in (
        ("nrf52840", "Nordic nRF52840"),
        ("esp32s3", "Espressif ESP32-S3, with a longer name than most"),
        ("samd21", "Microchip SAM D21"),
    ):
        fits = name != "samd21"
        boards.append(
            {
                "target": made["target"] | {"name": name, "title": title},
                "folder": name,
                "budget": copy.deepcopy(made["budget"]),
                "notes": [],
                "front": made["front"] if fits else [],
                "chosen": made["chosen"] | {"bundle": f"{name}/bundle"} if fits else None,
            }
        )
    made["config"] |= {"targets": "nrf52840,esp32s3,samd21"}
    return made | {"boards": boards}
