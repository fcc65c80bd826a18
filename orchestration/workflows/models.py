"""Workflows and their releases."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.models import Group
from django.db import models

from approvals.models import Governed


class Workflow(Governed):
    """An editable definition; applying it through change control publishes the next version."""

    area = "workflows"

    owner = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="+")
    retired_versions = models.JSONField(default=list)  # no new run starts on these (engine.retiring)

    class Meta(Governed.Meta):
        permissions: ClassVar = [
            ("view_workflow", "May see its runs"),
            ("start_workflow", "May start runs"),
            ("operate_workflow", "May cancel and retry runs"),
            ("edit_workflow", "May propose changes"),
        ]


class WorkflowRelease(models.Model):
    """A workflow version with everything it pins by digest: contracts, routing tables, agent versions (DESIGN promise 10)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="releases")
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, unique=True)  # hex sha256 of `document`
    document = models.TextField()  # canonical JSON {"workflow": doc, "pins": {"Contract/x@1": digest, ...}}
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
