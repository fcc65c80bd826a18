"""What a person may see of policies, requests and change sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.contrib.auth.models import Group
from django.db.models import Q

from aegis.core.visibility import GrantedQuerySet, Viewer, VisibleQuerySet
from audit.scopes import scope_filter

if TYPE_CHECKING:
    from approvals.models import ApprovalRequest, ChangeSet  # noqa: F401  (named in the bases below)


class GovernedQuerySet(GrantedQuerySet[Any]):
    """Configuration rows: by a grant on the row itself, or on its area (`Model.area`)."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        from aegis.identity.models import Area

        area: str = getattr(self.model, "area", "")
        if area and Area.objects.visible_to(user, action).filter(name=area).exists():
            return self.all()
        return super().visible_to(user, action)


class RequestQuerySet(VisibleQuerySet["ApprovalRequest"]):
    """Visible: who may see the scope it belongs to, who is in a group of its policy, and who asked."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        if not (user.is_authenticated and user.is_active):
            return self.none()
        groups = Group.objects.filter(user=user.pk)
        return self.filter(scope_filter(user) | Q(policy__in=self._policies_of(groups)) | Q(requester=user.pk))

    def _policies_of(self, groups: Any) -> Any:
        from approvals.models import ApprovalPolicy

        return ApprovalPolicy.groups.through.objects.filter(group__in=groups).values("approvalpolicy_id")


class ChangeSetQuerySet(VisibleQuerySet["ChangeSet"]):
    """Visible: the author, and who may view any area (the diff itself is shown per kind the reader may see)."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        from aegis.identity.models import Area

        if not (user.is_authenticated and user.is_active):
            return self.none()
        if Area.objects.visible_to(user, "view").filter(name="audit").exists():
            return self.all()
        return self.filter(author=user.pk)
