"""What a person may see of runs and review items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from django.contrib.auth.models import Group
from django.db.models import Exists, Model, OuterRef, Q

from aegis.core.visibility import Viewer, VisibleQuerySet

if TYPE_CHECKING:
    from orchestration.engine.models import ReviewItem, Run  # noqa: F401  (the base classes name them as text)


class RunQuerySet(VisibleQuerySet["Run"]):
    """By the workflow: who may `view` (or `operate`, ...) it, may its runs."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        from orchestration.workflows.models import Workflow

        return self.filter(workflow__in=Workflow.objects.visible_to(user, action))

    def granting(self, row: Any) -> Model:
        return cast(Model, row.workflow)


class ReviewItemQuerySet(VisibleQuerySet["ReviewItem"]):
    """By the queue; who works on an item that asks for a skill is also in a group that has it there."""

    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        from orchestration.engine.models import QueueSkill, ReviewQueue

        rows = self.filter(queue__in=ReviewQueue.objects.visible_to(user, action))
        if action == "view":
            return rows
        skilled = QueueSkill.objects.filter(
            queue=OuterRef("queue"), name=OuterRef("skill"), group__in=Group.objects.filter(user=user.pk)
        )
        return rows.filter(Q(skill="") | Exists(skilled))

    def granting(self, row: Any) -> Model:
        return cast(Model, row.queue)
