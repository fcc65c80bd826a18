"""What a cell last let through, and what a document last said, so that no guard is shed in two steps.

Taking a limited cell away, or making it a deny, is a narrowing that one person may do. Putting it back without its limit is
judged against the last version of the role that let something through, however long ago that is; a role that was removed and
added again has its versions still.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from approvals.models import DocumentVersion

MAX_VERSIONS: Final = 500  # of one role, looked back


def last_granted(role: str, capabilities: Collection[str]) -> Mapping[str, Json]:
    """Capability -> the last allow or gate the role had for it; those it never had are left out. One query, newest first."""
    wanted = set(capabilities)
    found: dict[str, Json] = {}
    rows = DocumentVersion.objects.filter(kind="Role", name=role).order_by("-number").values_list("document", flat=True)
    for text in rows[:MAX_VERSIONS].iterator(chunk_size=20) if wanted else ():
        for cell in canonical.parse(text)["spec"]["grants"]:
            if cell["capability"] in wanted and cell["effect"] != "deny":
                found[cell["capability"]] = {name: value for name, value in cell.items() if name != "reason"}
                wanted.discard(cell["capability"])
        if not wanted:
            break
    return found


def last_document(kind: str, name: str) -> Json | None:
    """The newest version ever applied under this name; None if there was none. One query."""
    rows = DocumentVersion.objects.filter(kind=kind, name=name).order_by("-number")
    text = rows.values_list("document", flat=True).first()
    return None if text is None else canonical.parse(text)
