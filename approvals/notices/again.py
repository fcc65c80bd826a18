"""Sending again what was given up: `manage.py aegis notices again`, recorded with who did it and why.

Exit codes: 0 sent again, or nothing was given up; 2 wrong use.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db.models import Count

from aegis.core import clock, commands
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.commands import Terminal
from aegis.core.db import in_transaction
from aegis.identity import cli
from aegis.identity.principals import require_live, stated
from aegis.identity.recorder import Entry, Principal, recorder
from approvals.notices.models import Delivery, Notice


def send_again(*, actor: Actor, reason: str) -> int:
    """Let the worker try all that was given up as if it were new. Returns how much; nothing is recorded if it is nothing.

    Raises:
        Invalid: no reason. NotAuthenticated: the actor is not a live person.
    """
    why = stated(reason)

    def work() -> int:
        require_live(actor)
        now = clock.db_now()
        dead, unbuilt = Delivery.objects.filter(dead_at__isnull=False), Notice.objects.filter(dead_at__isnull=False)
        counts = dict(dead.order_by().values_list("channel").annotate(Count("pk")))
        dead.update(dead_at=None, tried_since=None, attempts=0, due_at=now)
        notices = unbuilt.update(dead_at=None, next_at=None, attempts=0, tried_since=None)
        total = sum(counts.values()) + notices
        if total:
            data: dict[str, Json] = {"mails": counts.get("mail", 0), "webhooks": counts.get("webhook", 0), "notices": notices}
            recorder().record(Entry("notices.again", Principal("user", actor.ref), actor, now, data, {"reason": why}))
        return total

    return in_transaction(work)


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register("notices", "Send notices again that were given up, once their cause is mended.", _arguments, handle)


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    person = cli.person_named(options["as"], hint="say who acts with --as USERNAME")
    count = send_again(actor=cli.actor_for(person), reason=options["reason"])
    terminal.note(f"{count:,} go out again." if count else "Nothing was given up.")
    return 0


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("verb", choices=["again"])
    parser.add_argument("--as", default="", metavar="USERNAME", help="the person who acts")
    parser.add_argument("--reason", default="", help="what was mended; recorded")
