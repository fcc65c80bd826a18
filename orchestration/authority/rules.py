"""What the matrix keeps of an approval policy: as much as strictness is judged by (authority.matrix.PolicyRules)."""

from __future__ import annotations

from aegis.core import canonical
from aegis.core.canonical import Json
from approvals import policies, strictness
from approvals.models import ApprovalPolicy


def rules_of(document: Json) -> Json:
    """The rules a policy document states (`strictness.dump`)."""
    return strictness.dump(policies.load(document))


def policy_rules(name: str) -> Json:
    """The rules of the policy that stands under this name.

    Raises:
        ApprovalPolicy.DoesNotExist
    """
    return rules_of(canonical.parse(ApprovalPolicy.objects.get(name=name).document))
