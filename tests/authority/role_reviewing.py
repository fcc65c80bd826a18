"""What the tests of role reviews share: a role under review, the reviewer's word, the clock, threads at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from aegis.core import canonical, clock
from aegis.core.actors import Actor, user_actor
from aegis.identity import people
from aegis.identity.models import User
from approvals import gates
from approvals.models import ApprovalRequest
from audit.models import Event
from orchestration.authority import confirming, lapsing, role_reviews
from orchestration.authority.models import Role
from orchestration.authority.role_reviews import Standing
from tests.support.configuration import grant, policy, role

CLOSE, PAY = "ticket.close", "ticket.pay"
DECIDERS = policy("config-change", ("Deciders", 2))
DESK = role("support-bot", grant("allow"), grant("allow", CLOSE), grant("deny", PAY))
Move = Callable[..., datetime]


def reviewed(document: Any, **review: Any) -> Any:
    return {**document, "spec": {**document["spec"], "review": review}}


def by_name(documents: Any) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in documents}


def standing(name: str = "support-bot") -> Standing:
    found = role_reviews.of_role(name)
    assert found is not None
    return found


def as_(person: User) -> Actor:
    return user_actor(person.pk, auth="session")


def settle(person: User, name: str = "support-bot", **word: Any) -> confirming.Said:
    given = {"reason": "looked at it", "seen": Role.objects.get(name=name).digest, **word}
    return confirming.settle(name, actor=as_(person), **given)


def events(kind: str = "role.reviewed") -> list[dict[str, Any]]:
    return [
        canonical.parse(line)["data"] for line in Event.objects.filter(type=kind).order_by("id").values_list("line", flat=True)
    ]


def decide(request: Any, *persons: User, verdict: str = "approve") -> ApprovalRequest:
    for person in persons:
        row = ApprovalRequest.objects.get(pk=request)
        word = {"verdict": verdict, "reason": "so be it", "seen_digest": row.digest, "proved_at": clock.db_now()}
        gates.decide(row.pk, person=person, auth="session", **word)
    return ApprovalRequest.objects.get(pk=request)


def away(ada: User) -> None:
    """One of three who decide is left."""
    for name in ("mia", "kim"):
        people.disable_person(person_(name).pk, actor=as_(ada), reason="away")


def person_(name: str) -> User:
    return User.objects.get(username=name)


def lapsed() -> int:
    return lapsing.Watch().look()
