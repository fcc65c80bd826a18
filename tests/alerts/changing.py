"""Rules under change control, for tests."""

from __future__ import annotations

from typing import Any

from aegis.core.actors import user_actor
from aegis.core.kinds import Key
from aegis.identity.models import User
from approvals import changes
from approvals.alerts.models import Alert


def document(name: str = "one", title: str = "", **spec: Any) -> Any:
    metadata = {"name": name, "title": title} if title else {"name": name}
    return {"apiVersion": "aegis/v1", "kind": "Alert", "metadata": metadata, "spec": spec}


def apply(author: User, *documents: Any, reason: str = "because") -> Alert:
    """Through the one door. Returns the row of the first."""
    given = [(Key("Alert", one["metadata"]["name"]), one) for one in documents]
    changes.propose(given, author=author, actor=user_actor(author.pk, auth="session"), reason=reason)
    return Alert.objects.get(name=given[0][0].name)


def remove(author: User, name: str = "one") -> None:
    changes.propose([(Key("Alert", name), None)], author=author, actor=user_actor(author.pk, auth="session"), reason="gone")
