"""The contract of a sampler: proposals within the choices, the same for the same seed, whatever became of trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas.testing.sentences import fail, reason, require

if TYPE_CHECKING:
    import optuna

    from nas.strategy.samplers import MakeSampler


def check_sampler(sampler_factory: MakeSampler, *, trials: int = 24) -> None:
    """Lets a sampler propose in a study like a run's: within the choices, with failures, the same for the same seed.

    Args:
        sampler_factory: What the file exports as SAMPLER: a function of a seed.
        trials: How many proposals are asked for, two at a time.

    Raises:
        AssertionError: The sampler breaks its contract.
    """
    once, again = (_proposals(sampler_factory, trials) for _ in range(2))
    first = next((number for number in range(trials) if once[number] != again[number]), None)
    require(
        first is None,
        f"The sampler proposes {once[first or 0]} in trial {first}, and with the same seed {again[first or 0]}.",
    )
    require(
        any(params != once[0] for params in once),
        f"The sampler proposes {once[0]} in each of {trials} trials.",
    )


def _proposals(sampler_factory: MakeSampler, trials: int) -> list[dict[str, Any]]:
    """The choices of each trial of a study."""
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    from nas.strategy.study import quietly

    distributions: dict[str, BaseDistribution] = {
        "width": IntDistribution(4, 64, step=4),
        "growth": FloatDistribution(0.5, 4.0, log=True),
        "block": CategoricalDistribution(("plain", "residual", None)),
        "depth": IntDistribution(1, 1),
    }
    try:
        sampler = sampler_factory(7)
    except Exception as error:
        fail(f"The sampler cannot be made with a seed: {reason(error)}", error)
    require(
        isinstance(sampler, optuna.samplers.BaseSampler),
        f"The sampler is of type {type(sampler).__name__}, no optuna.samplers.BaseSampler.",
    )
    proposed: list[dict[str, Any]] = []
    running: list[optuna.Trial] = []
    with quietly():
        # As in a run: the error, SRAM, flash and cycles.
        study = optuna.create_study(directions=["minimize"] * 4, sampler=sampler)
        for number in range(trials):
            try:
                trial = study.ask(fixed_distributions=distributions)
            except Exception as error:
                fail(f"The sampler fails in trial {number}: {reason(error)}", error)
            for name, distribution in distributions.items():
                value = trial.params.get(name)
                require(
                    _is_within(distribution, value),
                    f"The sampler proposes {name} = {value!r} in trial {number}, which is not in {distribution}.",
                )
            proposed.append(dict(trial.params))
            running.append(trial)
            if len(running) > 1:
                _end(study, running.pop(0))
    return proposed


def _is_within(distribution: Any, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (TypeError, ValueError):
        return False


def _end(study: Any, trial: Any) -> None:
    """Ends a trial as runs do: with values, with constraints that are broken, or as one that failed."""
    from optuna.trial import TrialState

    width, growth = trial.params["width"], trial.params["growth"]
    try:
        if trial.number % 5 == 3:
            study.tell(trial, state=TrialState.FAIL)
            return
        if trial.number % 4 == 2:
            trial.set_constraint("sram", 1.0)
        study.tell(trial, [1 / (1 + width * growth), 100.0 * width, 50.0 * width, 10.0 * width * growth])
    except Exception as error:
        fail(f"The sampler fails where trial {trial.number} ends: {reason(error)}", error)
