"""From a finished model to a folder that a firmware repository takes in without editing, and the proof."""

from __future__ import annotations

from nas.export.bundle import Bundle, export
from nas.export.check import Checked, check_bundle
from nas.export.errors import BundleError
from nas.export.verify import Verification, verify

__all__ = ["Bundle", "BundleError", "Checked", "Verification", "check_bundle", "export", "verify"]
