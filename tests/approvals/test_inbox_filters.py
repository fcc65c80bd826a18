"""The inbox lists what a slow reading of the guide lists (`tests/oracles/inbox_oracle`), for any filters, tab and reader."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from aegis.core import clock
from aegis.identity.models import User
from approvals.models import ApprovalPolicy, ApprovalRequest
from approvals.pages.inbox import DUE, TABS, Filters, inbox
from orchestration.records.models import Record
from tests.approvals.house import ask, decide_as, policy_document, store_policy
from tests.oracles.inbox_oracle import WITHIN, Asked, Reader, listed

pytestmark = pytest.mark.django_db

REQUESTS: Final = 48
QUESTIONS: Final = 160
POLICIES: Final = {"closing": [["Leads"]], "double": [["Leads"], ["Heads"]], "heads": [["Heads"]]}
AGENTS, CAPABILITIES = ("", "clerk", "clark"), ("", "note.write", "note.read")
SETTLED = ("approved", "rejected", "expired", "withdrawn", "cancelled", "changes_requested")


@pytest.fixture
def desk(person: Callable[..., User]) -> dict[str, User]:
    groups = {
        "lea": ["Leads"],
        "leo": ["Leads"],
        "liv": ["Leads"],
        "hedy": ["Heads"],
        "hugo": ["Heads"],
        "both": ["Leads", "Heads"],
        "nia": ["Guests"],
    }
    return {name: person(name, *of) for name, of in groups.items()}


def made(draw: random.Random, desk: dict[str, User], policies: dict[str, ApprovalPolicy], now: datetime) -> ApprovalRequest:
    """A request in any state, of any age, asked and bound and spoken about by anybody."""
    policy = policies[draw.choice(list(policies))]
    people = list(desk.values())
    asker = draw.choice([None, *people])
    bound = {str(one.pk): "started it" for one in draw.sample(people, draw.randint(0, 1)) if one.username != "leo"}
    request = ask(policy, requester=asker, bound=bound)
    request.bound.set(User.objects.filter(pk__in=bound))
    if policy.name == "double" and asker != desk["leo"] and draw.random() < 0.4:
        decide_as(desk["leo"], request)  # on to the second stage
    status = draw.choice(["open"] * 5 + ["frozen", *SETTLED])
    ApprovalRequest.objects.filter(pk=request.pk).update(
        risk=draw.choice(["low", "medium", "high"]),
        agent=draw.choice(AGENTS),
        capability=draw.choice(CAPABILITIES),
        deadline=now + timedelta(minutes=draw.choice([-30, 20, 59, 61, 239, 241, 1439, 1441])),
        opened_at=now - timedelta(minutes=draw.randint(0, 3)),
        short_since=now if draw.random() < 0.2 else None,
        status=status,
        settled_at=now - timedelta(seconds=draw.randint(0, 5)) if status in SETTLED else None,
    )
    return ApprovalRequest.objects.get(pk=request.pk)


def plain(request: ApprovalRequest) -> Asked:
    """The request as the oracle reads it."""
    record = Record.objects.get(pk=request.subject)
    asker = request.requester
    return Asked(
        id=str(request.pk),
        policy=request.policy.name,
        stages=tuple(frozenset(groups) for groups in POLICIES[request.policy.name]),
        stage=request.stage,
        status=request.status,
        risk=request.risk,
        agent=request.agent,
        capability=request.capability,
        place=f"{request.scope}:{request.scope_id}",
        requester=str(asker.pk) if asker else None,
        bound=frozenset(str(one.pk) for one in request.bound.all()),
        voted=frozenset(str(vote.person_id) for vote in request.decisions.all()),
        is_short=request.short_since is not None,
        opened_at=request.opened_at,
        deadline=request.deadline,
        settled_at=request.settled_at,
        words=(
            f"Close {record.key}?",
            request.agent,
            request.capability,
            request.policy.name,
            asker.display_name if asker else "",
        ),
    )


def wanted(draw: random.Random, requests: list[Asked]) -> dict[str, str]:
    """Some filters at once, mostly of what is there."""
    one = draw.choice(requests)
    values: dict[str, Any] = {
        "risk": draw.choice(["low", "medium", "high", "none such"]),
        "policy": draw.choice([*POLICIES, "none such"]),
        "agent": draw.choice([*AGENTS, "none such"]),
        "capability": draw.choice(CAPABILITIES),
        "requester": draw.choice([one.requester or "", "not an id"]),
        "workflow": one.place,
        "due": draw.choice([*WITHIN, "9h"]),
        "short": "yes",
        "q": draw.choice(["note", "clerk", "close", "CLOSING", one.words[0][6:], "none such"]),
    }
    chosen = draw.sample(list(values), draw.choice([0, 1, 1, 1, 2, 3]))
    return {"tab": draw.choice(list(TABS)), **{name: values[name] for name in chosen}}


@pytest.mark.parametrize("seed", range(3))
def test_the_inbox_lists_what_the_oracle_lists(desk: dict[str, User], monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    draw, now = random.Random(seed), clock.now()
    policies = {
        name: store_policy(policy_document(name, stages=[{"groups": groups} for groups in stages]))
        for name, stages in POLICIES.items()
    }
    requests = [plain(made(draw, desk, policies, now)) for _ in range(REQUESTS)]
    monkeypatch.setattr(clock, "now", lambda: now)
    found = 0
    for _ in range(QUESTIONS):
        name = draw.choice(list(desk))
        reader = Reader(str(desk[name].pk), frozenset(desk[name].groups.values_list("name", flat=True)))
        asked = wanted(draw, requests)

        rows = inbox(desk[name], Filters.of(asked)).rows

        assert [str(row.request.pk) for row in rows] == listed(requests, reader, asked, now), (name, asked)
        found += len(rows)
    assert found > QUESTIONS  # else it compared empty lists


def test_the_oracle_knows_each_deadline_and_tab_of_the_page() -> None:
    assert DUE.keys() == WITHIN.keys()
    assert {key: hours for key, (_, hours) in DUE.items()} == {key: time / timedelta(hours=1) for key, time in WITHIN.items()}
    assert set(TABS) == {"mine", "waiting", "requested", "done"}
