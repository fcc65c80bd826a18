"""One deciding owner per capability and resource type: a person, named in the Capability (`owner`), one for all of a type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Overlay
from aegis.core.visibility import Viewer
from aegis.identity.models import User
from aegis.identity.seen import may_name
from orchestration.authority.lookups import documents
from orchestration.authority.models import Capability


@dataclass(frozen=True, slots=True)
class Owned:
    """Who decides about a type of resource. `owner` is a user name, "" if no capability on it names one."""

    resource: str
    owner: str
    shown: str
    is_active: bool
    capabilities: int


def faults(name: str, spec: Json, overlay: Overlay) -> Iterator[Fault]:
    """Where one capability of a type names an owner all do, and the same: an owner is neither missing nor doubled."""
    owner = spec.get("owner", "")
    if owner and not may_name(owner, overlay.reader) and not _stood(name, owner):
        yield Fault("/spec/owner", f"there is no active person {owner!r} that you may name")
    others = {
        other: document["spec"].get("owner", "")
        for other, document in documents(overlay, "Capability")
        if other != name and document["spec"]["resource"] == spec["resource"]
    }
    named = sorted({other for other in others.values() if other})
    if not owner and named:
        yield Fault("/spec/owner", f"is missing: {named[0]} decides about {spec['resource']}", f"name {named[0]}")
    elif owner and (doubled := [other for other in named if other != owner]):
        yield Fault("/spec/owner", f"{spec['resource']} has an owner already, {doubled[0]}", "change all of the type at once")


def all_owned() -> list[Owned]:
    """Every type of resource with its owner, by name. Two queries."""
    found: dict[str, list[str]] = {}
    for text in Capability.objects.values_list("document", flat=True):
        spec = canonical.parse(text)["spec"]
        found.setdefault(spec["resource"], []).append(spec.get("owner", ""))
    people = {
        one.username: one for one in User.objects.filter(username__in={owner for owners in found.values() for owner in owners})
    }
    return [_owned(resource, owners, people) for resource, owners in sorted(found.items())]


def alarms(reader: Viewer) -> list[Owned]:
    """Types of resource whose owner has left, for who may see a capability. Three queries."""
    return (
        [one for one in all_owned() if one.owner and not one.is_active]
        if Capability.objects.visible_to(reader).exists()
        else []
    )


def _owned(resource: str, owners: list[str], people: dict[str, User]) -> Owned:
    owner = next((one for one in owners if one), "")
    person = people.get(owner)
    return Owned(resource, owner, person.display_name if person else owner, bool(person and person.is_active), len(owners))


def _stood(name: str, owner: str) -> bool:
    """An owner who left is an alarm, not a fault of every other change."""
    row = Capability.objects.filter(name=name).first()
    return row is not None and canonical.parse(row.document)["spec"].get("owner") == owner
