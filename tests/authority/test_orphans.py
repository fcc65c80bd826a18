"""An agent whose owner has left gets no new grants: not through a cell of its role, nor through another role."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aegis.core.actors import SYSTEM
from aegis.identity import people
from aegis.identity.models import User
from tests.support import configuration as config

pytestmark = pytest.mark.django_db

READ = "ticket.read"


@pytest.fixture
def desk(person: Callable[..., User], olivia: User) -> User:
    """olivia owns the agent `responder`, which has the role support-bot."""
    person("lee", "Support leads")
    person("mia", "Support leads")
    config.bootstrap(config.capability(READ))
    return olivia


def gaining() -> dict[str, str]:
    return config.faults(config.role("support-bot", config.grant("allow"), config.grant("allow", READ)))


def test_while_its_owner_is_there_a_role_may_grow(desk: User):
    assert gaining() == {}


def test_once_he_has_left_no_cell_of_its_role_lets_more_through(desk: User):
    people.disable_person(desk.pk, actor=SYSTEM, reason="left")

    assert "responder has this role: it would gain ticket.read" in gaining()["Role/support-bot/spec/grants"]
    assert config.faults(config.role("support-bot", config.grant("deny"))) == {}, "less is always allowed"
    assert config.faults(config.role("other-bot", config.grant("allow", READ))) == {}, "it has not that role"


def test_nor_does_it_gain_a_role(desk: User, person: Callable[..., User]):
    people.disable_person(desk.pk, actor=SYSTEM, reason="left")
    other = config.role("other-bot", config.grant("allow", READ))
    assert "Agent/responder/spec/owner" in config.faults(other, config.agent(roles=["support-bot", "other-bot"]))
    person("otto", "Support operators")
    assert config.faults(other, config.agent(owner="otto", roles=["support-bot", "other-bot"])) == {}
