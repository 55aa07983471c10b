"""Twin graphs: whether the graph predicted for a spec is the one that its converted model holds."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import tf_keras

from cost_models.graph import OpGraph
from cost_models.tflite_graph import read_graph
from nas.tf.build import build
from nas.tf.convert import convert
from search_spaces.arch import ArchSpec
from search_spaces.choices import Choices
from search_spaces.lower import lower
from search_spaces.space import candidate, list_spaces, load_space

INPUT_SHAPES = ((8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 6), (128, 2), (49, 10, 1), (2000, 1), (48, 48, 1))
EXAMPLES = 2
MAX_MACS = 10_000_000  # beyond, a random network only costs time


def random_specs(name: str, *, count: int, seed: int = 0, max_macs: int = MAX_MACS) -> Iterator[ArchSpec]:
    """Distinct narrow networks of the space `name`, over all of `INPUT_SHAPES` in turn."""
    space = load_space(name)
    seen: set[ArchSpec] = set()
    for number, shape in enumerate(itertools.cycle(INPUT_SHAPES)):
        choices = Choices(rng=np.random.default_rng([seed, number, *name.encode()]))
        spec = candidate(space, choices, input_shape=shape, classes=2 + len(seen) % 11).narrow
        if spec not in seen and lower(spec).macs <= max_macs:
            seen.add(spec)
            yield spec
        if len(seen) == count:
            return


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
        for index, (expected, actual) in enumerate(itertools.zip_longest(ours, theirs)):
            if expected != actual:
                return f"{what} {index}\n  predicted {expected}\n  converted {actual}"
    return "graphs"


def main(argv: Sequence[str] | None = None) -> int:
    """Compare many random networks of every space; prints a line a space, exits with 1 on any difference."""
    parser = argparse.ArgumentParser(prog="check_twins", description=main.__doc__)
    parser.add_argument("--n", type=int, default=200, help="networks a space")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--space", action="append", help="only this space (may be repeated)")
    options = parser.parse_args(argv)
    failed = False
    for name in options.space or list_spaces():
        for number, spec in enumerate(random_specs(name, count=options.n, seed=options.seed)):
            mismatch = difference(spec, seed=number)
            if mismatch is not None:
                failed = True
                print(f"{name} {number}: {mismatch}\n  {spec.to_json()}")
        print(f"{name}: {options.n} networks compared", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
