"""Errors of a run that lost its backend: its cluster, or its storage."""

from __future__ import annotations


class BackendLostError(Exception):
    """Says what went away, in a sentence. The run can be resumed."""
