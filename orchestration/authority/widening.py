"""What a change of a role gives its people, or agents, that they had not. Asked by its guards: nobody widens his own rights,
nor alone those of agents on a capability of high risk.

Judged cell by cell, by the rules of `verdicts`: no cell is a deny, and over all roles of a person deny wins over gate, gate
over allow. So a deny or gate that goes, or holds more rarely, widens too. Conditions are only found equal or absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aegis.core.canonical import Json
from aegis.core.kinds import Overlay
from approvals import policies, strictness


def widened(old: Mapping[str, Json], new: Mapping[str, Json], overlay: Overlay) -> Iterator[tuple[str, str]]:
    """(capability, what happens to its cell) for each cell that may let more through.

    Args:
        old: capability -> grant as it stands; empty for a new role, or one that was not of those who are asked about.
        new: as it would be.
        overlay: the policies that would stand.
    """
    for capability in sorted(old.keys() | new.keys()):
        if why := _why(old.get(capability), new.get(capability), overlay):
            yield capability, why


def _why(old: Json | None, new: Json | None, overlay: Overlay) -> str:
    before, after = _effect(old), _effect(new)
    had, has = (old or {}).get("when", ""), (new or {}).get("when", "")
    if before in ("deny", "gate"):
        if _rank(after) < _rank(before):
            return f"no longer a {before}"
        if has and has != had:
            return f"a {after} under another condition"
    if before in ("", "allow", "gate") and after in ("allow", "gate"):
        if not before:
            return f"new: {after}"
        if had and has != had:
            return "under another condition"
    if before == after == "gate" and old is not None and new is not None and old["policy"] != new["policy"]:
        return weaker_policy(old["policy"], new["policy"], overlay)
    return ""


def weaker_policy(old: str, new: str, overlay: Overlay) -> str:
    """What `new` asks less than `old`, in words; "" if it asks as much."""
    # The old one as it stands now: a set that changes it as well is judged by the guards of the policy too.
    stands, would = Overlay().get("ApprovalPolicy", old), overlay.get("ApprovalPolicy", new)
    if stands is None or would is None:
        return f"an approval under {new} instead of {old}"
    why = strictness.weakened(policies.load(stands), policies.load(would))
    return f"an approval under {new}, which {why} than {old}" if why else ""


def _effect(cell: Json | None) -> str:
    return str(cell["effect"]) if cell else ""


def _rank(effect: str) -> int:
    return {"": 0, "allow": 0, "gate": 1, "deny": 2}[effect]
