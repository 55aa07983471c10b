from __future__ import annotations

from typing import Any

import pytest

from tests.nas.report.synthetic_summary import synthetic_summary


@pytest.fixture
def summary() -> dict[str, Any]:
    """A finished run."""
    return synthetic_summary()


@pytest.fixture
def uncalibrated() -> dict[str, Any]:
    """The same on a target that has no cycles, latency or energy."""
    return synthetic_summary(calibrated=False)
