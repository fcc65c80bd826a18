"""Routing tables; their versions are the DocumentVersions."""

from __future__ import annotations

from approvals.models import Governed


class RoutingTable(Governed):
    """Deterministic rules in DMN words."""

    area = "routing"
