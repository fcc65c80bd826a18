"""What a high risk tier asks of whoever changes the matrix: two others, whoever edits (docs/adr/0040).

And a way around it: another capability, of a lower tier, that does the same thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aegis.core.canonical import Json
from aegis.core.kinds import Overlay
from approvals.policies import RISKS
from orchestration.authority.lookups import documents


def is_high(capability: str, overlay: Overlay) -> bool:
    """As it stands, or as it would: a set that changes the tier as well is judged by the stricter of both."""
    found = (where.get("Capability", capability) for where in (Overlay(), overlay))
    return any(document is not None and document["spec"]["risk"] == "high" for document in found)


def twins(name: str, old: Json | None, new: Json, overlay: Overlay) -> Iterator[str]:
    """Capabilities of high risk that `name`, of a lower one, would do the same as and did not before.

    Two do the same where the same handler carries them out, on the same type of resource, with a parameter that both take.

    Args:
        old, new: specs.
    """
    if new["risk"] == "high":
        return
    for other, document in documents(overlay, "Capability"):
        spec = document["spec"]
        if other == name or spec["risk"] != "high" or not _does_the_same(new, spec):
            continue
        if old is None or RISKS.index(old["risk"]) > RISKS.index(new["risk"]) or not _does_the_same(old, spec):
            yield other


def _does_the_same(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    if (one["handler"], one["resource"]) != (other["handler"], other["resource"]):
        return False
    taken, others = _parameters(one), _parameters(other)
    if taken is None or others is None:
        return True
    return bool(taken & others) or (not taken and not others)


def _parameters(spec: Mapping[str, Json]) -> frozenset[str] | None:
    """The names a contract takes at its root; None where it is open to any, or says it in a way that is not read here."""
    schema = spec["parameters"]
    is_closed = isinstance(schema, Mapping) and schema.get("additionalProperties") is False
    if not is_closed or any(word in schema for word in ("$ref", "patternProperties", "allOf", "anyOf", "oneOf")):
        return None
    return frozenset(schema.get("properties", {}))
