"""A port: what speaks against a person being in these groups together. The rooms above know what groups let people do."""

from __future__ import annotations

from collections.abc import Callable, Collection

from aegis.core.errors import Conflict

#: Group names -> what nobody may hold together, in words; "" if nothing speaks against it.
Against = Callable[[Collection[str]], str]

_asked: list[Against] = []


class NotTogether(Conflict):
    """Refused, because these groups must not come together in one person."""

    code, title = "not_together", "Nobody may hold both"


def register(against: Against) -> None:
    """Called at start-up."""
    if against not in _asked:
        _asked.append(against)


def against(groups: Collection[str]) -> str:
    """The first thing that speaks against it; "" if nothing does. Call it under the authority lock."""
    return next((said for one in _asked if (said := one(groups))), "")
