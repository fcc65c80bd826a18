"""Nora, who may take rights in an emergency."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group

from aegis.core.actors import SYSTEM
from aegis.identity import grants
from aegis.identity.models import Area, User
from tests.support import copies


@pytest.fixture
def nora(person: Callable[..., User]) -> User:
    """On call: may see and break into workflows and approvals, and nothing else."""

    def rights() -> None:
        group = Group.objects.get(name="On call")
        for name in ("workflows", "approvals", "access"):
            grants.grant(group, Area.objects.get(name=name), "break", actor=SYSTEM, reason="test")
        grants.grant(group, Area.objects.get(name="workflows"), "view", actor=SYSTEM, reason="test")

    user = person("nora", "On call")
    copies.made("the rights of nora", rights)
    return user
