"""Sharing a commit is an optimisation: `commit([a, b])` leaves what `commit([a])`, then `commit([b])` leaves."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction

from audit import journal
from audit.drafts import Draft
from audit.models import Event, Payload
from orchestration.agents.protocol import Abstain, CallFailed, Done
from orchestration.engine import commit as commits
from orchestration.engine.commit import Broken, Committed, EpochMoved, LeaseLost, RecordMoved, Transition, commit
from orchestration.engine.driver import Driver
from orchestration.engine.models import ReviewItem, Run
from orchestration.engine.moves import Replied
from orchestration.records.models import Record, RecordVersion
from tests.engine import house
from tests.support import completeness

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = ("note", "shared note", "abstains", "fails", "lost lease", "moved epoch", "broken")


class _Undo(Exception):
    pass


@pytest.fixture
def fixed_salts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "new_salts", lambda: (f"{number:032x}" for number in itertools.count()))


def transitions(person: Any, kinds: Sequence[str]) -> list[Transition]:
    """One transition per kind, of runs whose agent has just answered."""
    runs = [house.submit(person, {"id": f"n-{number}"}) for number, _ in enumerate(kinds)]
    driver = Driver(among=[run.pk for run in runs])
    driver._claim()
    driver.wave.begin()
    begun = [driver._play(driver.held[run.pk]) for run in runs]
    driver._after_commit(begun, commit([driver._transition(played) for played in begun]))
    made = []
    driver.wave.begin()
    for number, (run, kind) in enumerate(zip(runs, kinds, strict=True)):
        held = driver.held[run.pk]
        held.call, held.news = None, [Replied("write", 1, 1, reply(kind, number), 3)]
        made.append(spoiled(driver._transition(driver._play(held)), kind))
    return made


def reply(kind: str, number: int) -> Any:
    note = {**house.NOTE, "resource": {"type": "note", "id": "N-shared" if kind == "shared note" else f"N-{number}"}}
    match kind:
        case "abstains":
            return Abstain("not mine")
        case "fails":
            return CallFailed("agent_error", "broke")
        case _:
            return Done({"note": note})


def spoiled(transition: Transition, kind: str) -> Transition:
    match kind:
        case "lost lease":
            return replace(transition, fence=transition.fence - 1)
        case "moved epoch":
            return replace(transition, epoch=(transition.epoch or 0) - 1)
        case "broken":
            unknown = Draft("nobody.knows", transition.drafts[0].actor)
            return replace(transition, drafts=[*transition.drafts, unknown])
        case _:
            return transition


def everything() -> dict[str, list[Any]]:
    """All that a commit writes, without database ids."""
    return {
        "runs": list(Run.objects.order_by("id").values("id", "state", "status", "step", "seq", "head", "seen", "due_at",
                                                       "lease_until", "ended_at", "claims_since_commit")),
        "events": list(Event.objects.filter(stream__startswith="run:").order_by("stream", "seq")
                       .values_list("stream", "seq", "line", "leaf")),
        "payloads": list(Payload.objects.filter(stream__startswith="run:").order_by("stream", "seq", "name")
                         .values_list("stream", "seq", "name", "body", "salt")),
        "items": list(ReviewItem.objects.order_by("id").values("id", "run", "code", "status")),
        "records": list(Record.objects.order_by("key").values_list("key", "version", "body")),
        "versions": list(RecordVersion.objects.order_by("effect_key").values_list("record__key", "version", "effect_key")),
    }  # fmt: skip


def what_it_leaves(batches: Sequence[Sequence[Transition]]) -> tuple[list[Any], dict[str, list[Any]]]:
    """Outcomes and rows after committing the batches; then everything is undone."""
    outcomes: list[Any] = []
    rows: dict[str, list[Any]] = {}
    try:
        with transaction.atomic():
            for batch in batches:
                outcomes += commit(batch)
            rows = everything()
            raise _Undo
    except _Undo:
        return [Broken("") if isinstance(outcome, Broken) else outcome for outcome in outcomes], rows


def statements_of(batch: Sequence[Transition]) -> list[str]:
    seen: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        commit(batch)
    return seen


@pytest.fixture
def starter(person: Any, ada: Any, sam: Any) -> Any:
    """Somebody who may start `notes`, whose clerk may write notes."""
    starter = person("zoe", "Support leads")
    house.bootstrap(house.documents())
    return starter


@pytest.mark.parametrize("seed", range(25))
def test_a_batch_leaves_what_its_transitions_leave_one_by_one(starter: Any, fixed_salts: None, seed: int) -> None:
    chance = random.Random(seed)
    batch = transitions(starter, chance.choices(KINDS, k=chance.randint(2, 8)))

    together = what_it_leaves([batch])
    one_by_one = what_it_leaves([[transition] for transition in batch])

    assert together == one_by_one
    assert len(together[0]) == len(batch)


def test_each_way_to_lose_is_told_and_harms_no_neighbour(starter: Any) -> None:
    batch = transitions(starter, ["note", "lost lease", "moved epoch", "shared note", "shared note", "broken", "note"])

    outcomes = commit(batch)

    told = [type(outcome) for outcome in outcomes]
    assert told == [Committed, LeaseLost, EpochMoved, Committed, RecordMoved, Broken, Committed]
    assert Record.objects.count() == 3


def test_a_lost_lease_alone_does_not_split_a_batch(starter: Any) -> None:
    """It is left out of the shared transaction: the others need no second one."""
    batch = transitions(starter, ["abstains", "lost lease", "abstains", "abstains"])

    inserts = [sql for sql in statements_of(batch) if "INTO audit_event" in sql]

    assert len(inserts) == 1


def test_two_transitions_of_one_run_never_share_a_transaction(starter: Any) -> None:
    (first,) = transitions(starter, ["abstains"])

    outcomes = commit([first, first])

    assert [type(outcome) for outcome in outcomes] == [Committed, LeaseLost]


def test_a_commit_split_in_two_would_be_seen(starter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: run rows in one transaction, the journal in the next; what dies between leaves rows without events."""
    batch = transitions(starter, ["note", "note"])
    monkeypatch.setattr(commits, "_in_transaction", lambda sealed: (commits._move_runs(sealed), 1 / 0))

    outcomes = commit(batch)

    assert [type(outcome) for outcome in outcomes] == [Broken, Broken]
    assert not journal.verify().is_good
    assert any("orchestration_run by orchestration/engine/commit.py" in gap for gap in completeness.found())
