"""A port: what speaks against a person being in these groups together, or against his leaving one by himself. The rooms above
know what groups let people do, and keep them from."""

from __future__ import annotations

from collections.abc import Callable, Collection

from aegis.core.errors import Conflict

#: Group names -> what nobody may hold together, in words; "" if nothing speaks against it.
Against = Callable[[Collection[str]], str]

#: Group name, all groups of the person -> what would no longer hold him back if he left it, in words; "" if nothing.
Shed = Callable[[str, Collection[str]], str]

_asked: list[Against] = []
_asked_leaving: list[Shed] = []


class NotTogether(Conflict):
    """Refused, because these groups must not come together in one person."""

    code, title = "not_together", "Nobody may hold both"


def register(against: Against) -> None:
    """Called at start-up."""
    if against not in _asked:
        _asked.append(against)


def register_shed(shed: Shed) -> None:
    """Called at start-up."""
    if shed not in _asked_leaving:
        _asked_leaving.append(shed)


def against(groups: Collection[str]) -> str:
    """The first thing that speaks against it; "" if nothing does. Call it under the authority lock."""
    return next((said for one in _asked if (said := one(groups))), "")


def shed(group: str, groups: Collection[str]) -> str:
    """The first thing that leaving `group`, one of his `groups`, would rid a person of; "" if nothing. Call it under the
    authority lock."""
    return next((said for one in _asked_leaving if (said := one(group, groups))), "")
