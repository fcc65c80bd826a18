"""The states that rooms register: each thing is named, under the scope whose readers may know of it, with its address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.identity import grants, people
from aegis.identity.areas import area
from aegis.identity.models import User
from aegis.portal import alarms
from approvals.models import ApprovalRequest
from audit import checkpoints, following, sealer, verifications
from audit.alerts import states
from audit.alerts.states import Standing
from audit.models import Event, Verification
from orchestration.agents.protocol import Abstain
from orchestration.authority import lock_reviews
from orchestration.engine.guards.models import Breaker
from orchestration.engine.models import ReviewItem, ReviewQueue
from tests.approvals.house import ask, policy_document, store_policy
from tests.engine import house
from tests.support import configuration

pytestmark = pytest.mark.django_db


def look(name: str, within: timedelta | None = None) -> Sequence[Standing]:
    state = states.get(name)
    assert state is not None
    found = state.look(clock.now(), within or state.within or timedelta())
    assert all(len(one.group) == len(state.dimensions) for one in found)
    return found


def told(found: Sequence[Standing]) -> list[tuple[Any, ...]]:
    return [(one.group, one.value, one.scope, one.scope_id) for one in found]


def test_a_breaker_that_lets_nobody_through_is_told_under_what_it_guards() -> None:
    agent, now = UUID(int=7), clock.now()
    for key, phase, target in (
        ("agent:clerk", "open", str(agent)),
        ("capability:note.write", "half_open", str(UUID(int=8))),
        ("agent:calm", "closed", ""),
    ):
        Breaker.objects.create(key=key, phase=phase, target=target, openings=1, is_stirred=True, changed_at=now)

    assert told(look("breaker_open")) == [
        (("agent:clerk",), 1, "agent", str(agent)),
        (("capability:note.write",), 1, "access", str(UUID(int=8))),
    ]


def test_requests_that_soon_expire_are_told_by_policy_and_by_what_they_belong_to(lead: User) -> None:
    now = clock.now()
    policy = store_policy(policy_document())
    near, far = ask(policy), ask(policy)
    ApprovalRequest.objects.filter(pk=near.pk).update(deadline=now + timedelta(minutes=20))
    ApprovalRequest.objects.filter(pk=far.pk).update(deadline=now + timedelta(hours=3))

    assert told(look("deadline_near")) == [((policy.name, str(policy.pk)), 1, "policy", str(policy.pk))]
    assert [one.value for one in look("deadline_near", timedelta(hours=4))] == [2]
    ApprovalRequest.objects.filter(pk=near.pk).update(deadline=now - timedelta(minutes=1))
    assert look("deadline_near") == []


@pytest.fixture
def lead(person: Any) -> User:
    made: User = person("lea", "Leads")
    return made


def test_a_verification_that_failed_is_told_until_one_is_good() -> None:
    verifications.run(SYSTEM)
    assert look("verify_failed") == []

    Verification.objects.update(is_good=False, first_bad="run:x/3")
    (found,) = look("verify_failed")

    assert (found.group, found.scope) == (("journal",), "system")
    assert "run:x/3" in found.words


def test_events_that_nobody_seals_and_checkpoints_that_nobody_signs_are_told(
    monkeypatch: pytest.MonkeyPatch, ada: User
) -> None:
    sealer.seal()
    assert look("sealing_late") == []
    people.create_group("Late", actor=SYSTEM, reason="test")
    assert look("sealing_late") == []  # a second is not late

    monkeypatch.setattr(following, "LATE", timedelta(0))
    monkeypatch.setattr(checkpoints, "refusal", lambda: "the key is gone")

    assert [(one.group, one.scope) for one in look("sealing_late")] == [(("sealer",), "system"), (("checkpoint",), "system")]


def test_each_follower_that_is_behind_is_told_by_name(monkeypatch: pytest.MonkeyPatch, ada: User) -> None:
    for name in following.names():
        sealer.seal()
        following.catch_up(name)
    assert look("follower_late") == []

    people.create_group("Late", actor=SYSTEM, reason="test")
    monkeypatch.setattr(following, "LATE", timedelta(0))
    following.catch_up("metrics")

    assert {one.group for one in look("follower_late")} == {(name,) for name in following.names()}


def test_changes_of_rights_are_told_by_area_and_kind(ada: User) -> None:
    before = look("permission_changed")
    group = people.create_group("Strangers", actor=SYSTEM, reason="test")
    assert isinstance(group, Group)
    grants.grant(group, area("audit"), "view", actor=SYSTEM, reason="test")
    grants.grant(group, store_policy(policy_document()), "view", actor=SYSTEM, reason="test")

    counts = {one.group: one.value for one in look("permission_changed")}
    known = {one.group: one.value for one in before}

    assert counts["audit", "access.granted"] == known.get(("audit", "access.granted"), 0) + 1
    assert counts["approvals", "access.granted"] == known.get(("approvals", "access.granted"), 0) + 1
    assert ("people", "access.group_created") in counts
    assert {one.scope for one in look("permission_changed")} == {"access"}
    assert look("permission_changed", timedelta(microseconds=1)) == []


def test_the_list_behind_a_change_of_rights_shows_it(ada: User, quinn: User, client: Client) -> None:
    grants.grant(Group.objects.get(name="Auditors"), area("audit"), "operate", actor=SYSTEM, reason="test")
    sealer.seal()
    following.catch_up("search")
    (address,) = {one.address for one in look("permission_changed") if one.group[1] == "access.granted"}
    client.force_login(quinn)

    answer = client.get(address)

    assert answer.status_code == 200
    assert Event.objects.filter(type="access.granted").exists()
    assert "the right to" in answer.content.decode()


def test_a_floor_lock_past_its_review_date_is_told_until_another_ends_it(
    ada: User, olivia: User, person: Callable[..., User]
) -> None:
    for name in ("lee", "mia"):
        person(name, "Support leads")
    days = {"old": "2026-03-31", "new": "2999-12-31", "ended": "2026-03-31"}
    dated = [configuration.lock(name, review_date=day) for name, day in days.items()]
    configuration.bootstrap(*dated, configuration.lock("undated"), configuration.lock("next", ends="ended"))
    state = states.get("lock_review_due")
    assert state is not None
    due = datetime(2026, 4, 1, tzinfo=UTC)

    assert state.look(due - timedelta(seconds=1), timedelta()) == []
    assert told(state.look(due + timedelta(days=1), timedelta())) == [(("old",), 86_400, "access", "")]
    assert [(one.name, one.since) for one in lock_reviews.of_all(ada)] == [("old", due)]
    assert lock_reviews.of_all(olivia) == []
    assert [(one.name, one.at) for one in alarms.of(ada) if one.icon == "lock"] == [("old", due)]


@pytest.mark.django_db(transaction=True)
def test_a_queue_past_its_service_time_is_told_under_the_queue(ada: User, sam: User) -> None:
    house.answers.clear()
    house.bootstrap(house.documents())
    house.answers["write"] = Abstain("I do not know")
    house.drive(house.submit(sam))
    queue = ReviewQueue.objects.get(name="people")
    assert look("queue_overdue") == []

    ReviewItem.objects.update(due_at=clock.now() - timedelta(minutes=5))

    (found,) = look("queue_overdue")
    assert told([found]) == [(("people",), 1, "queue", str(queue.pk))]
    assert found.address == "/review/?queue=people"
