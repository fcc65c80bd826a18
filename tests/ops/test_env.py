"""Settings from the environment: typed, loud, read once."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from aegis.core import env

NAME = "AEGIS_TEST_VALUE"


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.delenv(f"{NAME}_FILE", raising=False)


def test_a_value_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))

    assert env.text(NAME) == "s3cret"


def test_both_forms_at_once_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(NAME, "a")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))

    with pytest.raises(ImproperlyConfigured, match="both set"):
        env.text(NAME)


def test_a_missing_value_without_a_default_is_named() -> None:
    with pytest.raises(ImproperlyConfigured, match=NAME):
        env.text(NAME)


@pytest.mark.parametrize(
    ("value", "wanted"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("FALSE", False), ("", False)]
)
def test_flags(monkeypatch: pytest.MonkeyPatch, value: str, wanted: bool) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.flag(NAME, default=not wanted) is wanted


def test_a_flag_that_is_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "maybe")

    with pytest.raises(ImproperlyConfigured, match="maybe"):
        env.flag(NAME, default=False)


@pytest.mark.parametrize("value", ["many", "-1", "nan-ish"])
def test_a_number_below_its_minimum_or_none_at_all_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(NAME, value)

    with pytest.raises(ImproperlyConfigured, match=value):
        env.number(NAME, 5, minimum=0)


def test_names_are_split_and_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, " a.example , b.example ,,")

    assert env.names(NAME) == ["a.example", "b.example"]


@pytest.mark.parametrize("value", ["aegis.example.org", "ftp://x", "https://", "https://x/path", "https://x/?a=b"])
def test_an_address_is_scheme_and_host(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(NAME, value)

    with pytest.raises(ImproperlyConfigured, match="https://host"):
        env.url(NAME)


def test_an_address_loses_its_trailing_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "https://aegis.example.org:8443/")

    assert env.url(NAME) == "https://aegis.example.org:8443"


def test_sqlite_is_durable_and_its_writers_queue(tmp_path: Path) -> None:
    settings = env.database("sqlite:///", data_dir=tmp_path)
    options = settings["OPTIONS"]

    assert settings["NAME"] == str(tmp_path / "aegis.sqlite3")
    assert options["transaction_mode"] == "IMMEDIATE"  # type: ignore[index]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "recursive_triggers=ON"):
        assert pragma in options["init_command"]  # type: ignore[index]


def test_a_postgresql_address_is_taken_apart(tmp_path: Path) -> None:
    settings = env.database("postgresql://me:p%40ss@db.example:5433/aegis%20x", data_dir=tmp_path)

    assert [settings[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "me",
        "p@ss",
        "db.example",
        "5433",
        "aegis x",
    ]


def test_an_unknown_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="mysql"):
        env.database("mysql://x/y", data_dir=tmp_path)
