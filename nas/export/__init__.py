"""From a finished model to a folder that a firmware repository takes in without editing, and the proof."""

from __future__ import annotations

from nas.export.bundle import Bundle, export
from nas.export.verify import BundleError, Verification, verify

__all__ = ["Bundle", "BundleError", "Verification", "export", "verify"]
