"""The kinds of front ends: a file each with its settings and its graph, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cost_models.errors import UserError, did_you_mean
from nas.frontend.log_mel import log_mel
from nas.frontend.settings import LogMelSettings
from nas.frontend.signal_graph import FrontEndModel
from nas.frontend.spectrum import SpectrumSettings, spectrum
from nas.model.trained import FrontEndKind

FrontEndSettings = LogMelSettings | SpectrumSettings


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of front end: its settings, and the graph of them."""

    settings: Callable[..., FrontEndSettings]
    model: Callable[[Any], FrontEndModel]


KINDS: dict[FrontEndKind, Kind] = {
    "log_mel": Kind(LogMelSettings, log_mel),
    "spectrum": Kind(SpectrumSettings, spectrum),
}


def kind_of(settings: FrontEndSettings) -> FrontEndKind:
    """The name of the settings' kind."""
    return next(name for name, kind in KINDS.items() if type(settings) is kind.settings)


def model_of(settings: FrontEndSettings) -> FrontEndModel:
    """The front end of one frame and channel, as the chip runs it."""
    return KINDS[kind_of(settings)].model(settings)


def read_settings(kind: str, values: Mapping[str, Any]) -> FrontEndSettings:
    """Settings that were written down, as JSON values.

    Raises:
        UserError: They are none of that kind.
    """
    kinds: Mapping[str, Kind] = dict(KINDS.items())
    if kind not in kinds:
        raise UserError(f"There is no front end {kind}.", did_you_mean(kind, KINDS))
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return kinds[kind].settings(**given)
    except TypeError as error:
        raise UserError(f"The front end's settings are not those of {kind}: {error}.") from None
