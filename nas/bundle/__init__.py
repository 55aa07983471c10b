"""From a finished model to a folder that a firmware repository takes in without editing, and the proof."""

from __future__ import annotations

from nas.bundle.bundle import Bundle, export
from nas.bundle.check import Checked, check_bundle
from nas.bundle.errors import BundleError
from nas.bundle.verify import Verification, verify

__all__ = ["Bundle", "BundleError", "Checked", "Verification", "check_bundle", "export", "verify"]
