from __future__ import annotations

import pytest

from nas.model.storage_url import PASSWORD_VARIABLE, StorageUrl

PLAIN = "postgresql://ann@db:5432/nas"


@pytest.mark.parametrize(
    ("url", "shown", "kept"),
    [
        ("postgresql://ann:secret@db:5432/nas", "postgresql://ann:***@db:5432/nas", PLAIN),
        ("postgresql://ann:sec@ret@db:5432/nas", "postgresql://ann:***@db:5432/nas", PLAIN),
        ("postgresql://ann:s?e#c/ret@db:5432/nas", "postgresql://ann:***@db:5432/nas", PLAIN),
        ("postgresql://ann:s%40cret@db:5432/nas", "postgresql://ann:***@db:5432/nas", PLAIN),
        (
            "postgresql://db/nas?user=ann&password=secret&connect_timeout=3",
            "postgresql://db/nas?user=ann&password=***&connect_timeout=3",
            "postgresql://db/nas?user=ann&connect_timeout=3",
        ),
        ("mysql+pymysql://ann:secret@db/nas?passwd=x", "mysql+pymysql://ann:***@db/nas?passwd=***", "mysql+pymysql://ann@db/nas"),
        (
            "postgresql://db:5432/nas?user=ann@corp&password=se@cret",
            "postgresql://db:5432/nas?user=ann%40corp&password=***",
            "postgresql://db:5432/nas?user=ann%40corp",
        ),
        (PLAIN, PLAIN, PLAIN),
        ("sqlite:///runs/a b.db", "sqlite:///runs/a b.db", "sqlite:///runs/a b.db"),
        ("not a url", "not a url", "not a url"),
    ],
)  # fmt: skip
def test_no_password_is_shown_or_kept(url: str, shown: str, kept: str) -> None:
    parsed = StorageUrl.parse(url)
    assert parsed.shown() == shown
    assert parsed.kept() == kept


def test_the_database_gets_the_password_whatever_is_in_it() -> None:
    assert (
        StorageUrl.parse("postgresql://ann:s@c/r?t@db/nas").complete()
        == "postgresql://ann:s%40c%2Fr%3Ft@db/nas"
    )
    assert StorageUrl.parse("postgresql://ann:s%40@db/nas").complete() == "postgresql://ann:s%40@db/nas"
    assert StorageUrl.parse("sqlite:///a.db").complete() == "sqlite:///a.db"


def test_the_environment_completes_a_url_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "s@cret")
    assert StorageUrl.parse(PLAIN).complete() == "postgresql://ann:s%40cret@db:5432/nas"
    assert StorageUrl.parse("postgresql://ann:own@db/nas").complete() == "postgresql://ann:own@db/nas"
    assert StorageUrl.parse("sqlite:///a.db").complete() == "sqlite:///a.db"


def test_messages_of_a_driver_are_scrubbed() -> None:
    url = StorageUrl.parse("postgresql://ann:s@cret@db/nas?sslpassword=other")
    assert url.scrub("host s@cret, s%40cret and other failed") == "host ***, *** and *** failed"
