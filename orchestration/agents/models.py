"""Registered agents: principals beside people."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from aegis.identity.models import User
from approvals.models import Governed


class Agent(Governed):
    """A worker with an identity, one person as owner, roles and a connector. Its versions are the DocumentVersions.

    `is_enabled` is no part of the document: applying a manifest must not wake an agent that somebody stopped.
    """

    area = "agents"

    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="owned_agents")
    is_enabled = models.BooleanField(default=True)

    class Meta(Governed.Meta):
        permissions: ClassVar = [
            ("view_agent", "May read"),
            ("operate_agent", "May disable and enable"),
            ("edit_agent", "May propose changes"),
        ]
