"""What a run needs went away while it ran: its cluster, or its storage."""

from __future__ import annotations


class BackendLostError(Exception):
    """Says what went away, in a sentence. The run can be resumed."""
