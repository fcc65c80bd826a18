"""Registered agents: principals beside people, and the secrets that calls to them are signed with."""

from __future__ import annotations

import uuid
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


class AgentCredential(models.Model):
    """A signing secret of one agent. The secret itself is nowhere: `salt` makes it again together with the installation's own
    secret, which is no part of the database, and `secret_digest` says whether what was made is the right one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="credentials")
    prefix = models.CharField(max_length=12, unique=True)  # names it on pages and in the journal; not secret
    salt = models.CharField(max_length=64)  # hex of 32 random bytes
    secret_digest = models.CharField(max_length=64)  # hex sha256 of the secret's bytes
    issued_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")  # null: SYSTEM
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()  # moved back by the one that takes its place
    revoked_at = models.DateTimeField(null=True)
    last_used_on = models.DateField(null=True)

    class Meta:
        default_permissions = ()
        indexes: ClassVar = [
            models.Index(  # agents.credentials.keys_of, for every wave of calls over HTTP
                fields=["agent", "expires_at"], condition=models.Q(revoked_at__isnull=True), name="credential_live"
            ),
        ]
