"""Rights change between the verdict and its commit: no effect rests on rights that ended before it (promise 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from aegis.core.kinds import Key, get_kind
from approvals import changes
from audit import chain
from audit.models import Event
from orchestration.engine import commit as commits
from orchestration.engine import driver
from orchestration.engine.models import ReviewItem, Run
from tests.faults import hands
from tests.support.sink import Sink

pytestmark = pytest.mark.django_db(transaction=True)

ROLE = Key("Role", "fault-hands")


def withdraw_grant() -> None:
    """Cora takes `sink.post` from the agent's role, through change control."""
    document = get_kind("Role").dump(ROLE.name)
    grants = [grant for grant in document["spec"]["grants"] if grant["capability"] != "sink.post"]
    documents = [(ROLE, {**document, "spec": {**document["spec"], "grants": grants}})]
    changes.propose(documents, author=hands.person("cora"), actor=hands.actor("cora"), reason="no more posting")


def before_the_commit_of_a_verdict(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> list[Any]:
    """Have `act` done once, after the verdict on `post` was computed and before its commit. Returns the outcomes of commits."""
    outcomes: list[Any] = []
    pending = [act]

    def commit(batch: Any) -> Any:
        if pending and any(draft.type == "effect.intended" for draft in batch[0].drafts):
            pending.pop()()
        found = commits.commit(batch)
        outcomes.extend(found)
        return found

    monkeypatch.setattr(driver, "commit", commit)
    return outcomes


def test_the_verdict_is_computed_again_and_the_effect_does_not_happen(house: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = before_the_commit_of_a_verdict(monkeypatch, withdraw_grant)
    run = hands.submit("B-1")

    hands.Worker().drive()

    run.refresh_from_db()
    assert sum(isinstance(outcome, commits.EpochMoved) for outcome in outcomes) == 1
    assert house.arrivals == []
    assert run.status == Run.Status.WAITING_REVIEW
    assert ReviewItem.objects.get(run=run).code == "denied"
    verdicts = Event.objects.filter(stream=run.stream, type="verdict.given")
    assert [chain.read_line(event.line)["data"]["answer"] for event in verdicts] == ["deny"]
    hands.assert_whole()


def test_a_commit_that_does_not_look_at_the_epoch_would_be_seen(house: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: transitions say nothing of the epoch they were computed under."""
    before_the_commit_of_a_verdict(monkeypatch, withdraw_grant)
    real = driver.Driver._transition

    def without_epoch(*arguments: Any) -> commits.Transition:
        return replace(real(*arguments), epoch=None)

    monkeypatch.setattr(driver.Driver, "_transition", without_epoch)

    hands.submit("B-2")
    hands.Worker().drive()

    assert house.arrivals != []
