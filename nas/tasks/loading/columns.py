"""Which column is what: label, group, time, or a channel; by the user's word, or by a usual name, which is said."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cost_models.errors import UserError, did_you_mean
from nas.model.words import listed
from nas.tasks.loading.class_folders import show
from nas.tasks.loading.tables import Head
from nas.tasks.loading.times import base_name

Patterns = tuple[re.Pattern[str], ...]

LABEL_NAMES: Patterns = (
    re.compile(r"labels?|class(es)?|targets?|activit(y|ies)|gestures?|ground_?truth", re.I),
    re.compile(r"(class|label|activity|gesture)_?(name|id|nr|label|code)", re.I),
)
GROUP_NAMES: Patterns = (
    re.compile(
        r"(subject|person|participant|patient|user|speaker|group|volunteer)s?(_?(id|no|nr|number|name))?",
        re.I,
    ),
    re.compile(r"(session|recording|trial|run|device|machine|file)s?(_?(id|no|nr|number|name))?", re.I),
)
TIME_NAMES: Patterns = (
    re.compile(r"(time|time_?stamps?|date_?time|epoch|ts)(_?(s|sec|ms|us|ns))?", re.I),
    re.compile(r"t(_?(s|sec|ms|us|ns))?"),  # T is a temperature
    re.compile(r"(.*[_ ])?time(_?stamp)?(_?(s|sec|ms|us|ns))?|(seconds|millis)(_?elapsed)?|elapsed", re.I),
    re.compile(r"date", re.I),
)
NONE = "none"
FOLDER = "folder"
_ROW_NAMES = re.compile(r"|unnamed: ?0|index|row(_?(id|no|nr|number))?", re.I)
_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The columns of all files.

    Attributes:
        label: Of labels; None where folders or a file have them.
        group: Of groups; None without.
        time: Of times; None without.
        channels: Those that were named, or the rest that are numbers, in the order of the first file.
        notes: What was guessed or left out.
    """

    label: str | None
    group: str | None
    time: str | None
    channels: tuple[str, ...]
    notes: tuple[str, ...]


def first_named(names: Sequence[str], patterns: Patterns) -> str | None:
    """The first name that is usual for something."""
    return next((n for pattern in patterns for n in names if pattern.fullmatch(base_name(n))), None)


def choose_roles(
    heads: Sequence[Head],
    *,
    label: str | None,
    group: str | None,
    time: str | None,
    labels_elsewhere: bool,
    channels: str | None = None,
) -> Roles:
    """The role of each column.

    Args:
        heads: Of all files.
        label: The column that the user names; None guesses one unless labels are elsewhere.
        group: The same; "none" is for no group.
        time: The same; "none" is for no times.
        labels_elsewhere: Whether class folders or a file of labels have the labels.
        channels: The columns that the user names, with commas between them; None takes all that are left.

    Raises:
        UserError: Files of other columns, names that are not there, no label, or no channel.
    """
    _check_alike(heads)
    names = list(heads[0].names)
    kinds = {name: _kind(heads, name) for name in names}
    notes: list[str] = []
    taken: dict[str, str | None] = {}
    chosen = () if channels is None else _chosen(heads, channels, kinds)
    for role, said, patterns in (
        ("label", label, LABEL_NAMES),
        ("time", time, TIME_NAMES),
        ("group", group, GROUP_NAMES),
    ):
        free = [name for name in names if name and name not in (*taken.values(), *chosen)]
        usual = [name for name in free if any(p.fullmatch(base_name(name)) for p in patterns)]
        if said == NONE or (role == "label" and labels_elsewhere):
            taken[role] = None
        elif said is not None:
            taken[role] = _named(heads[0], said, role, free)
        else:
            taken[role] = first_named(usual, patterns)
            if taken[role] is not None:
                notes.append(
                    f"Column {taken[role]} is taken for the {role} by its name; --{role} names another."
                )
        extra = [
            name for name in usual if name != taken[role] and (kinds[name] == "number" or role == "label")
        ]
        if role == "label" and not labels_elsewhere and taken[role] is None:
            raise UserError(
                f"{show(heads[0].path)} has no column that is called label.",
                f"Name it with --label ({listed([n for n in names if n], _NAMED)}); or give one folder for each class,"
                " or a file labels.csv.",
            )
        # A subject or a clock that is learned from makes a model that is good at nothing else.
        if extra and not chosen:
            notes.append(
                f"{_columns(extra)} left out, as the name is that of a {role}"
                f"{'' if taken[role] is None else f' and {taken[role]} is taken'}; rename it to make it a channel."
            )
            kinds.update(dict.fromkeys(extra, "left out"))
    rest = [name for name in names if name not in taken.values() and kinds[name] != "left out"]
    if chosen:
        others = [name or "without a name" for name in names if name not in (*taken.values(), *chosen)]
        notes += (
            [f"{_columns(others)} left out, as --channels does not name {_them(others)}."] if others else []
        )
    return Roles(
        label=taken["label"],
        group=taken["group"],
        time=taken["time"],
        channels=chosen or tuple(_channels(heads, rest, kinds, notes)),
        notes=tuple(notes),
    )


