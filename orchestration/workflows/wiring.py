"""What the room of workflows registers at start-up."""

from __future__ import annotations

from collections.abc import Collection

from aegis.core.kinds import register_kind
from aegis.core.visibility import Viewer
from audit.scopes import register_names, register_scope


def register() -> None:
    """The kind, and the scope `workflow`. Called from `AppConfig.ready()`."""
    from orchestration.workflows.kind import WorkflowKind

    register_kind(WorkflowKind())
    register_scope("workflow", visible_workflows)
    register_names("workflow", workflow_titles)


def visible_workflows(user: Viewer) -> list[str]:
    """Ids of the workflows whose runs and events a person may see."""
    from orchestration.workflows.models import Workflow

    return [str(pk) for pk in Workflow.objects.visible_to(user).values_list("pk", flat=True)]


def workflow_titles(ids: Collection[str]) -> dict[str, str]:
    """Id -> title, for lists that name the workflow of what they show."""
    from orchestration.workflows.models import Workflow

    rows = Workflow.objects.filter(pk__in=list(ids)).values_list("pk", "title", "name")
    return {str(pk): title or name for pk, title, name in rows}
