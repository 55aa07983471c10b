"""Storage URLs and their passwords, which are shown nowhere and kept in no file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode

PASSWORD_VARIABLE = "NAS_STORAGE_PASSWORD"
_SECRET_KEYS = ("password", "passwd", "pwd", "sslpassword", "secret", "token")
_HIDDEN = "***"
_NO_LOGIN = re.compile(r"[^:/@?]*(:\d+)?/[^@?]*\?")  # HOST:PORT/DATABASE?: an @ after that is in an option


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageUrl:
    """A database URL in parts. A password may hold any character, even an @ that is not encoded.

    Attributes:
        scheme: Before "://".
        user: As written; empty where there is none.
        password: Decoded; None where there is none.
        place: Host, port and database.
        query: Options after "?".
    """

    scheme: str
    user: str
    password: str | None
    place: str
    query: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, url: str) -> StorageUrl:
        """Splits a URL; what cannot be split is all place."""
        scheme, colon, rest = url.partition("://")
        if not colon:
            return cls(scheme="", user="", password=None, place=url, query=())
        # A question mark or an @ in a password must not end it: the last @ does, and options come after that.
        login, at, place = ("", "", rest) if _NO_LOGIN.match(rest) else rest.rpartition("@")
        place, _, options = place.partition("?")
        user, secret, password = login.partition(":") if at else ("", "", "")
        return cls(
            scheme=scheme,
            user=user,
            password=unquote(password) if secret else None,
            place=place,
            query=tuple(parse_qsl(options, keep_blank_values=True)),
        )

    def secrets(self) -> tuple[str, ...]:
        """All that must not be shown."""
        keys = [value for key, value in self.query if _is_secret(key)]
        return tuple(text for text in (self.password, *keys) if text)

    def shown(self) -> str:
        """The URL for people: secrets are hidden."""
        hidden = tuple((key, _HIDDEN if _is_secret(key) else value) for key, value in self.query)
        return self._text(None if self.password is None else _HIDDEN, hidden)

    def kept(self) -> str:
        """The URL for files: secrets are left out."""
        return self._text(None, tuple(pair for pair in self.query if not _is_secret(pair[0])))

    def complete(self) -> str:
        """The URL for the database: with the password, encoded; the environment's where the URL has none."""
        password = self.password
        if password is None and self.user:
            password = os.environ.get(PASSWORD_VARIABLE)
        return self._text(None if password is None else quote(password, safe=""), self.query)

    def scrub(self, text: str) -> str:
        """A text, such as a driver's message, without secrets."""
        for secret in sorted(self.secrets(), key=len, reverse=True):
            text = text.replace(secret, _HIDDEN).replace(quote(secret, safe=""), _HIDDEN)
        return text

    def _text(self, password: str | None, query: tuple[tuple[str, str], ...]) -> str:
        login = self.user if password is None else f"{self.user}:{password}"
        options = f"?{urlencode(query, safe='*/:')}" if query else ""
        scheme = f"{self.scheme}://" if self.scheme else ""
        return f"{scheme}{login}{'@' if login else ''}{self.place}{options}"


def _is_secret(key: str) -> bool:
    return key.lower() in _SECRET_KEYS
