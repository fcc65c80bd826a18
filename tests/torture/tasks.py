"""Things a test has done inside the product, in a fork of the nursery (`cradle.Nursery.task`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def ring() -> int:
    """Ring the bell as a verb does, with nobody there to hear it. Returns the messages in the queue's table."""
    from django.db import transaction
    from django_q.models import OrmQ

    from aegis.core import wake

    with transaction.atomic():
        wake.nudge()
    return int(OrmQ.objects.count())


def withdraw(capability: str) -> None:
    """Cora takes a capability from the agents' role, through change control."""
    _regrant(lambda grants: [grant for grant in grants if grant["capability"] != capability])


def grant(capability: str) -> None:
    """Cora gives it back."""
    _regrant(lambda grants: [*grants, {"capability": capability, "effect": "allow"}])


def _regrant(change: Callable[[list[Any]], list[Any]]) -> None:
    from aegis.core.actors import user_actor
    from aegis.core.kinds import Key, get_kind
    from aegis.identity.models import User
    from approvals import changes

    cora = User.objects.get(username="cora")
    role = Key("Role", "fault-hands")
    document = get_kind("Role").dump(role.name)
    documents = [(role, {**document, "spec": {**document["spec"], "grants": change(document["spec"]["grants"])}})]
    changes.propose(documents, author=cora, actor=user_actor(cora.pk, auth="test"), reason="a test")


def cancel(order: str, plant: str = "") -> None:
    """Rita asks the run of an order to stop."""
    from aegis.core.actors import user_actor
    from aegis.identity.models import User
    from orchestration.engine import verbs
    from orchestration.engine.models import Run
    from tests.torture import plants

    plants.plant(plant)
    rita = User.objects.get(username="rita")
    run = Run.objects.get(business_key=order)
    verbs.cancel_run(run.pk, person=rita, actor=user_actor(rita.pk, auth="test"), reason="not any more")
