"""What the room of workflows registers at start-up."""

from __future__ import annotations

from aegis.core.kinds import register_kind
from aegis.core.visibility import Viewer
from audit.scopes import register_scope


def register() -> None:
    """The kind, and the scope `workflow`. Called from `AppConfig.ready()`."""
    from orchestration.workflows.kind import WorkflowKind

    register_kind(WorkflowKind())
    register_scope("workflow", visible_workflows)


def visible_workflows(user: Viewer) -> list[str]:
    """Ids of the workflows whose runs and events a person may see."""
    from orchestration.workflows.models import Workflow

    return [str(pk) for pk in Workflow.objects.visible_to(user).values_list("pk", flat=True)]
