"""Watches over the whole test suite: no governed row changes without an event in the same transaction (HAZARDS, audit gaps).

Each statement that writes is looked at. Rows of a governed table that product code wrote, in a transaction of the product that
committed without an event, are a gap, and so are those it wrote in no transaction at all; the test in which that happened
fails. What tests write themselves to set the scene does not count. A table is governed unless it stands below with the reason
why not, so a new one is from its first day.

Loaded before Django's apps (`-p`, in pyproject): rooms import `in_transaction` by name.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

import pytest
from django.db import connection, transaction
from django.db.backends.signals import connection_created

from aegis.core import db

Result = TypeVar("Result")

ROOT: Final = Path(__file__).resolve().parents[2]
PRODUCT: Final = tuple(f"{ROOT / room}/" for room in ("aegis", "audit", "approvals", "orchestration", "examples"))
TESTS: Final = f"{ROOT / 'tests'}/"

EVENTS: Final = "audit_event"
#: The beginning of tables -> why a change of its rows needs no event of its own.
NOT_GOVERNED: Final = {
    "django_": "Django's own: sessions, tasks of the bell, content types",
    "axes_": "attempts to sign in, counted; the sign-in itself is an event",
    "sqlite_": "SQLite's own",
    "audit_": "the journal itself, and what follows it: counted, indexed, sealed from its events",
    "identity_authorityepoch": "a counter that a change of rights raises; the change is the event",
    "identity_historical": "versions of a row whose change is the event",
    "approvals_historical": "versions of a row whose change is the event",
    "orchestration_historical": "versions of a row whose change is the event",
    "approvals_alert_judged": "how far rules are judged, as followers' places; what a judgement changes is an event",
    "approvals_notice": "told, and kept to be told: what it tells of is an event, and so is giving it up",
    "approvals_delivery": "attempts to bring a notice, as above",
    "approvals_noticepreference": "a person's own choice of when to be told",
    "orchestration_workflowrelease": "documents by their digest, kept at first need; the run that is bound to them says so",
    "portal_savedview": "an address somebody keeps; it grants nothing",
    "portal_telling": "the places that a notice covers, as the notice itself",
    "orchestration_inboxitem": "a word to a run until the run takes it; what it does about it is the event, naming who said it",
    "orchestration_lapsetry": "when a worker tries the lapse of a review again; what comes of it is the event",
    "orchestration_resource": "who holds a resource and who waits: the run that is told of it says so in its next commit",
}
#: Table -> columns that move without an event.
NOT_GOVERNED_COLUMNS: Final[dict[str, frozenset[str]]] = {
    "identity_apikey": frozenset({"last_used_on"}),
    "identity_user": frozenset({"last_login", "opens_first", "single_key_shortcuts"}),  # a person's own, and grant nothing
    "orchestration_agentcredential": frozenset({"last_used_on"}),
    "portal_subscription": frozenset({"told", "told_at", "due_at"}),  # how far a person is told, as followers' places
    "approvals_approvalrequest": frozenset({"next_at"}),  # when the sweep looks again
    # when a worker looks at a run again, who has it in hand, and how many have had it since it last moved
    "orchestration_run": frozenset({"wake", "due_at", "seen", "lease_until", "lease_by", "fence", "claims_since_commit"}),
    "orchestration_heldrun": frozenset({"woken_at"}),
    "orchestration_breaker": frozenset({"released_at"}),
}
#: Steps inside a change that tests call by themselves to set the scene, file:function -> who writes the event in the product.
INNER: Final = {
    "orchestration/records/store.py:compare_and_set": "the commit of the run whose effect it is",
    "orchestration/records/store.py:compare_and_set_all": "the commit of the run whose effect it is",
    "orchestration/workflows/kind.py:apply": "the change that is applied",
}

_WRITE = re.compile(r"\s*(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|UPDATE|DELETE\s+FROM)\s+\"?(\w+)\"?(.*)", re.IGNORECASE | re.DOTALL)
_WITH_WRITE = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+\"?(\w+)\"?(.*)", re.IGNORECASE | re.DOTALL)
_SET = re.compile(r"\bSET\b(.*?)(?:\bWHERE\b|\bFROM\b|$)", re.IGNORECASE | re.DOTALL)
_COLUMN = re.compile(r"(?:^|,)\s*\"?(\w+)\"?\s*=")


@dataclass(slots=True)
class Unit:
    """What the product wrote to governed tables in one transaction, and whether it left an event."""

    depth: int = 0
    writes: list[str] = field(default_factory=list)
    has_event: bool = False

    def enter(self) -> tuple[int, bool]:
        """Begin a transaction or a savepoint. Returns what `undo` goes back to."""
        _settle()
        if self.depth == 0:
            self.writes, self.has_event = [], False
        self.depth += 1
        return len(self.writes), self.has_event

    def leave(self) -> None:
        _settle()
        self.depth -= 1
        if self.depth == 0 and self.writes and not self.has_event:
            _gaps.extend(f"no event: {what}" for what in self.writes)

    def undo(self, before: tuple[int, bool]) -> None:
        """What was written since is rolled back."""
        _here.unread = None
        self.depth -= 1
        kept, self.has_event = before
        del self.writes[kept:]


class _Here(threading.local):
    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.unit = Unit()
        self.marks: list[tuple[int, bool]] = []  # of the savepoints that are open
        self.unread: tuple[int, Callable[[], None]] | None = None


_here = _Here()
_gaps: list[str] = []  # of the test that runs; appended to by its threads too
#: Calls from a test that holds the transaction itself: the frame of the call, kept so that none takes its place -> its unit.
_calls: dict[FrameType, Unit] = {}


def install() -> None:
    real, enter, leave = db.in_transaction, transaction.Atomic.__enter__, transaction.Atomic.__exit__

    def in_transaction(work: Callable[[], Result]) -> Result:
        unit = _here.unit
        before = unit.enter()
        try:
            answer = real(work)
        except BaseException:
            unit.undo(before)
            raise
        unit.leave()
        return answer

    def entered(self: Any) -> Any:
        answer = enter(self)
        if _is_product(sys._getframe(1)):
            _here.marks.append(_here.unit.enter())
        return answer

    def left(self: Any, kind: Any, value: Any, trace: Any) -> Any:
        if not _is_product(sys._getframe(1)):
            return leave(self, kind, value, trace)
        unit, before = _here.unit, _here.marks.pop() if _here.marks else (0, False)
        try:
            answer = leave(self, kind, value, trace)
        except BaseException:
            unit.undo(before)
            raise
        if kind is None:
            unit.leave()
        else:
            unit.undo(before)
        return answer

    in_transaction.__doc__ = real.__doc__
    db.in_transaction = in_transaction
    transaction.Atomic.__enter__, transaction.Atomic.__exit__ = entered, left
    connection_created.connect(_watch, weak=False)


def _watch(connection: Any, **_: Any) -> None:
    """First of all: `connection.execute_wrapper` takes the last one off again, which is its own only if none came after it."""
    if connection.alias == "default":
        wrappers = connection.execute_wrappers
        wrappers[:] = [_look, *(one for one in wrappers if one is not _look)]


def _look(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
    _settle()
    before = _changes()
    answer = execute(sql, params, many, context)
    text = sql if isinstance(sql, str) else str(sql)
    begin = text.lstrip()[:6].upper()
    if begin in ("INSERT", "UPDATE", "DELETE") or begin.startswith("WITH"):
        if before is not None and "RETURNING" in text.upper():
            _here.unread = (before, _note(text))
        elif context["cursor"].rowcount != 0:  # a change of nothing is none
            _note(text)()
    return answer


def _changes() -> int | None:
    """How many rows this connection has changed so far; None where the database does not say."""
    return connection.connection.total_changes if connection.vendor == "sqlite" and connection.connection else None


def _settle() -> None:
    """SQLite counts the rows of what returns them once they are read: by the next statement, or the end of the transaction."""
    if _here.unread is not None:
        (before, note), _here.unread = _here.unread, None
        if _changes() != before:
            note()


def _note(sql: str) -> Callable[[], None]:
    """What is to be done if the statement has changed a row: known only where it runs, and at times only later."""
    found = _WRITE.match(sql) or _WITH_WRITE.search(sql)
    if found is None:
        return _nothing
    table, rest = found.group(1), found.group(2)
    if table != EVENTS and not is_governed(table, rest):
        return _nothing
    where, call = _written_by()
    if where is None or call is None:
        return _nothing
    what = f"{table} by {where}: {sql[:120]}"
    unit = _here.unit if _here.unit.depth else None
    if unit is None and connection.in_atomic_block:
        unit = _calls.setdefault(call, Unit())

    def note() -> None:
        if table == EVENTS:
            if unit is not None:
                unit.has_event = True
        elif unit is not None:
            unit.writes.append(what)
        else:
            _gaps.append(f"in no transaction: {what}")

    return note


def _nothing() -> None:
    return None


def is_governed(table: str, rest: str) -> bool:
    if table.startswith(tuple(NOT_GOVERNED)):
        return False
    free = NOT_GOVERNED_COLUMNS.get(table)
    if free is None:
        return True
    said = _SET.search(rest)
    return said is None or not free.issuperset(_COLUMN.findall(said.group(1)))


def _written_by() -> tuple[str | None, FrameType | None]:
    """The line of the product that wrote, and the frame of the call into the product that led there; none for tests."""
    where, call = None, None
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(TESTS) and not name.endswith("support/completeness.py"):
            break
        if name.startswith(PRODUCT):
            if "/migrations/" in name:
                return None, None
            where = where or f"{name.removeprefix(f'{ROOT}/')}:{frame.f_lineno}"
            call = frame
        frame = frame.f_back
    if call is not None and f"{call.f_code.co_filename.removeprefix(f'{ROOT}/')}:{call.f_code.co_name}" in INNER:
        return None, None
    return where, call


def is_there(inner: str) -> bool:
    """Is there still such a function as an entry of `INNER` names?"""
    path, _, name = inner.partition(":")
    return re.search(rf"^\s*def {name}\(", (ROOT / path).read_text(), re.MULTILINE) is not None


def _is_product(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(PRODUCT)


def found() -> list[str]:
    """The gaps since this was asked last, each once."""
    _settle()
    silent = [f"no event: {what}" for unit in _calls.values() if not unit.has_event for what in unit.writes]
    gaps = list(dict.fromkeys(_gaps + silent))
    _gaps.clear()
    _calls.clear()
    return gaps


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    _here.begin()  # a test that was killed in the middle of a transaction leaves none to the next
    _watch(connection)
    found()
    answer = yield
    if gaps := found():
        raise AssertionError("rows changed and no event says so:\n" + "\n".join(gaps[:20]))
    return answer


install()
