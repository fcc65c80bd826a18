"""No log line and no traceback holds a sensitive value: whoever reads logs has no right to them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from audit import masking
from orchestration.engine import commit
from orchestration.engine.models import Run
from tests.engine import house
from tests.masking.canaries import IBAN, claim, leaks

pytestmark = pytest.mark.django_db(transaction=True)


class Kept(logging.Handler):
    """Keeps what every logger says, formatted as the settings have it, whatever its level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.getLogger().handlers[0].formatter if logging.getLogger().handlers else None)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("django.db"):  # statements are logged where DEBUG is set, which no deployment may
            self.said.append(self.format(record))


@pytest.fixture
def said(capfd: Any) -> Iterator[Any]:
    """Everything that loggers said and processes printed until it is called."""
    kept, loggers = Kept(), [logging.getLogger(name) for name in ("", "django")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(kept)
        logger.setLevel(logging.DEBUG)
    yield lambda: "\n".join([*kept.said, *capfd.readouterr()])
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(kept)
        logger.setLevel(level)


def broken(*arguments: Any) -> Any:
    raise ValueError(f"cannot write {IBAN}")


def test_a_fault_that_no_rule_foresaw_logs_where_it_broke_and_not_what_it_was_about(said, sensitive_house, zoe, monkeypatch):
    runs: list[Run] = [house.submit(zoe, claim(name)) for name in ("one", "two")]
    monkeypatch.setattr(commit, "_in_transaction", broken)

    house.drive(*runs)

    text = said()
    assert leaks(text) == []
    assert "batch_broken" in text
    assert "run_faulted" in text
    assert "ValueError" in text
    assert "commit.py" in text


@pytest.mark.parametrize("address", ["/runs/{}/", "/api/v1/runs/{}/events"])
def test_a_page_that_breaks_logs_where_it_broke_and_not_what_it_was_about(said, runs, nia, at_desk, monkeypatch, address):
    monkeypatch.setattr(masking, "masker", broken)
    desk = at_desk(nia)
    desk.raise_request_exception = False

    answer = desk.get(address.format(runs["asked"].pk))

    text = said()
    assert answer.status_code == 500
    assert leaks(answer.content.decode()) == []
    assert leaks(text) == []
    assert "ValueError" in text
