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
from orchestration.engine.explaining import people_seen

MAX_PEOPLE: Final = 200


@dataclass(frozen=True, slots=True)
class Affected:
    """By principal. `hidden_people` are those in the groups whom the reader may not see, or who are too many to judge."""

    agents: tuple[Effect, ...]
    people: tuple[Effect, ...]
    hidden_people: int


def affected(matrix: Matrix, documents: list[tuple[Key, Json]], cells: Collection[tuple[str, str]], user: User) -> Affected:
    """
    Args:
        documents: the roles as they shall be.
        cells: (role, capability) of those that differ.
    """
    roles = {role for role, _ in cells}
    touched = {capability for _, capability in cells}
    after = replace(matrix, roles={**matrix.roles, **_roles(documents)})
    agents = [(entry.name, Principal("agent", ref)) for ref, entry in matrix.agents.items() if entry.roles & roles]
    groups = [name for name in roles if (known := after.roles.get(name)) and known.is_for_people]
    members = User.objects.filter(is_active=True, groups__name__in=groups).distinct()
    seen = people_seen(user).filter(pk__in=members).order_by("username").prefetch_related("groups")[:MAX_PEOPLE]
    people = [
        (one.display_name, Principal("user", str(one.pk), tuple(group.name for group in one.groups.all()))) for one in seen
    ]
    return Affected(
        tuple(effects(matrix, after, sorted(agents), touched)),
        tuple(effects(matrix, after, people, touched)),
        members.count() - len(people),
    )


def _roles(documents: list[tuple[Key, Json]]) -> dict[str, Role]:
    nothing: dict[str, Json] = {"capabilities": {}, "locks": {}, "policies": {}, "agents": {}}
    return dict(load({**nothing, "roles": {key.name: role_entry(document) for key, document in documents}}).roles)
