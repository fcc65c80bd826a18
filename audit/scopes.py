"""The Scope port: every event carries one scope and its id; the scope's owner says which ids a person may see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from django.db.models import Q

from aegis.core.visibility import Viewer

# Returns the ids a person may see, as text; None means every id of the scope.
VisibleIds = Callable[[Viewer], Iterable[str] | None]
# Ids of a scope -> how people call them. One query, however many ids.
NamesOf = Callable[[Collection[str]], Mapping[str, str]]

SCOPES = ("workflow", "agent", "policy", "queue", "access", "system")

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


def visible_ids(user: Viewer, scope: str) -> list[str] | None:
    """The ids of one scope that `user` may see; None means all of them."""
    if scope not in _owners or not (user.is_authenticated and user.is_active):
        return []
    ids = _owners[scope](user)
    return None if ids is None else list(ids)


def scope_filter(user: Viewer) -> Q:
    """The condition on (`scope`, `scope_id`) columns that keeps what `user` may see; nothing for strangers."""
    condition = Q(pk__in=[])
    if not (user.is_authenticated and user.is_active):
        return condition
    answers = {owner: owner(user) for owner in set(_owners.values())}  # an owner of two scopes is asked once
    for name, owner in _owners.items():
        ids = answers[owner]
        if ids is None:
            condition |= Q(scope=name)
        elif found := list(ids):
            condition |= Q(scope=name, scope_id__in=found)
    return condition
