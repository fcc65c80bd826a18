"""The small configuration, applied, with people who may do different things."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group

from aegis.core.actors import SYSTEM
from aegis.identity import grants
from aegis.identity.models import User
from approvals.models import ChangeSet
from tests.portal.documents import everything, keyed
from tests.support import configuration


@pytest.fixture
def configured(ada: User, sam: User) -> ChangeSet:
    """Every kind has a document; ada edits, sam leads."""
    return configuration.configured(keyed(everything()))


@pytest.fixture
def may() -> Callable[[User, Any, str], None]:
    """Grant a verb on one row to the first group of a person: `may(olivia, agent, "view")`."""

    def give(person: User, row: Any, verb: str) -> None:
        group = Group.objects.filter(user=person).first()
        assert group is not None
        grants.grant(group, row, verb, actor=SYSTEM, reason="test")

    return give
