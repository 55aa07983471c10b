"""Which networks a search may consider."""
