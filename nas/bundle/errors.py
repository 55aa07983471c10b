"""Why a bundle must not be used: the closed list of reasons."""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "manifest",
    "version",
    "files",
    "hash",
    "model",
    "budget",
    "content",
    "golden",
    "compile",
    "array",
    "labels",
    "interface",
    "preprocessing",
    "sections",
]


class BundleError(Exception):
    """A bundle that must not be used.

    Args:
        reason: Which check it fails.
        message: What differs, as one sentence.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message
