"""Approvals as the owner of the audit scope `policy`: events of a policy are seen by who may view it."""

from __future__ import annotations

from collections.abc import Iterable

from aegis.core.visibility import Viewer
from approvals.models import ApprovalPolicy

POLICY = "policy"


def visible_policies(user: Viewer) -> Iterable[str]:
    """Ids of the policies `user` may view."""
    return [str(policy_id) for policy_id in ApprovalPolicy.objects.visible_to(user).values_list("pk", flat=True)]
