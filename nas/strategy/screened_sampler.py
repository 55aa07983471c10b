"""Any Optuna sampler behind the screen: its proposals are trained only where they fit and are new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution

from nas.strategy.distributions import distributions_of
from nas.strategy.engine import Proposal, SearchEngine
from nas.strategy.samplers import make_sampler
from nas.strategy.study import Study
from search_spaces.choices import Choices

_MOST_REFUSED = 500  # proposals in a row


@dataclass(slots=True, kw_only=True)
class ScreenedSampler:
    """Gives the engine new networks from the sampler of a study, see `SearchEngine.source`.

    A proposal that breaks the budget is not trained. Its trial ends at once with its costs, an error of 1 and the
    excess over each limit as constraints, so that the sampler learns where networks fit. A network that was trained
    before ends with the error that is known.

    Attributes:
        name: Of the sampler, for messages.
        study: Whose sampler proposes.
        engine: Knows what was trained.
        say: Is told when the sampler finds nothing new.
    """

    name: str
    study: Study
    engine: SearchEngine
    say: Callable[[str], None]
    _exhausted: bool = False
    _distributions: dict[str, BaseDistribution] | None = None

    def __call__(self) -> Proposal | None:
        """The next new network that fits; None when the sampler finds none."""
        if self._exhausted:
            return None
        if self._distributions is None:
            self._distributions = distributions_of(self.engine.screen)
        for _ in range(_MOST_REFUSED):
            trial = self.study.draw(self._distributions, self.name)
            screened = self.engine.screen(Choices(trial.params))
            if screened.fits and not self.engine.taken(trial.params):
                return Proposal(params=dict(trial.params), screened=screened, rung=0, trial=trial)
            self.study.refuse(trial, screened, self.engine.known_error(trial.params))
        self._exhausted = True
        self.say(
            f"the sampler {self.name} found no new network that fits in {_MOST_REFUSED} proposals: no more are begun"
        )
        return None


def propose_by(
    name: str, *, study: Study, engine: SearchEngine, seed: int, say: Callable[[str], None]
) -> None:
    """Lets the sampler of `--sampler` propose new networks, unless it is the engine itself.

    Args:
        name: See `nas.strategy.samplers.make_sampler`.
        study: The record of the search.
        engine: Promotes what is proposed.
        seed: Of the search. A resumed search draws by another one: it must not begin with the same proposals again.
        say: See `ScreenedSampler`.

    Raises:
        UserError: There is no such sampler, or its code fails.
    """
    rng = np.random.default_rng([seed, study.asked, *b"sampler"])
    sampler = make_sampler(name, int(rng.integers(2**31)))
    if sampler is not None:
        study.use(sampler)
        engine.source = ScreenedSampler(name=name, study=study, engine=engine, say=say)
