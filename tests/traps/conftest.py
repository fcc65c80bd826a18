"""The house of the permission matrix, and somebody of the small configuration who may see all of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from aegis.identity.models import User
from tests.permissions.conftest import matrix
from tests.portal.conftest import configured

__all__ = ["configured", "matrix"]


@pytest.fixture
def admin_of_all(configured: object, ada: User, browser_of: Callable[..., Client]) -> Client:
    return browser_of(ada)
