"""One run, from configuration to verified bundle: a library that prints nothing."""
