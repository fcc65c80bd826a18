"""The one rule of visibility: every list, detail, filter, count, export and endpoint starts from `visible_to`.

Rights are guardian permissions granted to groups only. There is no branch for superusers, and Django's model permissions grant
nothing. A single-object check is the same query with `.exists()`.
"""

from __future__ import annotations

from typing import Any, Self, TypeVar
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group
from django.contrib.contenttypes.models import ContentType
from django.db import models
from guardian.models import GroupObjectPermission

from aegis.core.errors import Forbidden, NotFound

ModelT = TypeVar("ModelT", bound=models.Model, covariant=True)
Viewer = AbstractBaseUser | AnonymousUser


class VisibleQuerySet(models.QuerySet[ModelT]):
    """Base of every queryset that people read. Each model states its rule in `visible_to`."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        """The rows `user` may see (or do `action` on)."""
        raise NotImplementedError

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
            givers = ", ".join(groups_with(row, action)) or "nobody yet; an admin can grant it"
            raise Forbidden(
                f"You can see this {label}, but “{action}” on it is granted to: {givers}", right=action, granted_by=givers
            )
        return row


class GrantedQuerySet(VisibleQuerySet[ModelT]):
    """For models whose own rows carry guardian grants (workflow, agent, queue, policy, area). UUID primary keys."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        return self.filter(pk__in=granted_ids(user, self.model, action))


def granted_ids(user: Viewer, model: type[models.Model], action: str) -> list[UUID]:
    """Ids of `model` on which one of the user's groups holds `action`. One query; governed objects are few (thousands)."""
    if not (user.is_authenticated and user.is_active):
        return []
    meta = model._meta
    rows = GroupObjectPermission.objects.filter(
        group__in=Group.objects.filter(user=user.pk),
        permission__codename=f"{action}_{meta.model_name}",
        content_type=ContentType.objects.get_for_model(model),
    )
    return [UUID(key) for key in rows.values_list("object_pk", flat=True).distinct()]


def groups_with(row: models.Model, action: str) -> list[str]:
    """Names of the groups that hold `action` on a row, for the sentence of a 403."""
    rows = GroupObjectPermission.objects.filter(
        object_pk=str(row.pk),
        permission__codename=f"{action}_{row._meta.model_name}",
        content_type=ContentType.objects.get_for_model(type(row)),
    )
    return sorted(rows.values_list("group__name", flat=True))
