"""Which names a model may have: files, C symbols and macros of a bundle begin with its name."""

from __future__ import annotations

import re

from cost_models.errors import UserError

_LONGEST = 32
# Words of C and C++, and main.
_KEYWORDS = """
    alignas alignof and asm auto bool break case catch char class compl concept const constexpr continue decltype
    default delete do double else enum explicit export extern false float for friend goto if inline int long mutable
    namespace new noexcept not nullptr operator or private protected public register requires restrict return short
    and_eq bitand bitor not_eq or_eq xor_eq thread_local constinit consteval
    signed sizeof static struct switch template this throw true try typedef typeid typename typeof union unsigned using
    virtual void volatile while xor main
"""
# <name>.h on the include path must not hide a header of the C library, of POSIX or of Arduino's core.
_HEADERS = """
    alloca assert complex ctype endian errno fcntl features fenv float inttypes limits locale malloc math memory poll
    pthread sched semaphore setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn
    string strings syslog termios tgmath threads time uchar unistd wchar wctype
    arduino print spi stream wire
"""
# <name>_model.cc of one model would be <name>.cc of another.
_ENDINGS = ("_model", "_golden", "_io", "_frontend", "_self_test", "_self_test_main")


def check_name(name: str) -> None:
    """Refuse a name that files and C symbols cannot begin with.

    Raises:
        UserError: No lower-case identifier, too long, a keyword, a system header's, or one of a bundle's own files.
    """
    why = _fault(name)
    if why:
        raise UserError(f"{name!r} cannot name a model: {why[0]}.", why[1])


def _fault(name: str) -> tuple[str, str] | None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in _KEYWORDS.split() or "__" in name:
        return (
            "files and C symbols begin with it",
            "Take lower-case letters, digits and single underscores, a letter first, no keyword of C.",
        )
    if len(name) > _LONGEST:
        return f"it has {len(name)} characters", f"Take {_LONGEST} at most."
    if name in _HEADERS.split():
        return (
            f"{name}.h is a system header, which the model's own would hide",
            f"Take another, like {name}_net.",
        )
    for ending in _ENDINGS:
        if name.endswith(ending):
            return f"files of a bundle end in {ending}", f"Take another, like {name}_net."
    return None
