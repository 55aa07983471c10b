"""Flags in, screen and exit code out: nothing else in this package prints."""
