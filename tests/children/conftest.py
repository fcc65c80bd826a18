from __future__ import annotations

import pytest

from tests.engine import house


@pytest.fixture(autouse=True)
def no_script():
    house.answers.clear()
    yield
    house.answers.clear()


@pytest.fixture
def starter(person, ada):
    """Somebody who may start and operate `notes`: a member of its owner group."""
    return person("zoe", "Support leads")
