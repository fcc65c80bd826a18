"""The one rule of visibility: every list, detail, filter, count, export and endpoint starts from `visible_to`.

Rights are guardian permissions granted to groups only. There is no branch for superusers, and Django's model permissions grant
nothing. A single-object check is the same query with `.exists()`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeVar
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group
from django.contrib.contenttypes.models import ContentType
from django.db import models
from guardian.models import GroupObjectPermission

from aegis.core.errors import Forbidden, NotFound

ModelT = TypeVar("ModelT", bound=models.Model, covariant=True)
Viewer = AbstractBaseUser | AnonymousUser
Known = TypeVar("Known")

#: (user, model, action) -> ids of rows on which a person holds a right for a time, beside those of his groups.
Taken = Callable[["Viewer", type[models.Model], str], list[UUID]]

_taken: Taken = lambda user, model, action: []  # noqa: E731  (replaced at start-up)
_memory: ContextVar[dict[Hashable, Any] | None] = ContextVar("aegis_one_look", default=None)


def register_taken(taken: Taken) -> None:
    """Tell who holds rights for a time. Called once at start-up by the app that keeps them."""
    global _taken
    _taken = taken


@contextmanager
def one_look() -> Iterator[None]:
    """Inside, what a person may see is read once and remembered. For views that only read, one per request.

    A page asks the same rule for its list, its counts, its filters and the sidebar. Verbs never run inside: they ask anew,
    under the lock.
    """
    token = _memory.set({})
    try:
        yield
    finally:
        _memory.reset(token)


def remembered(key: Hashable, compute: Callable[[], Known]) -> Known:
    """What `compute` gives; inside `one_look` computed once per key, which names the person."""
    memory = _memory.get()
    if memory is None:
        return compute()
    if key not in memory:
        memory[key] = compute()
    found: Known = memory[key]
    return found


class VisibleQuerySet(models.QuerySet[ModelT]):
    """Base of every queryset that people read. Each model states its rule in `visible_to`."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        """The rows `user` may see (or do `action` on)."""
        raise NotImplementedError

    def granting(self, row: models.Model) -> models.Model:
        """The row whose grants decide about `row`: itself, unless the model is seen through another (a run: its workflow)."""
        return row

    def get_visible(self, user: Viewer, action: str = "view", **lookup: Any) -> ModelT:
        """One row.

        Raises:
            NotFound: unknown or not visible: one answer for both.
            Forbidden: visible, but `action` is not granted.
        """
        row = self.visible_to(user, "view").filter(**lookup).first()
        if row is None:
            raise NotFound
        if action != "view" and not self.visible_to(user, action).filter(pk=row.pk).exists():
            label = row._meta.verbose_name
            givers = ", ".join(groups_with(self.granting(row), action)) or "nobody yet; an admin can grant it"
            raise Forbidden(
                f"You can see this {label}, but “{action}” on it is granted to: {givers}", right=action, granted_by=givers
            )
        return row


class GrantedQuerySet(VisibleQuerySet[ModelT]):
    """For models whose own rows carry guardian grants (workflow, agent, queue, policy, area). UUID primary keys."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        return self.filter(pk__in=granted_ids(user, self.model, action))


def granted_ids(user: Viewer, model: type[models.Model], action: str) -> list[UUID]:
    """Ids of `model` on which one of the user's groups holds `action`, or he himself for a time. One query; governed objects
    are few (thousands)."""
    if not (user.is_authenticated and user.is_active):
        return []
    taken = remembered(("taken", user.pk, model, action), lambda: _taken(user, model, action))
    return [*granted_to_groups(user, model, action), *taken]


def granted_to_groups(user: Viewer, model: type[models.Model], action: str) -> list[UUID]:
    """As `granted_ids`, without what was taken for a time. Does not ask whether the person is active."""
    codename = f"{action}_{model._meta.model_name}"
    kind = ContentType.objects.get_for_model(model)
    if _memory.get() is None:
        return _grants(user, permission__codename=codename, content_type=kind).get((kind.pk, codename), [])
    everything = remembered(("grants", user.pk), lambda: _grants(user))  # one query for a whole page
    return everything.get((kind.pk, codename), [])


def _grants(user: Viewer, **narrowed: Any) -> dict[tuple[int, str], list[UUID]]:
    """(content type, codename) -> ids on which one of the user's groups holds it. One query."""
    rows = GroupObjectPermission.objects.filter(group__in=Group.objects.filter(user=user.pk), **narrowed)
    found: dict[tuple[int, str], list[UUID]] = {}
    for kind, codename, key in rows.values_list("content_type_id", "permission__codename", "object_pk").distinct():
        found.setdefault((kind, codename), []).append(UUID(key))
    return found


def groups_with(row: models.Model, action: str) -> list[str]:
    """Names of the groups that hold `action` on a row, for the sentence of a 403."""
    rows = GroupObjectPermission.objects.filter(
        object_pk=str(row.pk),
        permission__codename=f"{action}_{row._meta.model_name}",
        content_type=ContentType.objects.get_for_model(type(row)),
    )
    return sorted(rows.values_list("group__name", flat=True))
