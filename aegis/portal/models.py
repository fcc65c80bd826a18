"""What the portal keeps of people's own: saved views of lists, and which of them they are told of by mail."""

from __future__ import annotations

import uuid
from typing import ClassVar, Self

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q

from aegis.core.visibility import Viewer, VisibleQuerySet
from aegis.identity.models import User


class SavedViewQuerySet(VisibleQuerySet["SavedView"]):
    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        """One's own and those of one's groups. To change one: its owner; once he is gone, the group it is shared with."""
        if not (user.is_authenticated and user.is_active):
            return self.none()
        in_group = Q(group__in=Group.objects.filter(user=user.pk))
        return self.filter(Q(owner=user.pk) | (in_group if action == "view" else in_group & Q(owner__is_active=False)))


class SavedView(models.Model):
    """A list, narrowed as its owner narrowed it. It is an address and no more: whoever opens it sees what he may see anyway."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="saved_views")
    page = models.CharField(max_length=20)  # key of saved.pages.PAGES
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000)  # as `saved.pages.Page.query_of` writes it
    group = models.ForeignKey(Group, null=True, on_delete=models.SET_NULL, related_name="+")  # null: private

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        verbose_name = "view"
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "page", "name"], name="saved_view_named_once")]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """That a person is told by mail of what is new in a view of the audit. It gives no right: who does not see the view any
    more keeps the row and is told nothing, and nothing of that time later."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    view = models.ForeignKey(SavedView, on_delete=models.CASCADE, related_name="subscriptions")
    told = models.BigIntegerField()  # place in the journal up to which nothing is to be told any more
    told_at = models.DateTimeField()  # when that was
    due_at = models.DateTimeField()  # when a worker looks next: the hour of the person's daily mail

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["person", "view"], name="subscribed_once")]
        indexes: ClassVar = [models.Index(fields=["due_at"], name="subscription_due")]  # saved.telling.write_due


class Telling(models.Model):
    """What one notice covers: the events at places (`after`, `through`]. Written with the notice, which holds its id. What they
    are is read when the mail is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="tellings")
    after = models.BigIntegerField()
    through = models.BigIntegerField()
    since = models.DateTimeField()  # when it was looked before
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()
