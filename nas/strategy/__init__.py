"""The search: Optuna proposes, the screen judges, the executor trains, the front keeps."""
