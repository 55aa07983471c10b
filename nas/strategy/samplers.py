"""The samplers that `--sampler` names: the engine of this package, Optuna's own, or one in a user's file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.samplers import BaseSampler

from cost_models.errors import UserError
from nas.strategy.study import quietly
from search_spaces.users_code import exported, load_file, users_fault

MakeSampler = Callable[[int], BaseSampler]


def _tpe(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _gp(seed: int) -> BaseSampler:
    if importlib.util.find_spec("torch") is None:
        raise UserError("--sampler gp needs PyTorch.", "Install it: pip install torch.")
    return optuna.samplers.GPSampler(seed=seed)


_OPTUNA: dict[str, MakeSampler] = {
    "tpe": _tpe,
    "gp": _gp,
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def make_sampler(name: str, seed: int) -> BaseSampler | None:
    """The sampler behind a name or file; None for `nas`, the engine itself.

    Args:
        name: See `nas.run.config.SAMPLERS`, or a Python file that exports SAMPLER, a function of a seed.
        seed: Of the sampler.

    Raises:
        UserError: There is no such sampler, or its code fails.
    """
    if name == "nas":
        return None
    with quietly():
        return _OPTUNA[name](seed) if name in _OPTUNA else _from_file(name, seed)


def _from_file(name: str, seed: int) -> BaseSampler:
    module = load_file(Path(name), "sampler")
    make = exported(module, "SAMPLER", "sampler")
    if not callable(make):
        raise UserError(
            f"{name} exports no sampler.",
            "It needs SAMPLER, a function of a seed that returns an Optuna sampler.",
        )
    try:
        made = make(seed)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"The sampler {name} fails to start: {users_fault(error, name)}.",
            "SAMPLER must take a seed and return an Optuna sampler.",
        ) from error
    if not isinstance(made, BaseSampler):
        raise UserError(
            f"SAMPLER of {name} returns {type(made).__name__}.",
            "It must return an optuna.samplers.BaseSampler.",
        )
    return made
