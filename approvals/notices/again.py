"""Sending again what was given up: `manage.py aegis notices again`, recorded with who did it and why. The page is `givenup`.

Both ask for the same right, `operate` or `edit` on the area "approvals"; the command moves all of it, seen or not, for whoever
runs AEGIS.

Exit codes: 0 sent again, or nothing was given up; 2 wrong use, or no right to.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.db.models import QuerySet

from aegis.core import clock, commands
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.commands import Terminal
from aegis.core.db import in_transaction
from aegis.core.errors import Forbidden
from aegis.core.visibility import Viewer, groups_with
from aegis.identity import cli
from aegis.identity.areas import area
from aegis.identity.models import Area, User
from aegis.identity.principals import require_live, stated
from aegis.identity.recorder import Entry, Principal, recorder
from approvals.notices.models import Delivery, Notice

AREA: Final = "approvals"
_SENDING: Final = ("operate", "edit")


def send_again(*, actor: Actor, reason: str) -> int:
    """Let the worker try all that was given up as if it were new. Returns how much; nothing is recorded if it is nothing.

    Raises:
        Forbidden: he may neither operate nor edit approvals. Invalid: no reason. NotAuthenticated: the actor is not a live
            person.
    """
    why = stated(reason)

    def work() -> int:
        require_sender(actor)
        return revive(Delivery.objects.all(), Notice.objects.all(), actor, why)

    return in_transaction(work)


def may_send(user: Viewer) -> bool:
    return any(Area.objects.visible_to(user, verb).filter(name=AREA).exists() for verb in _SENDING)


def senders() -> str:
    """Names of the groups that may send again, for a sentence."""
    names = sorted({name for verb in _SENDING for name in groups_with(area(AREA), verb)})
    return ", ".join(names) or "nobody yet; an admin can grant it"


def require_sender(actor: Actor) -> User:
    """The live person behind the actor, who may send again.

    Raises:
        Forbidden: he may not. NotAuthenticated: no live person.
    """
    person = require_live(actor)
    if not may_send(person):
        givers = senders()
        raise Forbidden(f"Sending notices again is for: {givers}", right=f"operate ({AREA})", granted_by=givers)
    return person


def revive(deliveries: QuerySet[Delivery], notices: QuerySet[Notice], actor: Actor, why: str) -> int:
    """Let the worker try what was given up of these as if it were new; on record, in the caller's transaction. How much."""
    now = clock.db_now()
    # What a colleague sends again at the same moment is given up no more by the time the row is ours: the last word of `WHERE`.
    mails, webhooks = (
        deliveries.filter(channel=channel, dead_at__isnull=False).update(dead_at=None, tried_since=None, attempts=0, due_at=now)
        for channel in (Delivery.Channel.MAIL, Delivery.Channel.WEBHOOK)
    )
    unbuilt = notices.filter(dead_at__isnull=False).update(dead_at=None, next_at=None, attempts=0, tried_since=None)
    if total := mails + webhooks + unbuilt:
        data: dict[str, Json] = {"mails": mails, "webhooks": webhooks, "notices": unbuilt}
        recorder().record(Entry("notices.again", Principal("user", actor.ref), actor, now, data, {"reason": why}))
    return total


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
