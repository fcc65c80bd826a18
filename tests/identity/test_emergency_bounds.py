"""What cannot be taken in an emergency, and what stands whatever was taken: locks, votes, separation of duties."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from aegis.core import clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.errors import Conflict, Forbidden, Invalid, NotFound
from aegis.identity import api_keys, emergency, people
from aegis.identity.models import TakenRight, User
from approvals import changes, gates
from approvals.models import ApprovalPolicy, ApprovalRequest, ChangeSet
from tests.identity.breaking import HOUR, WHY, may, of, take
from tests.support import configuration as config

pytestmark = pytest.mark.django_db


# --- what cannot be taken ---


@pytest.mark.parametrize(
    ("who", "area", "verb", "refusal"),
    [
        ("sam", "workflows", "operate", NotFound),
        ("root", "workflows", "operate", NotFound),
        ("quinn", "workflows", "operate", Forbidden),
        ("nora", "agents", "operate", NotFound),
        ("nora", "nothing", "operate", NotFound),
        ("nora", "access", "edit", Forbidden),
        ("nora", "workflows", "break", Invalid),
        ("nora", "workflows", "view", Conflict),
    ],
)
def test_only_who_may_and_never_what_would_outlive_it(who, area, verb, refusal, nora, sam, root, quinn, request):
    with pytest.raises(refusal):
        take(request.getfixturevalue(who), area, verb)
    assert not TakenRight.objects.exists()


@pytest.mark.parametrize("for_time", [timedelta(0), timedelta(hours=-1), timedelta(hours=4, seconds=1)])
def test_the_time_is_bounded(nora: User, for_time: timedelta):
    with pytest.raises(Invalid):
        take(nora, for_time=for_time)


def test_a_reason_is_needed_and_an_api_key_takes_none(nora: User):
    with pytest.raises(Invalid):
        emergency.take("workflows", "operate", for_time=HOUR, actor=of(nora), reason=" ")
    key = api_keys.create(nora.pk, "x", expires_at=clock.now() + HOUR, actor=of(nora), reason=WHY).key
    with pytest.raises(Forbidden):
        emergency.take(
            "workflows", "operate", for_time=HOUR, actor=user_actor(nora.pk, auth=api_keys.auth_label(key)), reason=WHY
        )
    assert not TakenRight.objects.exists()


# --- locks and votes win ---


@pytest.fixture
def governed(person: Callable[..., User], nora: User, ada: User) -> Callable[..., None]:
    person("olivia", "Support operators")
    person("lee", "Support leads")
    person("mia", "Support leads")
    return config.bootstrap


def test_a_floor_lock_stands_whatever_was_taken(governed: Callable[..., None], nora: User):
    governed(config.lock("two-people"), config.role("support-bot", config.grant("gate", policy="reply-2")))
    take(nora, "approvals", "edit")
    before = ApprovalPolicy.objects.get(name="reply-2").digest

    with pytest.raises(Invalid, match="speaks against"):
        config.propose(User.objects.get(pk=nora.pk), config.policy("reply-2", ("Support leads", 1)))

    assert ApprovalPolicy.objects.get(name="reply-2").digest == before
    with pytest.raises(Forbidden):  # the matrix itself is not to be had: "edit" on access cannot be taken
        config.propose(User.objects.get(pk=nora.pk), config.role("support-bot", config.grant("allow")))


def test_nobody_approves_what_he_asked_for_though_he_took_every_right(governed: Callable[..., None], nora: User):
    """Not by the right he took; nor by sitting in the group that decides."""
    governed()
    people.add_to_group(nora.pk, "Support leads", actor=SYSTEM, reason="test")
    for area, verb in (("approvals", "edit"), ("approvals", "view"), ("workflows", "edit"), ("workflows", "operate")):
        if not may(nora, verb, area):
            take(nora, area, verb)
    change = config.propose(User.objects.get(pk=nora.pk), config.policy("reply-2", ("Support leads", 1)))
    assert change.status == ChangeSet.Status.PROPOSED, "what it takes two people for still does"
    request = ApprovalRequest.objects.get(status="open")

    with pytest.raises(Forbidden):
        gates.decide(request.pk, person=nora, auth="session", verdict="approve", reason="now", seen_digest=request.digest)
    assert not request.decisions.exists()


def test_a_right_on_approvals_is_no_vote(governed: Callable[..., None], nora: User, ada: User):
    governed()
    take(nora, "approvals", "edit")
    changes.propose(config.keyed([config.policy("reply-2", ("Support leads", 1))]), author=ada, actor=of(ada), reason="weaker")
    request = ApprovalRequest.objects.get(status="open")
    with pytest.raises(Forbidden):
        gates.decide(request.pk, person=nora, auth="session", verdict="approve", reason="now", seen_digest=request.digest)
    assert not request.decisions.exists()
