"""django-q2's brokers, made harmless: they take messages of two kinds, never raise into the cluster, and never block for long.

What they mend (HAZARDS T7 to T9, T12): a message that cannot be read kills django-q2's pusher, and comes back to kill the next
one; a broker that is away makes it sleep for ten seconds, also while it is told to stop; its Redis client waits for ever. A
message is removed when it is taken: it says "look", and whoever dies with it is missed by nobody.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone
from django_q.brokers import orm
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

NUDGE_TASK = "aegis.core.wake.on_nudge"
CANARY_TASK = "aegis.core.wake.on_canary"
_TASKS = frozenset({NUDGE_TASK, CANARY_TASK})

MAX_MESSAGE_CHARS = 4096  # ours have about 400
AWAY_PAUSE_SECONDS = 0.5

#: What a database that is away, or busy, raises.
_DATABASE_ERRORS = (DatabaseError, InterfaceError, ImproperlyConfigured)

log = structlog.get_logger(__name__)


class OrmBroker(orm.ORM):  # type: ignore[misc]  # django-q2 has no types
    """The queue is a table."""

    def ring(self, message: str) -> None:
        """Put a nudge in the queue unless a message waits there: whoever takes that one looks after our commit, too."""
        if not self.get_connection().filter(key=self.list_key).exists():
            self.enqueue(message)

    def nudge_taken(self) -> None:
        """Nothing to note: the message left the table when it was taken."""

    def dequeue(self) -> list[tuple[None, str]] | None:
        try:
            taken = self._take()
        except _DATABASE_ERRORS as error:
            log.warning("queue_silent", error=str(error))
            connections.close_all()
            taken = []
            time.sleep(AWAY_PAUSE_SECONDS)
        else:
            if not taken:
                time.sleep(Conf.POLL)
        return [(None, message) for message in taken if is_ours(message)] or None

    def _take(self) -> list[str]:
        waiting = self.get_connection().filter(key=self.list_key, lock__lte=timezone.now()).order_by("id")
        for number, message in waiting.values_list("pk", "payload")[:1]:
            # Of two clusters that read the row only one deletes it.
            if OrmQ.objects.using(Conf.ORM).filter(pk=number).delete()[0]:
                return [message]
        return []


def is_ours(message: str) -> bool:
    """Is this one of our two messages, whole, under our key? Others are dropped here, each with a line in the log.

    They come from another SECRET_KEY or another version, or were cut short. Nothing is lost with them.
    """
    task: Any = None
    why = "too large"
    if len(message) <= MAX_MESSAGE_CHARS:
        try:
            task = SignedPackage.loads(message)
            why = "not a task of ours"
        except Exception as error:  # unpickling raises what it likes
            why = f"{type(error).__name__}: {error}"
    if isinstance(task, dict) and task.get("func") in _TASKS and not task.get("args") and not task.get("kwargs"):
        return True
    log.warning("message_dropped", why=why[:200], characters=len(message))
    return False
