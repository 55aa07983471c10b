"""What a search goes by, and how a model is chosen from its Pareto front."""

from __future__ import annotations

from typing import Literal

Policy = Literal["accuracy", "balanced", "smallest"]
NumberMetricName = Literal["rmse", "mae", "r2"]
AskedMetricName = Literal["accuracy", "balanced_accuracy", "macro_f1", "auc", "partial_auc", NumberMetricName]
RobustMetricName = Literal["robust_accuracy", "robust_balanced_accuracy", "robust_macro_f1"]
MetricName = Literal[AskedMetricName, RobustMetricName]

POLICIES: dict[Policy, str] = {
    "accuracy": "highest int8 validation {metric}; among equals the fewest cycles",
    "balanced": "the cheapest within one standard error of the highest int8 validation {metric}",
    "smallest": "the least SRAM within two standard errors of the highest int8 validation {metric}",
}
