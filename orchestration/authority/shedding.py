"""What an agent would shed with a role. Over all roles deny wins over gate and gate over allow, so fewer roles may be more."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from aegis.core.canonical import Json
from aegis.core.kinds import Overlay
from orchestration.authority.grant_documents import SCHEMA as LIMITS
from orchestration.authority.lookups import documents
from orchestration.authority.widening import weaker_policy


def shed(old: Collection[str], new: Collection[str], overlay: Overlay) -> Iterator[str]:
    """ "the gate of careful on ticket.reply", for each guard that goes with a role while another role lets it through.

    Args:
        old, new: names of roles, before and after. A role that goes is read as it stands, one that stays as it would.
    """
    kept = [_cells(overlay.get("Role", role)) for role in sorted(set(new))]
    for role in sorted(set(old) - set(new)):
        for capability, cell in sorted(_cells(Overlay().get("Role", role)).items()):
            rest = [cells[capability] for cells in kept if capability in cells]
            if _lets_through(rest) and (what := _lost(cell, rest, overlay)):
                yield f"the {what} of {role} on {capability}"


def cleared(role: str, old: Mapping[str, Json], new: Mapping[str, Json], overlay: Overlay) -> Iterator[tuple[str, str]]:
    """(capability, "gate") for each cell that goes and kept an agent from what another of its roles lets through.

    Elsewhere an emptied cell is a deny: nobody waits for a signature to stop something.

    Args:
        old, new: capability -> grant of the role.
    """
    gone = {capability: cell for capability, cell in old.items() if capability not in new}
    if not gone:
        return
    others = [
        [_cells(overlay.get("Role", other)) for other in document["spec"]["roles"] if other != role]
        for _, document in documents(overlay, "Agent")
        if role in document["spec"]["roles"]
    ]
    yield from _among(gone, others, overlay)


def cleared_of_people(
    role: str, old: Mapping[str, Json], new: Mapping[str, Json], overlay: Overlay
) -> Iterator[tuple[str, str]]:
    """As `cleared`, of a role of people: whoever holds it may come to hold any other, so each other role of people is asked."""
    gone = {capability: cell for capability, cell in old.items() if capability not in new}
    if gone:
        each = documents(overlay, "Role")
        others = [[_cells(document)] for name, document in each if name != role and document["spec"].get("people", False)]
        yield from _among(gone, others, overlay)


def by_dropping(document: Json, capabilities: Collection[str], overlay: Overlay) -> dict[str, str]:
    """Capability -> "gate" or "limit", for each cell of a role that another role would let through once it is dropped.

    Args:
        document: of the role as it stands.
    """
    old = _cells(document)
    find = cleared_of_people if document["spec"].get("people", False) else cleared
    new = {capability: cell for capability, cell in old.items() if capability not in capabilities}
    return dict(find(document["metadata"]["name"], old, new, overlay))


def _among(
    gone: Mapping[str, Json], others: Collection[Collection[Mapping[str, Json]]], overlay: Overlay
) -> Iterator[tuple[str, str]]:
    for capability, cell in sorted(gone.items()):
        rests = ([cells[capability] for cells in each if capability in cells] for each in others)
        found = (what for rest in rests if _lets_through(rest) and (what := _lost(cell, rest, overlay)))
        if what := next(found, ""):
            yield capability, what


def _lost(cell: Json, rest: Collection[Json], overlay: Overlay) -> str:
    if cell["effect"] == "deny":
        return "deny"
    if cell["effect"] == "gate" and not any(_gates_as_much(other, cell, overlay) for other in rest):
        return "gate"
    return "limit" if any(word in cell for word in LIMITS) else ""


def _gates_as_much(other: Json, cell: Json, overlay: Overlay) -> bool:
    if other["effect"] != "gate" or other.get("when"):
        return False
    return other["policy"] == cell["policy"] or not weaker_policy(cell["policy"], other["policy"], overlay)


def _lets_through(cells: Collection[Json]) -> bool:
    is_barred = any(cell["effect"] == "deny" and not cell.get("when") for cell in cells)
    return not is_barred and any(cell["effect"] != "deny" for cell in cells)


def _cells(document: Json | None) -> Mapping[str, Json]:
    return {grant["capability"]: grant for grant in document["spec"]["grants"]} if document else {}
