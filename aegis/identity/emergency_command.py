"""`manage.py aegis emergency`: what was taken; take a right, give it back, review it."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from aegis.core import clock
from aegis.core.commands import Terminal
from aegis.identity import cli, emergency
from aegis.identity.models import TakenRight

HELP = "take a right for a time, in an emergency; give it back; review it; list what was taken"
MINUTES: Final = 60
LISTED: Final = 50


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    verbs.add_parser("list", help="the newest, with how each ended")
    take = verbs.add_parser("take", help="take a right on an area")
    take.add_argument("right", choices=emergency.VERBS)
    take.add_argument("area")
    take.add_argument("--minutes", type=int, default=MINUTES, help=f"until it ends by itself (default {MINUTES}, at most 240)")
    end = verbs.add_parser("end", help="give back what you took, or take it from another")
    review = verbs.add_parser("review", help="say whether what another took was justified")
    review.add_argument("verdict", choices=emergency.VERDICTS)
    for verb in (end, review):
        verb.add_argument("id", type=UUID)
    for verb in (take, end, review):
        verb.add_argument("--as", dest="username", required=True, help="the person who acts")
        verb.add_argument("--reason", required=True, help="why; recorded")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    """
    Raises:
        NotFound, Forbidden, Invalid, Conflict: as the verbs do.
    """
    if options["verb"] == "list":
        return _list(terminal)
    actor = cli.actor_for(cli.person_named(options["username"]))
    reason = options["reason"]
    if options["verb"] == "take":
        for_time = timedelta(minutes=options["minutes"])
        row = emergency.take(options["area"], options["right"], for_time=for_time, actor=actor, reason=reason)
        terminal.line(str(row.pk))
        terminal.note(f"{options['username']} has “{row.verb}” on {row.area.name} until {row.ends_at:%H:%M} UTC.")
    elif options["verb"] == "end":
        is_new = emergency.end(options["id"], actor=actor, reason=reason)
        terminal.line("It is over." if is_new else "It was over already.")
    else:
        is_new = emergency.review(options["id"], verdict=options["verdict"], actor=actor, reason=reason)
        terminal.line("Reviewed." if is_new else "It was reviewed already.")
    return 0


def _list(terminal: Terminal) -> int:
    now = clock.now()
    rows = list(TakenRight.objects.select_related("person", "area", "reviewed_by").order_by("-taken_at")[:LISTED])
    for row in rows:
        if emergency.is_standing(row, now):
            state = f"stands until {row.ends_at:%Y-%m-%d %H:%M} UTC"
        else:
            state = f"{row.verdict}, says {row.reviewed_by.username}" if row.reviewed_by else "over, not reviewed"
        terminal.line(f"{row.pk}  {row.person.username}  {row.verb} {row.area.name}  {row.taken_at:%Y-%m-%d %H:%M}  {state}")
    if not rows:
        terminal.line("Nobody took a right in an emergency.")
    return 0
