"""The areas of the portal. Their rows come with the first migrations; nobody adds or removes one while AEGIS runs."""

from __future__ import annotations

from aegis.core.visibility import groups_with
from aegis.identity.models import Area

AREAS = {
    "access": "Access: roles, grants, locks",
    "contracts": "Contracts",
    "routing": "Routing tables",
    "workflows": "Workflows",
    "agents": "Agents",
    "approvals": "Approval policies",
    "queues": "Review queues",
    "people": "People and groups",
    "audit": "Audit",
    "alerts": "Alerts: rules, and what they find",
}


def givers() -> list[str]:
    """Names of the groups that may give rights: they may edit the area "access"."""
    row = Area.objects.filter(name="access").first()
    return groups_with(row, "edit") if row is not None else []


def area(name: str) -> Area:
    """The row of an area.

    Raises:
        Area.DoesNotExist: the migrations have not run.
    """
    return Area.objects.get(name=name)
