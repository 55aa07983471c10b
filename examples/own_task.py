"""A task of one's own: labelled rows of a CSV file of sensor values, `--task examples/own_task.py:FILE`."""

import csv
from pathlib import Path

import numpy as np

from nas.tasks import split_parts


def load(path, options):
    """Columns `machine` and `state`, and one for each sensor; all rows of a machine are in one part."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    sensors = [column for column in rows[0] if column not in ("machine", "state")]
    return split_parts(
        name="machines",
        samples=np.array([[float(row[column]) for column in sensors] for row in rows]),
        labels=np.array([row["state"] for row in rows]),
        groups=np.array([row["machine"] for row in rows]),
        source="Vibration and temperature of our own test bench",
        input_kind="features",
        options=options,
    )


TASK = load
