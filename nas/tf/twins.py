"""Twin graphs: whether the graph predicted for a spec is the one that its converted model holds."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence

import numpy as np
import optuna
import tf_keras

from cost_models.graph import OpGraph
from cost_models.tflite_graph import read_graph
from nas.tf.build import build
from nas.tf.convert import convert
from search_spaces.arch import ArchSpec
from search_spaces.lower import lower
from search_spaces.space import candidate, list_spaces, load_space

INPUT_SHAPES = ((8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 6), (128, 2), (49, 10, 1), (2000, 1), (48, 48, 1))
EXAMPLES = 4
MAX_MACS = 50_000_000  # beyond, a random network only costs time


def randomize(model: tf_keras.Model, seed: int) -> None:
    """Give every weight a value as training might leave it: no zero bias, no idle batch norm."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        positive = "variance" in weight.name or "gamma" in weight.name
        value = (
            generator.uniform(0.5, 1.5, weight.shape) if positive else generator.normal(0, 0.3, weight.shape)
        )
        weight.assign(value.astype(np.float32))


def difference(spec: ArchSpec, seed: int = 0) -> str | None:
    """Convert `spec` with random weights and compare; None when both graphs are equal in every field."""
    model = build(spec, seed=seed)
    randomize(model, seed)
    examples = np.random.default_rng(seed).normal(size=(EXAMPLES, *spec.input_shape)).astype(np.float32)
    return first_difference(lower(spec), read_graph(convert(model, examples)))


def first_difference(predicted: OpGraph, converted: OpGraph) -> str | None:
    """The first operator or tensor in which two graphs differ."""
    if predicted == converted:
        return None
    for what, ours, theirs in (
        ("operator", predicted.operators, converted.operators),
        ("tensor", predicted.tensors, converted.tensors),
        ("input and output", (predicted.inputs, predicted.outputs), (converted.inputs, converted.outputs)),
    ):
        for index, (one, other) in enumerate(itertools.zip_longest(ours, theirs)):
            if one != other:
                return f"{what} {index}\n  predicted {one}\n  converted {other}"
    return "graphs"


def main(argv: Sequence[str] | None = None) -> int:
    """Compare many random networks of every space; prints a line a space, exits with 1 on any difference."""
    parser = argparse.ArgumentParser(prog="check_twins", description=main.__doc__)
    parser.add_argument("--n", type=int, default=200, help="networks a space")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--space", action="append", help="only this space (may be repeated)")
    options = parser.parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    failed = False
    for name in options.space or list_spaces():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=options.seed))
        space = load_space(name)
        digests: set[str] = set()
        shapes = itertools.cycle(INPUT_SHAPES)
        while len(digests) < options.n:
            shape = next(shapes)
            spec = candidate(space, study.ask(), input_shape=shape, classes=2 + len(digests) % 11).narrow
            if lower(spec).macs > MAX_MACS or spec.digest() in digests:
                continue
            digests.add(spec.digest())
            found = difference(spec, seed=len(digests))
            if found is not None:
                failed = True
                print(f"{name} {shape}: {found}\n  {spec.to_json()}")
        print(f"{name}: {len(digests)} networks compared", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
