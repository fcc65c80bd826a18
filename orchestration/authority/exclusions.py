"""Where capabilities that exclude each other are refused before they meet: at publishing roles and agents, at joining a group.
And what a group keeps its people from, which nobody sheds by leaving it.

The verdict denies them all the same (`verdicts`), whatever the rows say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from uuid import UUID

from django.contrib.auth.models import Group

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Overlay
from aegis.identity.seen import people_seen
from orchestration.authority import live
from orchestration.authority.exclusive import Clash, Worn, clashes, pairs, worn
from orchestration.authority.lookups import documents

_REMEDY = "take one of the two away first"
#: Of people whom the reader may not see: neither how many, nor through which of their groups.
UNTOLD: Final = Fault(
    "/spec/grants", "somebody would hold two capabilities that exclude each other", "ask somebody who sees people who it is"
)


def of_role(name: str, spec: Json, overlay: Overlay) -> list[Fault]:
    """Clashes within a role, and those that people in two groups would have. Names nobody, and counts and tells clashes only of
    people whom the reader may see; of the others it is said alone that there is a clash."""
    exclusive = _exclusive(overlay)
    own = worn(name, spec["grants"])
    if not exclusive.keys() & own.holds:
        return []
    found = [Fault("/spec/grants", f"it would hold {clash}", _REMEDY) for clash in clashes(exclusive, [own])]
    if found or not spec.get("people"):
        return found
    others = {
        other: worn(other, document["spec"]["grants"])
        for other, document in documents(overlay, "Role")
        if document["spec"].get("people")
    }
    every = _people(name, {**others, name: own}, exclusive)
    if not every:
        return []
    seen = set(people_seen(overlay.reader).filter(pk__in=list(every)).values_list("pk", flat=True))
    counted = Counter(clash for person, found in every.items() if person in seen for clash in found)
    told = [Fault("/spec/grants", f"{_count(many)} would hold {clash}", _REMEDY) for clash, many in counted.items()]
    return told if len(seen) == len(every) else [*told, UNTOLD]


def of_agent(roles: Iterable[str], overlay: Overlay) -> list[Fault]:
    exclusive = _exclusive(overlay)
    if not exclusive:
        return []
    found = {role: overlay.get("Role", role) for role in roles}
    every = [worn(role, document["spec"]["grants"]) for role, document in found.items() if document is not None]
    return [Fault("/spec/roles", f"it would hold {clash}", _REMEDY) for clash in clashes(exclusive, every)]


def of_groups(groups: Collection[str]) -> str:
    """What speaks against one person in these groups under the matrix that stands; "" if nothing does."""
    found = _clashes(groups)
    return str(found[0]) if found else ""


def shed_by_leaving(group: str, groups: Collection[str]) -> str:
    """What keeps people in `group` from something under the matrix that stands: a deny, a gate or a limit of its role, or a
    pair that a person in all of `groups` holds together and may therefore use neither of. "" if nothing does."""
    role = live.current().matrix.roles.get(group)
    if role is None or not role.is_for_people:
        return ""
    for name, cell in sorted(role.grants.items()):
        if cell.effect != "allow" or cell.limits:
            return f"“{'limits' if cell.effect == 'allow' else cell.effect}” on {name}"
    kept = {(clash.capability, clash.other) for clash in _clashes([name for name in groups if name != group])}
    found = [clash for clash in _clashes(groups) if (clash.capability, clash.other) not in kept]
    return f"holding {found[0]}" if found else ""


def _clashes(groups: Collection[str]) -> list[Clash]:
    matrix = live.current().matrix
    every = [matrix.roles[name] for name in groups if name in matrix.roles]
    return clashes(matrix.exclusive, [role.worn for role in every if role.is_for_people and role.worn is not None])


def _exclusive(overlay: Overlay) -> Mapping[str, frozenset[str]]:
    return pairs({name: document["spec"].get("excludes", ()) for name, document in documents(overlay, "Capability")})


def _people(name: str, roles: Mapping[str, Worn], exclusive: Mapping[str, frozenset[str]]) -> dict[UUID, list[Clash]]:
    """Active member of the group -> the clashes he has through his other groups; who has none is left out. Two queries."""
    group = Group.objects.filter(name=name).first()
    if group is None:
        return {}
    rows = Group.objects.filter(name__in=list(roles), user__in=group.user_set.filter(is_active=True))
    worn_by: dict[UUID, list[Worn]] = {}
    for person, other in rows.values_list("user", "name"):
        worn_by.setdefault(person, []).append(roles[other])
    found = {person: list(clashes(exclusive, every)) for person, every in worn_by.items()}
    return {person: every for person, every in found.items() if every}


def _count(many: int) -> str:
    return "1 person in its group" if many == 1 else f"{many} people in its group"
