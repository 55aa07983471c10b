"""Instructions, cycles and their intervals, per operator, kernel library and core."""

from __future__ import annotations

from cost_models.cycles.model import OperatorWork, Work, WorkBasis, predict
from cost_models.cycles.rates import Rates

__all__ = ["OperatorWork", "Rates", "Work", "WorkBasis", "predict"]
