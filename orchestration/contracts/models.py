"""Contracts: one row per version ("classification@1"); a version never changes."""

from __future__ import annotations

from approvals.models import Governed


class Contract(Governed):
    """JSON Schema 2020-12 of a message. `name` is "<message>@<version>"."""

    area = "contracts"
