"""Who acts on saved views."""

from __future__ import annotations

from aegis.core.actors import Actor
from aegis.identity.models import User
from aegis.identity.principals import require_live


def locked(actor: Actor) -> User:
    """The person, locked: two acts at once must not pass a bound, or take one name, together. Not against references: a worker
    that tells him of a view holds the subscription, and its notice names him (`saved.telling`)."""
    person = require_live(actor)
    return User.objects.select_for_update(no_key=True).get(pk=person.pk)
