"""Who may stop an agent: who operates it or edits its area. Nobody else, superusers included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group

from aegis.core.actors import SYSTEM
from aegis.core.errors import Forbidden, Invalid, NotFound
from aegis.identity import grants
from aegis.identity.models import User
from audit.models import Event
from orchestration.agents import registry
from orchestration.agents.models import Agent
from tests.support import configuration as config

pytestmark = pytest.mark.django_db


@pytest.fixture
def responder(person: Callable[..., User], olivia: User) -> Agent:
    person("lee", "Support leads")
    person("mia", "Support leads")
    config.bootstrap()
    return Agent.objects.get(name="responder")


def stop(agent: Agent, person: User, as_actor: Any) -> bool:
    return registry.set_enabled(agent.pk, False, actor=as_actor(person), reason="it misbehaves")


def test_who_operates_it_may(responder: Agent, sam: User, as_actor: Any):
    for verb in ("view", "operate"):
        grants.grant(Group.objects.get(name="Support leads"), responder, verb, actor=SYSTEM, reason="test")

    assert stop(responder, sam, as_actor)


def test_who_edits_the_area_may(responder: Agent, ada: User, as_actor: Any):
    assert stop(responder, ada, as_actor)


def test_who_only_sees_it_is_told_what_is_missing_and_the_attempt_is_recorded(responder: Agent, quinn: User, as_actor: Any):
    with pytest.raises(Forbidden, match="operate"):
        stop(responder, quinn, as_actor)

    assert Agent.objects.get().is_enabled
    assert Event.objects.filter(type="access.denied", actor_ref=str(quinn.pk)).count() == 1


@pytest.mark.parametrize("who", ["sam", "root", "olivia"])
def test_to_others_it_does_not_exist(responder: Agent, who: str, as_actor: Any, request: pytest.FixtureRequest):
    with pytest.raises(NotFound):
        stop(responder, request.getfixturevalue(who), as_actor)

    assert Agent.objects.get().is_enabled


def test_a_reason_is_asked(responder: Agent, ada: User, as_actor: Any):
    with pytest.raises(Invalid):
        registry.set_enabled(responder.pk, False, actor=as_actor(ada), reason="  ")
