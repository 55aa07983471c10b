"""A front end as a value that tasks, bundles and manifests carry, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from cost_models.errors import UserError
from nas.frontend.log_mel import log_mel
from nas.frontend.settings import LogMelSettings
from nas.model.trained import FrontEndSpec


def make_spec(settings: LogMelSettings, clip_samples: int) -> FrontEndSpec:
    """The front end of recordings of so many samples.

    Raises:
        UserError: The recordings are shorter than a frame.
    """
    return FrontEndSpec(
        kind="log_mel",
        settings=asdict(settings),
        tflite=log_mel(settings).tflite,
        sample_rate=settings.sample_rate,
        clip_samples=clip_samples,
        window_samples=settings.window_samples,
        hop_samples=settings.hop_samples,
        frames=settings.clip_frames(clip_samples),
        bands=settings.bands,
    )


def settings_of(spec: FrontEndSpec) -> LogMelSettings:
    """The settings that a front end was made of.

    Raises:
        UserError: They are none.
    """
    return _settings(spec.settings)


def remake_spec(settings: Mapping[str, object], clip_samples: int) -> FrontEndSpec:
    """The front end that was written down with such settings.

    Raises:
        UserError: They are none of a front end.
    """
    return make_spec(_settings(settings), clip_samples)


def _settings(values: Mapping[str, object]) -> LogMelSettings:
    try:
        return LogMelSettings(**values)  # type: ignore[arg-type]
    except TypeError as error:
        raise UserError(f"The front end's settings are not those of log_mel: {error}.") from None
