"""Mutation campaigns over everything that comes from outside: `scripts/fuzz`."""
