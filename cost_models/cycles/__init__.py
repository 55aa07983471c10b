"""Instructions, cycles and their intervals, per operator, kernel library and core."""
