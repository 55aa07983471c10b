"""Domain types that need no heavy library."""
