"""The agents and people whom a draft affects, as the one who reviews it may see them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from aegis.core.canonical import Json
from aegis.core.kinds import Key
from aegis.identity.models import User
from orchestration.authority.affected import Effect, effects
from orchestration.authority.matrix import Matrix, Role, load
from orchestration.authority.overlays import role_entry
from orchestration.authority.verdicts import Principal
from orchestration.engine.explaining import as_seen, people_in

MAX_PEOPLE: Final = 200


@dataclass(frozen=True, slots=True)
class Affected:
    """By principal, of those that the reader may see. `is_cut`: more of these people have the roles than were judged."""

    agents: tuple[Effect, ...]
    people: tuple[Effect, ...]
    is_cut: bool


def affected(matrix: Matrix, documents: list[tuple[Key, Json]], cells: Collection[tuple[str, str]], user: User) -> Affected:
    """
    Args:
        documents: the roles as they shall be.
        cells: (role, capability) of those that differ.
    """
    matrix = as_seen(matrix, user)
    roles = {role for role, _ in cells}
    touched = {capability for _, capability in cells}
    after = replace(matrix, roles={**matrix.roles, **_roles(documents)})
    agents = [(entry.name, Principal("agent", ref)) for ref, entry in matrix.agents.items() if entry.roles & roles]
    groups = [name for name in roles if (known := after.roles.get(name)) and known.is_for_people]
    seen = people_in(groups, user).order_by("username").prefetch_related("groups")[: MAX_PEOPLE + 1]
    people = [
        (one.display_name, Principal("user", str(one.pk), tuple(group.name for group in one.groups.all()))) for one in seen
    ]
    return Affected(
        tuple(effects(matrix, after, sorted(agents), touched)),
        tuple(effects(matrix, after, people[:MAX_PEOPLE], touched)),
        len(people) > MAX_PEOPLE,
    )


def _roles(documents: list[tuple[Key, Json]]) -> dict[str, Role]:
    nothing: dict[str, Json] = {"capabilities": {}, "locks": {}, "policies": {}, "agents": {}}
    return dict(load({**nothing, "roles": {key.name: role_entry(document) for key, document in documents}}).roles)
