"""Exit codes of the commands."""

from __future__ import annotations

from cost_models.command_line import USER_ERROR, ended_by

DONE, ALL_FAILED, NOTHING_FEASIBLE = 0, 1, 3
REFUSED = 1  # a bundle or model that must not be shipped

__all__ = ["ALL_FAILED", "DONE", "NOTHING_FEASIBLE", "REFUSED", "USER_ERROR", "ended_by"]
