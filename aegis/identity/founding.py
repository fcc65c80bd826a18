"""The first right of a fresh installation: given once, by the command line, on record. Then nobody gives himself any."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from guardian.models import GroupObjectPermission

from aegis.core import clock
from aegis.core.actors import Actor
from aegis.core.errors import Conflict, Fault, Invalid
from aegis.identity import grants, people
from aegis.identity.areas import AREAS, area
from aegis.identity.authority import raise_epoch
from aegis.identity.cli import AUTH
from aegis.identity.models import User
from aegis.identity.principals import changing_rights, stated
from aegis.identity.recorder import Entry, recorder

GROUP: Final = "Admins"
MAX_FOUNDERS: Final = 10
BY_COMMAND: Final = Actor(kind="system", auth=AUTH)


class AlreadyFounded(Conflict):
    """There are people, or rights, already: they give the next ones."""

    code, title = "already_founded", "This installation has its first people already"


@dataclass(frozen=True, slots=True)
class Founder:
    """`password` is told once and kept nowhere."""

    person: User
    password: str


def is_founded() -> bool:
    """Has anybody, or any group, ever got anything? People are disabled, never deleted."""
    return User.objects.exists() or GroupObjectPermission.objects.exists()


def found(usernames: Sequence[str], *, reason: str) -> list[Founder]:
    """Make the first people, who may view every area and edit all but the audit; nothing else is granted to anybody.

    Under the exclusive authority lock: of two that try at once, one finds the other's people.

    Raises:
        AlreadyFounded. Invalid: no name, too many, one twice, or one that is no user name.
    """
    why = stated(reason)
    if not usernames or len(usernames) > MAX_FOUNDERS or len(set(usernames)) != len(usernames):
        raise Invalid("Name the first people", faults=[Fault("/usernames", f"must be 1 to {MAX_FOUNDERS} different names")])

    def work() -> list[Founder]:
        raise_epoch()
        if is_founded():
            raise AlreadyFounded("There are people or rights already; who may edit access gives the next ones")
        group = people.create_group(GROUP, actor=BY_COMMAND, reason=why)
        for name in AREAS:
            for verb in ("view", "edit") if name != "audit" else ("view",):
                grants.grant(group, area(name), verb, actor=BY_COMMAND, reason=why)
        made = [_person(name, why) for name in usernames]
        data = {"group": GROUP, "people": [str(one.person.pk) for one in made]}
        recorder().record(
            Entry("access.founded", people.group_principal(group), BY_COMMAND, clock.db_now(), data, {"reason": why})
        )
        return made

    return changing_rights(work, actor=BY_COMMAND, what="founding.found")


def new_password(person: User) -> str:
    """A password for an account that has none, or whose owner forgot it, by whoever may run commands here. Told once."""
    password = secrets.token_urlsafe(12)
    people.set_password(person.pk, password, actor=BY_COMMAND)
    return password


def _person(username: str, why: str) -> Founder:
    password = secrets.token_urlsafe(12)
    made = people.create_person(username, password=password, groups=[GROUP], actor=BY_COMMAND, reason=why)
    return Founder(made, password)
