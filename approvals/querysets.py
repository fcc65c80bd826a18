"""What a person may see of policies, requests and change sets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.contrib.auth.models import Group
from django.db.models import Q

from aegis.core.visibility import GrantedQuerySet, Viewer, VisibleQuerySet, remembered
from audit.scopes import scope_filter

if TYPE_CHECKING:
    from approvals.models import ApprovalRequest, ChangeSet  # noqa: F401  (named in the bases below)


class GovernedQuerySet(GrantedQuerySet[Any]):
    """Configuration rows: by a grant on the row itself, or on its area (`Model.area`)."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        from aegis.identity.models import Area

        area: str = getattr(self.model, "area", "")
        if area and area in remembered(
            ("areas", action, user.pk), lambda: frozenset(Area.objects.visible_to(user, action).values_list("name", flat=True))
        ):
            return self.all()
        return super().visible_to(user, action)


class RequestQuerySet(VisibleQuerySet["ApprovalRequest"]):
    """Visible: who may see the scope it belongs to, who is in a group of its policy, and who asked."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        if not (user.is_authenticated and user.is_active):
            return self.none()
        groups = Group.objects.filter(user=user.pk)
        return self.filter(scope_filter(user) | Q(policy__in=self._policies_of(groups)) | Q(requester=user.pk))

    def awaiting(self, user: Viewer, now: datetime) -> Self:
        """Open requests whose stage now voting `user` may decide: the inbox and the count on the navigation.

        In a group of that stage, not bound when it opened, no vote yet, not past its deadline. `gates.decide` asks all of it
        again. Three queries beside the list; policies are few.
        """
        from approvals.models import Decision

        if not (user.is_authenticated and user.is_active):
            return self.none()
        stages = remembered(("stages", user.pk), lambda: _stages_of(user))
        voted = Decision.objects.filter(person=user.pk, is_void=False).values("request_id")
        rows = self.filter(stages, status="open", deadline__gt=now).exclude(pk__in=voted)
        return rows.exclude(bound=user.pk).exclude(requester=user.pk)

    def _policies_of(self, groups: Any) -> Any:
        from approvals.models import ApprovalPolicy

        return ApprovalPolicy.groups.through.objects.filter(group__in=groups).values("approvalpolicy_id")


def _stages_of(user: Viewer) -> Q:
    """The (policy, stage) pairs in which one of the user's groups votes. Two queries."""
    from approvals import policies
    from approvals.models import ApprovalPolicy

    mine = set(Group.objects.filter(user=user.pk).values_list("name", flat=True))
    stages = Q(pk__in=[])
    for policy_id, text in ApprovalPolicy.objects.filter(groups__name__in=mine).distinct().values_list("pk", "document"):
        for index, stage in enumerate(policies.load_text(text).stages):
            if mine.intersection(stage.groups):
                stages |= Q(policy=policy_id, stage=index)
    return stages


class ChangeSetQuerySet(VisibleQuerySet["ChangeSet"]):
    """Visible: the author, and who may view any area (the diff itself is shown per kind the reader may see)."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        from aegis.identity.models import Area

        if not (user.is_authenticated and user.is_active):
            return self.none()
        if Area.objects.visible_to(user, "view").filter(name="audit").exists():
            return self.all()
        return self.filter(author=user.pk)
