"""Benchmarks of the search: what is recorded once, and what is replayed over it."""
