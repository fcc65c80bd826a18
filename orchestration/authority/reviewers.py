"""Who may review a role. Nobody reviews the role that he himself holds: not as one of its people, not as owner of an agent with
it (DESIGN promise 8). This binds superusers like everybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aegis.core import canonical
from aegis.core.errors import Forbidden, NotFound
from aegis.core.kinds import Key
from aegis.core.visibility import groups_with
from aegis.identity.models import Area, User
from approvals import electors
from orchestration.agents.models import Agent
from orchestration.authority.models import Role
from orchestration.authority.review_terms import Terms, read

HOLDS: Final = "hold this role, or own an agent that does"


class OwnRole(Forbidden):
    """The reviewer holds the role himself."""

    code, title, can_be_given = "own_role", "Somebody else must review this role", False


@dataclass(frozen=True, slots=True)
class Seats:
    """Ids of the active people who are named for one role, and of those who hold it."""

    named: frozenset[str]
    holders: frozenset[str]

    @property
    def eligible(self) -> frozenset[str]:
        return self.named - self.holders


def seats_of(roles: Mapping[str, Terms]) -> dict[str, Seats]:
    """Who may review each role. Five queries at most, whatever their number.

    Args:
        roles: name -> what its document says of its review.
    """
    area = Area.objects.filter(name="access").first()
    editing = groups_with(area, "edit") if area else []
    people = electors.active_people({*editing, *roles, *(terms.group for terms in roles.values() if terms.group)})
    names = {terms.person for terms in roles.values() if terms.person}
    persons = dict(User.objects.filter(username__in=names, is_active=True).values_list("username", "pk")) if names else {}
    editors = _all_of(people, editing)
    held = holders_of(roles, people)

    def named(terms: Terms) -> frozenset[str]:
        if terms.person:
            return frozenset({str(persons[terms.person])} if terms.person in persons else ())
        return frozenset(people.get(terms.group, ())) if terms.group else editors

    return {name: Seats(named(terms), held[name]) for name, terms in roles.items()}


def holders_of(roles: Iterable[str], people: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    """Role -> ids of its people and of the owners of agents with it. One query.

    Args:
        people: group -> ids of its active people; of a role of agents that has a group of its name as well.
    """
    held = {name: set(people.get(name, ())) for name in roles}
    for owner, text in Agent.objects.values_list("owner_id", "document"):
        for name in canonical.parse(text)["spec"]["roles"]:
            if name in held:
                held[name].add(str(owner))
    return {name: frozenset(ids) for name, ids in held.items()}


def bound(keys: Sequence[Key]) -> dict[str, str]:
    """Who may not decide a proposal to drop grants of these roles: the port `changes.register_bound`."""
    names = [key.name for key in keys if key.kind == "Role"]
    held = holders_of(names, electors.active_people(names)) if names else {}
    return {person: HOLDS for people in held.values() for person in people}


def require(person: User, role: Role, seats: Seats, terms: Terms) -> None:
    """
    Raises:
        NotFound: the person neither sees the role nor is named to review it.
        OwnRole, Forbidden: sees it, and may not review it.
    """
    who = str(person.pk)
    if who not in seats.named:
        if not Role.objects.visible_to(person).filter(pk=role.pk).exists():
            raise NotFound
        raise Forbidden(f"You can see this role, but it is reviewed by {terms.who}", right="review", granted_by=terms.who)
    if who in seats.holders:
        raise OwnRole(f"You {HOLDS}; nobody reviews what he holds himself. This binds superusers too")


def require_named(person: User, name: str) -> None:
    """As `require`, of the role of this name; `confirming.settle` asks again.

    Raises:
        NotFound, OwnRole, Forbidden
    """
    role = Role.objects.filter(name=name).first()
    if role is None:
        raise NotFound
    terms = terms_of(role)
    require(person, role, seats_of({name: terms})[name], terms)


def terms_of(role: Role) -> Terms:
    return read(canonical.parse(role.document)["spec"])


def _all_of(people: Mapping[str, set[str]], groups: Iterable[str]) -> frozenset[str]:
    return frozenset(person for group in groups for person in people.get(group, ()))
