"""The explainer over what stands: "may X do Y on Z now, and why", "who can do Y", "what can X do". Pages, API and command line.

What a question reaches is what its reader may see: roles and cells with the area "access", agents by the rule of agents, people
with the area "people" (else oneself alone), halts and breakers as on their own page. Of the others nothing is told, nor that
there are any. `reader` None is the command line, which sees all. A fixed number of queries, whatever the number of roles,
capabilities, agents and people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import Count, QuerySet

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Forbidden, Invalid, NotFound
from aegis.core.visibility import Viewer, groups_with, remembered
from aegis.identity.models import Area, User
from aegis.identity.seen import people_seen
from orchestration.agents.models import Agent
from orchestration.authority.explain import ask
from orchestration.authority.explainer import Held, Lines, as_role, what_can, who_can
from orchestration.authority.grant_limits import clock_fact
from orchestration.authority.live import person_principal
from orchestration.authority.matrix import Matrix
from orchestration.authority.verdicts import Principal, Resource, Verdict, decide, readings
from orchestration.engine.guards import spending
from orchestration.engine.guards.models import Breaker, Halt
from orchestration.engine.guards.standing import standing

MAX_FACTS_BYTES: Final = 16 * 1024
MAX_PEOPLE: Final = 500  # answered for one question
#: Said beside every list and number of agents and people, always: said only where something is left out, it would tell of it.
ONLY_SEEN: Final = "Only agents and people that you may see are listed."


@dataclass(frozen=True, slots=True)
class Asked:
    """A question. `who` is "agent:<name>", "person:<user name>" or, of "what can X do", also "role:<name>"."""

    who: str = ""
    what: str = ""
    on: str = ""
    requester: str = ""
    parameters: str = ""
    record: str = ""

    @property
    def is_asked(self) -> bool:
        return bool(self.who and self.what)

    @property
    def has_facts(self) -> bool:
        return bool(self.requester or self.parameters or self.record)


@dataclass(frozen=True, slots=True)
class May:
    """The answer to "may X do Y on Z now". `held` says what stops it now, whatever the verdict is."""

    verdict: Verdict
    roles: tuple[str, ...]
    held: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhoCan:
    """`is_cut`: more people have a cell than are told, all of whom the reader may see."""

    found: Lines
    is_cut: bool
    held: Held


@dataclass(frozen=True, slots=True)
class WhatCan:
    found: Lines
    roles: tuple[str, ...]
    held: Held


def require_reader(reader: Viewer) -> None:
    """
    Raises:
        Forbidden: names the groups that may read the area "access".
    """
    if Area.objects.visible_to(reader).filter(name="access").exists():
        return
    area = Area.objects.filter(name="access").first()
    givers = ", ".join(groups_with(area, "view")) if area else ""
    raise Forbidden(
        f"You may not read the access matrix; the right “view” on it is granted to: {givers or 'nobody yet'}",
        right="view (access)",
        granted_by=givers,
    )


def as_seen(matrix: Matrix, reader: Viewer | None) -> Matrix:
    """The matrix with those agents alone that the reader may see. For what people read, never for an effect.

    A verdict on one of them is what it was: no agent's answer rests on another agent. One query, once per `one_look`.
    """
    if reader is None:
        return matrix
    known = remembered(("agents seen", reader.pk), lambda: _agent_ids(reader))
    return replace(matrix, agents={ref: entry for ref, entry in matrix.agents.items() if ref in known})


def _agent_ids(reader: Viewer) -> frozenset[str]:
    return frozenset(str(pk) for pk in Agent.objects.visible_to(reader).values_list("pk", flat=True))


def people_in(groups: Collection[str], reader: Viewer | None) -> QuerySet[User]:
    """Those of `people_seen` that are in one of the groups."""
    return people_seen(reader).filter(pk__in=User.objects.filter(groups__name__in=groups).values("pk"))


def people_counted(groups: Collection[str], reader: Viewer | None) -> dict[str, int]:
    """Group -> how many of its active members the reader may see; a group without one is left out."""
    members = people_seen(reader).filter(groups__name__in=groups)
    return dict(members.values_list("groups__name").annotate(found=Count("pk")).order_by())


def may(matrix: Matrix, asked: Asked, reader: Viewer | None) -> May:
    """Judge the question under the matrix as it stands, by the function that judges every effect.

    The record is not read: what it holds may be more than the asker may see. Conditions that look at it are judged on the facts
    given here.

    Raises:
        Invalid: with a fault per part of the question that makes no sense, or that the reader may not ask about.
    """
    matrix = as_seen(matrix, reader)
    principal = _principal(matrix, asked.who, reader)
    facts: dict[str, Json] = {
        "parameters": _facts("parameters", asked.parameters),
        "record": _facts("record", asked.record),
        "requester": _requester(asked.requester, reader),
    }
    known = matrix.capabilities.get(asked.what)
    resource = Resource(known.resource if known else "", asked.on)
    facts["clock"] = clock_fact(clock.now(), matrix.zones)
    if asked.parameters:
        wanted = readings(matrix, principal, asked.what, resource, facts)
        facts["limits"] = {one.key: spending.used(one.key, one.per, clock.now()) for one in wanted}
        verdict = decide(matrix, principal, asked.what, resource, facts)
    else:
        verdict = ask(matrix, principal, asked.what, resource, facts, bounds="hours")
    roles = principal.roles if principal.kind == "user" else tuple(sorted(matrix.agents[principal.ref].roles))
    held = held_now(reader).by(matrix, principal, asked.what)
    return May(verdict, roles, tuple(f"{one.says[0].upper()}{one.says[1:]}." for one in held))


def who(matrix: Matrix, capability: str, reader: Viewer | None) -> WhoCan:
    """
    Raises:
        NotFound: there is no such capability.
    """
    if capability not in matrix.capabilities:
        raise NotFound(f"There is no capability “{capability}”")
    matrix = as_seen(matrix, reader)
    groups = [role.name for role in matrix.roles.values() if role.is_for_people and capability in role.grants]
    seen = people_in(groups, reader).order_by("username").prefetch_related("groups")[: MAX_PEOPLE + 1]
    people = [(f"person:{one.username}", _person(one)) for one in seen]
    agents = [(f"agent:{entry.name}", Principal("agent", ref)) for ref, entry in matrix.agents.items()]
    held = held_now(reader)
    found = who_can(matrix, capability, [*agents, *people[:MAX_PEOPLE]], held, clock_fact(clock.now(), matrix.zones))
    return WhoCan(found, len(people) > MAX_PEOPLE, held)


def what(matrix: Matrix, name: str, reader: Viewer | None) -> WhatCan:
    """
    Args:
        name: "agent:<name>", "person:<user name>" or "role:<name>".

    Raises:
        Invalid: there is none that the reader may ask about.
    """
    matrix = as_seen(matrix, reader)
    kind, _, rest = name.partition(":")
    if kind == "role" and rest in matrix.roles:
        matrix, principal = as_role(matrix, rest)
        roles: Iterable[str] = (rest,)
    else:
        principal = _principal(matrix, name, reader)
        roles = principal.roles if principal.kind == "user" else sorted(matrix.agents[principal.ref].roles)
    held = held_now(reader)
    return WhatCan(what_can(matrix, name, principal, held, clock_fact(clock.now(), matrix.zones)), tuple(roles), held)


def held_now(reader: Viewer | None) -> Held:
    """Halts that stand and breakers that are open, as far as the reader may see what they stop."""
    if reader is None:
        halts = [(halt, "") for halt in Halt.objects.filter(status=Halt.Status.STANDING)]
        open_keys = [*Breaker.objects.filter(phase=Breaker.Phase.OPEN).values_list("key", flat=True)]
    else:
        found = standing(reader)
        halts = [(one.halt, one.reason) for one in found.halts if one.halt.status == Halt.Status.STANDING]
        open_keys = [one.key for one in found.breakers if one.phase == Breaker.Phase.OPEN]
    agents, workflows, everything = {}, [], ""
    for halt, reason in halts:
        words = f"{halt.name or 'everything'} is halted{f': {reason}' if reason else ''}"
        if halt.scope == Halt.Scope.AGENT:
            agents[halt.target] = words
        elif halt.scope == Halt.Scope.WORKFLOW:
            workflows.append(words)
        else:
            everything = words
    breakers: Mapping[str, str] = {key: f"the circuit breaker of {key.partition(':')[2]} is open" for key in open_keys}
    return Held(everything, agents, breakers, tuple(workflows))


def _principal(matrix: Matrix, name: str, reader: Viewer | None) -> Principal:
    kind, _, rest = name.partition(":")
    if kind == "agent" or not rest:
        for ref, entry in matrix.agents.items():
            if entry.name == (rest or kind):
                return Principal("agent", ref)
    if kind == "person" or not rest:  # “agent:bob” where there is no such agent does not mean the person bob
        person = people_seen(reader).filter(username=rest or kind).first()
        if person is not None:
            return person_principal(person.pk)
    raise _fault("who", f"there is no agent or person “{name}” that you may ask about")


def _requester(name: str, reader: Viewer | None) -> Json:
    if not name:
        return {}
    person = people_seen(reader).filter(username=name.removeprefix("person:")).first()
    if person is None:
        raise _fault("requester", f"there is no person “{name}” that you may ask about")
    return {"id": str(person.pk), "roles": list(person_principal(person.pk).roles)}


def _person(one: User) -> Principal:
    return Principal("user", str(one.pk), tuple(sorted(group.name for group in one.groups.all())))


def _facts(name: str, text: str) -> Json:
    if not text:
        return {}
    try:
        value = canonical.parse(text, max_bytes=MAX_FACTS_BYTES)
    except Invalid as error:
        raise _fault(name, str(error)) from None
    if not isinstance(value, dict):
        raise _fault(name, "must be a JSON object")
    return value


def _fault(where: str, what: str) -> Invalid:
    return Invalid(what, faults=[Fault(where, what)])
