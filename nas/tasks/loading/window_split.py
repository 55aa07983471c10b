"""Windows into parts: by group, by file, or by blocks of time with nothing between two parts that overlaps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import UserError
from nas.model.words import counted
from nas.tasks.loading.windows import Indices, Windows
from nas.tasks.split import hold_out

_SEEDS = 32  # splits by group that are tried for one with each class in each part
_NEAR_SHARE = 0.2
_NEAR_EDGE = 0.1  # of a label's windows, within which a block may end earlier or later than its share
_LEAST_GROUPS = 5

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
VALIDATION = {"train": 0.8, "val": 0.2}


def split_windows(
    windows: Windows,
    among: Indices,
    shares: Mapping[str, float],
    *,
    grouped: bool,
    name: str,
    labels: tuple[str, ...],
) -> tuple[dict[str, Indices], list[str]]:
    """Indices of the windows of each part, and a word about how they were divided.

    Args:
        windows: All of them.
        among: Those to divide.
        shares: Of the windows, by part; the first is that of training.
        grouped: Whether windows have groups.
        name: The task, for messages.
        labels: Names by index, for messages.

    Raises:
        UserError: Too few groups, or too few windows of a class.
    """
    if not len(among):
        raise UserError(
            f"{name}: the training part gives no window.", "Give longer recordings, or a shorter --window."
        )
    y = windows.label[among]
    if grouped:
        groups = windows.group[among]
        count = len(np.unique(groups))
        if count < _LEAST_GROUPS:
            raise UserError(
                f"{name}: {counted(count, 'group')} {'is' if count == 1 else 'are'} too few to split by group.",
                f"Give at least {_LEAST_GROUPS}, or folders train, val and test; --group none splits by file or time.",
            )
        parts = _by_group(y, groups, shares, name)
        if parts is not None and _complete(y, {"train": parts["train"]}):
            return _back(parts, among), [f"Split by group: {_counts(parts, groups)}."]
        rare = min(np.unique(y), key=lambda label: len(np.unique(groups[y == label])))
        raise UserError(
            f"{name}: label {labels[int(rare)]} occurs in {len(np.unique(groups[y == rare]))} of {count} groups, and no"
            " split by group has every label in training.",
            "Record it with more groups, or leave it out.",
        )
    files = windows.file[among]
    least = min(len(np.unique(files[y == label])) for label in np.unique(y))
    if len(np.unique(files)) >= _LEAST_GROUPS and least >= len(shares):
        parts = _by_group(y, files, shares, name)
        if parts is not None and _complete(y, parts):
            return _back(parts, among), [f"Split by file: {_counts(parts, files)}."]
    parts, purged = _by_time(windows, among, shares, name, labels)
    first, *others = shares
    note = (
        "Split by time, as no split by file has each label in each part: the first"
        f" {100 * shares[first]:.0f} % of each label are for {first}, the next for {' and '.join(others)};"
        f" {counted(purged, 'window')} overlapping two parts left out. Accuracy is that of known recordings."
    )
    return parts, [note]


def _by_group(
    labels: Indices, groups: Indices, shares: Mapping[str, float], name: str
) -> dict[str, Indices] | None:
    """Of some splits the first that has each class in each part and parts near their shares, or the nearest to it."""
    best, nearest = None, (math.inf, math.inf)
    for seed in range(_SEEDS):
        rest, left, parts = np.arange(len(labels)), 1.0, {}
        try:
            for part in [*shares][:0:-1]:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of classes with fewer samples than folds
                    stay, held = hold_out(
                        labels[rest], groups[rest], share=shares[part] / left, seed=seed, name=name
                    )
                parts[part], rest, left = rest[held], rest[stay], left - shares[part]
        except (UserError, ValueError):
            continue  # too few groups remain
        parts[next(iter(shares))] = rest
        lacking = sum(len(np.unique(labels)) - len(np.unique(labels[index])) for index in parts.values())
        # A class that training lacks cannot be learned at all.
        lacking += 10 * (not _complete(labels, {"train": rest})) * len(labels)
        off = max(abs(len(index) / (shares[part] * len(labels)) - 1) for part, index in parts.items())
        if (lacking, off) < nearest:
            best, nearest = parts, (lacking, off)
        if not lacking and off < _NEAR_SHARE:
            break
    return best


def _complete(labels: Indices, parts: Mapping[str, Indices]) -> bool:
    classes = len(np.unique(labels))
    return all(len(np.unique(labels[index])) == classes for index in parts.values())


def _back(parts: Mapping[str, Indices], among: Indices) -> dict[str, Indices]:
    return {part: np.sort(among[index]) for part, index in parts.items()}


def _counts(parts: Mapping[str, Indices], groups: Indices) -> str:
    order = [part for part in SHARES if part in parts]
    return ", ".join(f"{len(np.unique(groups[parts[part]])):,} in {part}" for part in order)


def _by_time(
    windows: Windows, among: Indices, shares: Mapping[str, float], name: str, labels: tuple[str, ...]
) -> tuple[dict[str, Indices], int]:
    """Each label's windows in the order of time, cut into blocks, without those that overlap one of an earlier part."""
    present = np.unique(windows.label[among]).tolist()
    blocks: dict[str, list[Indices]] = {part: [] for part in shares}
    for label in present:
        index = among[windows.label[among] == label]
        edges = _edges(windows.stretch[index], shares)
        for part, (first, last) in zip(shares, pairwise(edges), strict=True):
            blocks[part].append(index[first:last])
    # Windows that straddle two labels overlap those of the other one, whose blocks end elsewhere.
    place = windows.stretch * (int(windows.start.max()) + windows.rows) + windows.start
    chosen: dict[str, Indices] = {}
    purged = 0
    for part, of_labels in blocks.items():
        block = np.sort(np.concatenate(of_labels))
        earlier = np.sort(np.concatenate([np.empty(0, np.int64), *chosen.values()]))
        keep = ~_overlaps(place[block], place[earlier], windows.rows)
        purged += int(np.count_nonzero(~keep))
        chosen[part] = block[keep]
        lacking = np.setdiff1d(present, windows.label[chosen[part]])
        if len(lacking):
            raise _too_few(int(lacking[0]), windows, among, shares, name, labels)
    return chosen, purged


