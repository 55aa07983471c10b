"""Exit codes of the commands."""

from __future__ import annotations

from cost_models.command_line import INTERRUPTED, TERMINATED, USER_ERROR

DONE, ALL_FAILED, NOTHING_FEASIBLE = 0, 1, 3
REFUSED = 1  # a bundle or model that must not be shipped

__all__ = ["ALL_FAILED", "DONE", "INTERRUPTED", "NOTHING_FEASIBLE", "REFUSED", "TERMINATED", "USER_ERROR"]