def _chosen(heads: Sequence[Head], said: str, kinds: dict[str, str]) -> tuple[str, ...]:
    """The columns that --channels names.

    Raises:
        UserError: One is not there, is named twice, or holds no numbers.
    """
    # As in a header: a name with a comma in it is quoted.
    words = [word.strip() for word in next(csv.reader([said], skipinitialspace=True), [])]
    free = [name for name in heads[0].names if name]
    chosen: list[str] = []
    for word in words or [""]:
        if not word:
            raise UserError("--channels names an empty column.", "Write names with commas between them.")
        name = _named(heads[0], word, "channels", free)
        if name in chosen:
            raise UserError(f"--channels names {name} twice.", "Name each column once.")
        if kinds[name] in ("text", "empty"):
            what = "words" if kinds[name] == "text" else "nothing"
            raise UserError(
                f"{show(heads[0].path)}: column {name} of --channels holds {what}.",
                "Name columns of numbers.",
            )
        chosen.append(name)
    _check_numbers(heads, chosen, kinds)
    return tuple(chosen)


def _channels(heads: Sequence[Head], rest: list[str], kinds: dict[str, str], notes: list[str]) -> list[str]:
    words = [name for name in rest if kinds[name] == "text"]
    empty = [name for name in rest if kinds[name] == "empty"]
    rows = [name for name in rest if kinds[name] == "number" and _ROW_NAMES.fullmatch(name)]
    if words:
        notes.append(f"{_columns(words)} left out: words are not a channel.")
    if empty:
        notes.append(
            f"{_columns([name or 'without a name' for name in empty])} left out: there is nothing in it."
        )
    if rows:
        notes.append(
            f"{_columns([name or 'without a name' for name in rows])} left out: it numbers the rows."
        )
    channels = [name for name in rest if name not in (*words, *empty, *rows)]
    _check_numbers(heads, channels, kinds)
    if not channels:
        raise UserError(
            f"{show(heads[0].path)} has no channels: no column of numbers is left.",
            f"Its columns are {listed([name or '(no name)' for name in heads[0].names], _NAMED)}.",
        )
    return channels


def _check_numbers(heads: Sequence[Head], channels: Sequence[str], kinds: dict[str, str]) -> None:
    """Refuses a column that holds words in some files."""
    for name in channels:
        if kinds[name] == "mixed":
            bad = next(head for head in heads if head.kinds[head.names.index(name)] == "text")
            raise UserError(
                f"{show(bad.path)}: column {name} holds words, in other files numbers.",
                "Correct it, or rename it.",
            )


def _check_alike(heads: Sequence[Head]) -> None:
    """Refuses files that do not have the columns of the first one."""
    first = heads[0]
    for head in heads:
        nameless = [i for i, name in enumerate(head.names) if not name and head.kinds[i] != "empty"]
        if len(nameless) > 1 or (nameless and nameless[0] > 0):
            raise UserError(
                f"{show(head.path)}: column {nameless[-1] + 1} has no name.",
                "Name every column in the header.",
            )
        if head.names == first.names:
            continue
        for having, lacking in ((first, head), (head, first)):
            for name in having.names:
                if name and name not in lacking.names:
                    near = next((n for n in lacking.names if n.casefold() == name.casefold()), None)
                    raise UserError(
                        f"{show(lacking.path)} has no column {name}, which {show(having.path)} has.",
                        f"It has {near}: write names alike in all files."
                        if near
                        else "Give all files the same columns; other files belong elsewhere.",
                    )


def _kind(heads: Sequence[Head], name: str) -> str:
    """The content of a column in all files: numbers, words, nothing, or numbers here and words there."""
    where = {
        kind: head
        for head in heads
        if name in head.names and (kind := head.kinds[head.names.index(name)]) != "empty"
    }
    return next(iter(where), "empty") if len(where) < 2 else "mixed"


def _named(head: Head, said: str, role: str, free: Sequence[str]) -> str:
    """The column that a name means: as it is written, or without its unit or case where only one is such.

    Raises:
        UserError: None is.
    """
    if said in free:
        return said
    alike = [n for n in free if said.casefold() in (n.casefold(), base_name(n).casefold())]
    if len(alike) == 1:
        return alike[0]
    hint = did_you_mean(said, free)
    if said in head.names:
        hint = "It already is something else."
    raise UserError(f"{show(head.path)} has no column {said} for --{role}.", hint)


def _them(names: Sequence[str]) -> str:
    return "them" if len(names) > 1 else "it"


def _columns(names: Sequence[str]) -> str:
    return f"Column{'s' if len(names) > 1 else ''} {listed(names, _NAMED)}"
