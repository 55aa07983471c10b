"""What training does to samples where the user asks: noise, other mountings, mirrored pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cost_models.errors import UserError, did_you_mean
from nas.model.recipe import TURNED_DEGREES
from nas.tasks.disturbances import GAINS, MOST_LOST, MOST_NOISE, MOST_OFFSET
from nas.tasks.options import TaskOptions

Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed:
    """How training samples are disturbed besides what the recipe does to all.

    Attributes:
        jitter: Standard deviation of noise on each value, as a share of its channel's.
        triples: Channels x, y and z of vectors that turn together, by up to `TURNED_DEGREES`.
        flip: Whether half of the pictures are mirrored, left to right.
        robust: Whether half of the samples are disturbed as sensors do, at most as in `nas.tasks.disturbances`.
    """

    jitter: float = 0.0
    triples: tuple[Triple, ...] = ()
    flip: bool = False
    robust: bool = False

    def to_json(self) -> dict[str, Any]:
        """The settings for the provenance; empty where nothing is asked for."""
        if self == Disturbed():
            return {}
        turns = {"degrees": TURNED_DEGREES, "axes": [list(triple) for triple in self.triples]}
        flipped = {"flipped": "left to right"} if self.flip else {}
        sensor = {"noise": MOST_NOISE, "gain": list(GAINS), "offset": MOST_OFFSET, "lost": MOST_LOST}
        return {
            "disturbed": {
                "jitter": self.jitter,
                **({"turned": turns} if self.triples else {}),
                **flipped,
                **({"sensor": sensor} if self.robust else {}),
            }
        }


def disturbed(
    options: TaskOptions | None, shape: tuple[int, ...], names: Sequence[str] | None
) -> tuple[Disturbed, list[str]]:
    """What `--jitter`, `--rotate` and `--flip` ask for, and a word about it.

    Args:
        options: What the user says of the data.
        shape: Of a sample: (time, channels); of pictures (height, width, channels).
        names: Of the channels, where they have some; else they are counted from 0.

    Raises:
        UserError: Triples that are none, or samples that are not signals, or not pictures.
    """
    if options is None or (options.rotate is None and not options.jitter and not options.flip):
        return Disturbed(), []
    if options.flip and len(shape) != 3:
        raise UserError(
            f"--flip is for pictures, not for samples of the shape {shape}.",
            "Give arrays of the shape (n, height, width, channels); --input-kind images says so.",
        )
    if len(shape) != 2 and (options.rotate is not None or options.jitter):
        raise UserError(
            f"--rotate and --jitter are for signals, not for samples of the shape {shape}.",
            "Give arrays of the shape (n, time, channels); --input-kind signals says so.",
        )
    notes = []
    triples = () if options.rotate is None else _triples(options.rotate, shape[-1], names)
    if triples:
        notes.append(
            f"In training {options.rotate} turn together, by up to {TURNED_DEGREES:g} degrees about any axis."
        )
    if options.jitter:
        notes.append(
            f"In training each value has noise of {100 * options.jitter:g} % of its channel's deviation."
        )
    if options.flip:
        notes.append("In training half of the pictures are mirrored, left to right.")
    return Disturbed(jitter=options.jitter, triples=triples, flip=options.flip), notes


def _triples(text: str, channels: int, names: Sequence[str] | None) -> tuple[Triple, ...]:
    known = [str(at) for at in range(channels)] if names is None else list(names)
    triples: list[Triple] = []
    used: set[str] = set()
    for group in text.split("/"):
        words = [word.strip() for word in group.split(",")]
        for word in words:
            if word not in known:
                raise UserError(f"--rotate: there is no channel {word}.", did_you_mean(word, known))
        if len(words) != 3 or len(set(words)) < 3 or used & set(words):
            raise UserError(
                f"--rotate {text} are not triples of axes.", "Write acc_x,acc_y,acc_z/gyro_x,gyro_y,gyro_z."
            )
        used |= set(words)
        x, y, z = (known.index(word) for word in words)
        triples.append((x, y, z))
    return tuple(triples)
