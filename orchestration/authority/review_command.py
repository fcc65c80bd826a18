"""`manage.py aegis reviews list|show|settle`: reviews of access, by the same verb as the page.

Exit codes: 0 told or recorded; 1 `list --due` found one that is overdue; 2 wrong use, or refused.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import clock, commands
from aegis.core.commands import Terminal
from aegis.core.errors import NotFound
from aegis.identity import cli
from orchestration.authority import confirming, role_reviews
from orchestration.authority.role_reviews import Standing

_MARKS = {"left": "to confirm", "confirmed": "confirmed", "proposed": "proposed to be dropped"}


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register("reviews", "Reviews of access: what is due, one role, a reviewer's word.", _arguments, handle)


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    """With `--as` within what that person may see; without it as whoever may run commands here, who sees all.

    Raises:
        NotFound, Forbidden, Invalid, Conflict: as `confirming.settle`.
    """
    match options["verb"]:
        case "list":
            return _list(options, terminal)
        case "show":
            return _show(options, terminal)
        case _:
            return _settle(options, terminal)


def _list(options: dict[str, Any], terminal: Terminal) -> int:
    reader = cli.person_named(options["as"]) if options["as"] else None
    every, now = role_reviews.of_all(), clock.now()
    found = role_reviews.readable_by(reader, every) if reader else every
    if options["due"]:
        found = [one for one in found if one.is_soon(now)]
    for one in found:
        word = "overdue" if one.is_due(now) else "soon" if one.is_soon(now) else "later"
        who = one.terms.who if one.has_reviewer else "nobody may review it"
        terminal.line(f"{one.name}  {word}  due {one.due_at:%Y-%m-%d}  {len(one.left)} of {len(one.grants)} to confirm  {who}")
    overdue = sum(one.is_due(now) for one in found)
    terminal.note(f"{len(found)} roles, {overdue} overdue")
    return 1 if options["due"] and overdue else 0


def _show(options: dict[str, Any], terminal: Terminal) -> int:
    standing = _standing(options)
    widens = confirming.widening(standing.role, standing.grants)
    terminal.line(f"{standing.name}: due {standing.due_at:%Y-%m-%d}, by {standing.terms.who}. Digest {standing.role.digest}")
    for capability, grant in standing.grants.items():
        terminal.line(f"{capability}  {grant['effect']}  {_MARKS[standing.state_of(capability)]}")
        if capability in widens:
            terminal.line(f"    if dropped: {widens[capability]}")
    return 0


def _settle(options: dict[str, Any], terminal: Terminal) -> int:
    actor = cli.actor_for(cli.person_named(options["as"]))
    word = {name: options[name] for name in ("confirm", "drop", "told")}
    said = confirming.settle(options["role"], actor=actor, reason=options["reason"], seen=options["seen"], **word)
    if said.request is not None:
        terminal.line(str(said.request))
        terminal.note("Proposed to be dropped: others decide, nothing has changed yet.")
    terminal.note(f"{len(said.left)} left." if said.left else "Nothing is left.")
    return 0


def _standing(options: dict[str, Any]) -> Standing:
    if options["as"]:
        return role_reviews.readable(cli.person_named(options["as"]), options["role"])
    standing = role_reviews.of_role(options["role"])
    if standing is None:
        raise NotFound(f"There is no role {options['role']!r} with anything to review")
    return standing


def _arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    every = verbs.add_parser("list", help="each role by due date")
    every.add_argument("--due", action="store_true", help="only those due, or within two weeks; exit code 1 if one is overdue")
    show = verbs.add_parser("show", help="the grants of one role, and what dropping each would allow")
    settle = verbs.add_parser("settle", help="a reviewer's word")
    for verb in (show, settle):
        verb.add_argument("role")
    for verb in (every, show):
        verb.add_argument("--as", default="", metavar="USERNAME", help="the person who reads")
    settle.add_argument("--as", required=True, metavar="USERNAME", help="the reviewer")
    settle.add_argument("--reason", required=True, help="why; recorded")
    settle.add_argument("--seen", required=True, metavar="DIGEST", help="the digest that `show` told")
    for name, what in (
        ("confirm", "is still needed"),
        ("drop", "is proposed to be dropped"),
        ("told", "widens when dropped, which you read"),
    ):
        settle.add_argument(f"--{name}", action="append", default=[], metavar="CAPABILITY", help=f"{what}; may be given again")
