"""The Scope port: every event carries one scope and its id; the scope's owner says which ids a person may see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Q

from aegis.core.visibility import Viewer, remembered

# Returns the ids a person may see, as text; None means every id of the scope.
VisibleIds = Callable[[Viewer], Iterable[str] | None]
# Ids of a scope -> how people call them. One query, however many ids.
NamesOf = Callable[[Collection[str]], Mapping[str, str]]

SCOPES = ("workflow", "agent", "policy", "queue", "access", "system", "alert")

_owners: dict[str, VisibleIds] = {}
_names: dict[str, NamesOf] = {}


def register_scope(name: str, visible_ids: VisibleIds) -> None:
    """Called once at start-up by the app that owns the scope. A missing owner is system check `aegis.E010`."""
    if name not in SCOPES:
        raise ValueError(f"unknown scope {name!r}")
    _owners[name] = visible_ids


def register_names(scope: str, names: NamesOf) -> None:
    """How people call what a scope's ids stand for; registered by its owner. Lists and filters show it."""
    _names[scope] = names


def names_of(scope: str, ids: Collection[str]) -> Mapping[str, str]:
    """Id -> name, for the ids that have one. The caller asks only for ids its reader may see."""
    known = _names.get(scope)
    return known(ids) if known and ids else {}


def missing_scopes() -> list[str]:
    return [name for name in SCOPES if name not in _owners]


@dataclass(frozen=True, slots=True)
class Reach:
    """What one person may see of every scope, asked of its owner once. Good for one request, never kept."""

    ids: Mapping[str, frozenset[str] | None]  # None: every id of the scope

    def condition(self) -> Q:
        """On (`scope`, `scope_id`) columns; nothing for strangers."""
        condition = Q(pk__in=[])
        for name, ids in self.ids.items():
            if ids is None:
                condition |= Q(scope=name)
            elif ids:
                condition |= Q(scope=name, scope_id__in=sorted(ids))
        return condition


def reach(user: Viewer) -> Reach:
    """What `user` may see. The queries of the owners; an owner of two scopes is asked once."""
    return remembered(("reach", user.pk), lambda: _ask_owners(user))


def _ask_owners(user: Viewer) -> Reach:
    if not (user.is_authenticated and user.is_active):
        return Reach({})
    answers = {owner: owner(user) for owner in dict.fromkeys(_owners.values())}
    return Reach({name: None if (ids := answers[owner]) is None else frozenset(ids) for name, owner in _owners.items()})


def scope_filter(user: Viewer) -> Q:
    """The condition on (`scope`, `scope_id`) columns that keeps what `user` may see; nothing for strangers."""
    return reach(user).condition()
