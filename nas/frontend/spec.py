"""A front end as a value that tasks, bundles and manifests carry, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from nas.frontend.kinds import FrontEndSettings, kind_of, model_of, read_settings
from nas.model.trained import FrontEndSpec


def make_spec(settings: FrontEndSettings, clip_samples: int) -> FrontEndSpec:
    """The front end of recordings of so many samples.

    Raises:
        UserError: The recordings are shorter than a frame.
    """
    return FrontEndSpec(
        kind=kind_of(settings),
        settings=asdict(settings),
        tflite=model_of(settings).tflite,
        sample_rate=settings.sample_rate,
        clip_samples=clip_samples,
        window_samples=settings.window_samples,
        hop_samples=settings.hop_samples,
        frames=settings.clip_frames(clip_samples),
        bands=settings.bands,
        channels=settings.channels,
    )


def settings_of(spec: FrontEndSpec) -> FrontEndSettings:
    """The settings that a front end was made of.

    Raises:
        UserError: They are none.
    """
    return read_settings(spec.kind, spec.settings)


def remake_spec(kind: str, settings: Mapping[str, object], clip_samples: int) -> FrontEndSpec:
    """The front end that was written down with such settings.

    Raises:
        UserError: They are none of a front end.
    """
    return make_spec(read_settings(kind, settings), clip_samples)
