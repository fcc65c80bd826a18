"""The house of masking, for tests of single refusals; and that of the matrix, built once and rolled back after each cell."""

from __future__ import annotations

import pytest

from tests.masking.conftest import at_desk, clerk, furnish, nia, sensitive_house, zoe
from tests.oracles.visibility_oracle import load
from tests.permissions.matrix import Matrix

__all__ = ["at_desk", "clerk", "furnish", "nia", "sensitive_house", "zoe"]


@pytest.fixture
def matrix(db: None) -> Matrix:
    return Matrix(load())
