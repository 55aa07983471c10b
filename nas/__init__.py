"""The search service: asks, evaluates, keeps the front, exports."""
