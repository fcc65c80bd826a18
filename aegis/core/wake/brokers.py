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

SAY_AGAIN_SECONDS = 30.0  # how often the log repeats that the queue is silent
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
            connections.close_all()
            taken = []
            was_silent(error)
        else:
            if not taken:
                time.sleep(Conf.POLL)
        return [(None, message) for message in map(renewed, taken) if message] or None

    def _take(self) -> list[str]:
        # Also what django-q2 would call locked: nothing here is delivered twice, and clocks of two hosts may differ.
        waiting = self.get_connection().filter(key=self.list_key).order_by("id")
        for number, message in waiting.values_list("pk", "payload")[:1]:
            # Of two clusters that read the row only one deletes it.
            if OrmQ.objects.using(Conf.ORM).filter(pk=number).delete()[0]:
                return [message]
        return []


_silence_said_at = -SAY_AGAIN_SECONDS


def was_silent(error: Exception) -> None:
    """The queue could not be asked: say so now and then, and wait a little before the next try."""
    global _silence_said_at
    if time.monotonic() - _silence_said_at > SAY_AGAIN_SECONDS:
        _silence_said_at = time.monotonic()
        log.warning("queue_silent", error=str(error))
    time.sleep(AWAY_PAUSE_SECONDS)


def signed(task: str) -> str:
    """A message that names one of our tasks. No arguments on purpose: nothing in a message is ever trusted or needed."""
    body = {"id": "0" * 32, "name": task, "func": task, "args": (), "kwargs": {}, "started": timezone.now()}
    return str(SignedPackage.dumps({**body, "save": False, "ack_failure": True}))


def renewed(message: str) -> str:
    """The message made anew, if it names one of our two tasks under our key; "" if not, with a line in the log.

    Made anew, because options that a message brings along (a hook, a chain: names of callables) are not honoured. Unreadable
    are those of another SECRET_KEY or version, and those cut short. Nothing is lost with them.
    """
    why = "too large"
    if len(message) <= MAX_MESSAGE_CHARS:
        try:
            task: Any = SignedPackage.loads(message)
            if task["func"] in _TASKS:
                return signed(task["func"])
            why = "not a task of ours"
        except Exception as error:  # unpickling raises what it likes
            why = f"{type(error).__name__}: {error}"
    log.warning("message_dropped", why=why[:200], characters=len(message))
    return ""