def _overlaps(places: Indices, others: Indices, rows: int) -> NDArray[np.bool_]:
    """Whether a window of `rows` rows shares one with any of the others. Places rise. Shape: as places."""
    near = np.full(len(places), False)
    if len(others):
        after = np.searchsorted(others, places)
        near |= others[np.minimum(after, len(others) - 1)] - places < rows
        near &= after < len(others)
        near |= (after > 0) & (places - others[np.maximum(after - 1, 0)] < rows)
    return near


def _too_few(
    label: int,
    windows: Windows,
    among: Indices,
    shares: Mapping[str, float],
    name: str,
    labels: tuple[str, ...],
) -> UserError:
    count = int(np.count_nonzero(windows.label[among] == label))
    overlap = -(-windows.rows // windows.hop) - 1  # windows after one that share rows with it
    return UserError(
        f"{name}: label {labels[label]} has {count:,} windows, too few for the parts"
        f" {', '.join(shares)} without overlap.",
        f"Record more of it, or give a shorter --window or --hop (a window overlaps {counted(overlap, 'other')})."
        if overlap
        else "Record more of it, or give a shorter --window.",
    )


def _edges(stretch: Indices, shares: Mapping[str, float]) -> list[int]:
    """Where blocks begin and end: between two stretches if such a place is near, as there nothing overlaps."""
    count = len(stretch)
    between = np.flatnonzero(np.diff(stretch)) + 1
    edges = [0]
    for share in np.cumsum([*shares.values()])[:-1].tolist():
        edge = round(share * count)
        near = between[(np.abs(between - edge) <= max(1, _NEAR_EDGE * count)) & (between > edges[-1])]
        edges.append(int(near[np.argmin(np.abs(near - edge))]) if len(near) else edge)
    return [*edges, count]


def part_indices(parts: NDArray[np.str_], windows: Windows) -> dict[str, Indices]:
    """Windows by the part that their file lies in."""
    of = parts[windows.file]
    return {part: np.flatnonzero(of == part).astype(np.int64) for part in np.unique(parts).tolist()}
