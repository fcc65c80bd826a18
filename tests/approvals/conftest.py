"""The people who may answer, and the policy they are asked under."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aegis.identity.models import User
from approvals import changes
from approvals.models import ApprovalPolicy
from tests.approvals.house import policy_document, store_policy


@pytest.fixture
def no_foreign_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applied changes tell nobody: the matrix has nothing to compile here."""
    monkeypatch.setattr(changes, "_hooks", [])


@pytest.fixture
def lead(person: Callable[..., User]) -> User:
    return person("lea", "Leads")


@pytest.fixture
def second_lead(person: Callable[..., User]) -> User:
    return person("leo", "Leads")


@pytest.fixture
def policy(lead: User) -> ApprovalPolicy:
    """One of Leads, within an hour."""
    return store_policy(policy_document())
