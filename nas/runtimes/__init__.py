"""Engines that run a model: TFLM's interpreter, LiteRT, and the compiler for Ethos-U."""
