"""A guard holds on when what it guards is removed; it stays visible, and somebody can end it."""

from __future__ import annotations

import copy

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from aegis.core.actors import SYSTEM
from aegis.core.errors import NotFound
from aegis.core.kinds import document_key
from aegis.identity import grants
from aegis.identity.areas import area
from approvals import changes
from orchestration.engine.guards import standing, verbs
from orchestration.engine.guards.models import Halt
from orchestration.engine.models import Run
from tests.engine import house
from tests.guards import desk

pytestmark = pytest.mark.django_db


def hold_and_remove(zoe, ada, as_ada) -> Run:
    """A run that is held, and the clerk it waits for removed: the workflow asks a scribe by now."""
    run = house.submit(zoe)
    house.drive(run)
    assert run.status == Run.Status.HELD
    found = {document["kind"]: copy.deepcopy(document) for document in desk.documents()}
    clerk, scribe, notes = document_key(found["Agent"]), found["Agent"], found["Workflow"]
    scribe["spec"]["roles"] = []  # a role would ask two others
    scribe["metadata"]["name"] = notes["spec"]["steps"][0]["agent"] = "scribe"
    wanted = [(document_key(scribe), scribe), (document_key(notes), notes), (clerk, None)]
    assert changes.propose(wanted, author=ada, actor=as_ada, reason="another one writes now").status == "applied"
    return run


@pytest.fixture
def halted(notes, ada, as_ada) -> Run:
    verbs.halt("agent", "clerk", actor=as_ada, reason="it writes nonsense")
    return hold_and_remove(notes, ada, as_ada)


def ended(run: Run) -> bool:
    for _ in range(3):
        desk.sweep(run)
    return run.status != Run.Status.HELD


def test_the_halt_of_an_agent_that_is_gone_is_seen_and_resumed(halted, client, ada, as_ada):
    (seen,) = standing.standing(ada).halts
    assert (seen.halt.name, seen.held, seen.is_left_over) == ("clerk", 1, True)
    client.force_login(ada)
    assert reverse("guards:resume", args=[seen.halt.pk]) in client.get(reverse("guards:list")).content.decode()

    verbs.resume(seen.halt.pk, actor=as_ada, reason="nobody is left to be stopped")

    assert ended(halted)


def test_the_breaker_of_an_agent_that_is_gone_is_seen_and_closed(notes, ada, as_ada):
    verbs.open_breaker("agent", "clerk", actor=as_ada, reason="it writes nonsense")
    run = hold_and_remove(notes, ada, as_ada)
    (seen,) = standing.standing(ada).breakers
    assert (seen.key, seen.held, seen.is_left_over) == ("agent:clerk", 1, True)

    verbs.close_breaker("agent", "clerk", actor=as_ada, reason="nobody is left to be asked")

    assert ended(run)


def test_the_system_may_end_it_too(halted):
    verbs.resume(Halt.objects.get().pk, actor=SYSTEM, reason="by hand")

    assert ended(halted)


def test_it_exists_for_nobody_but_those_who_may_halt_everything(halted, quinn, as_actor):
    row = Halt.objects.get()
    assert standing.standing(quinn).halts == ()
    with pytest.raises(NotFound):
        verbs.resume(row.pk, actor=as_actor(quinn), reason="I saw it once")
    with pytest.raises(NotFound):
        verbs.open_breaker("agent", "clerk", actor=as_actor(quinn), reason="I saw it once")

    grants.grant(Group.objects.get(name="Auditors"), area("workflows"), "operate", actor=SYSTEM, reason="watch")

    assert [seen.halt for seen in standing.standing(quinn).halts] == [row]
    verbs.resume(row.pk, actor=as_actor(quinn), reason="mended")
