"""What a document or a call names is resolved with the rights of whoever wrote it (HAZARDS 4, S05)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from aegis.core.actors import SYSTEM
from aegis.core.errors import Forbidden
from aegis.core.kinds import document_key
from aegis.identity import grants
from approvals import changes
from approvals.models import ChangeSet
from orchestration.workflows.models import Workflow
from tests.children.house import ask, documents
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

HELPER = {"input": "request@1", "output": {"contract": "anything@1", "value": "steps.h.output"}, "steps": [ask("h")]}
RUN = {"id": "before", "run": "helper", "input": {"id": "'h-' + input.id"}}


@pytest.fixture
def zoe(person: Any) -> Any:
    """May edit `notes`, in a group of her own."""
    return person("zoe", "Desk")


def furnish(*steps: dict[str, Any]) -> None:
    house.bootstrap(documents(*steps, others={"helper": HELPER}))
    for verb in ("view", "edit"):
        allow("notes", verb)


def allow(workflow: str, verb: str) -> None:
    desk, row = Group.objects.get(name="Desk"), Workflow.objects.get(name=workflow)
    grants.grant(desk, row, verb, actor=SYSTEM, reason="test")


def publish(author: Any, *steps: dict[str, Any], title: str = "Changed") -> ChangeSet:
    (notes,) = (one for one in documents(*steps) if (one["kind"], one["metadata"]["name"]) == ("Workflow", "notes"))
    notes["metadata"]["title"] = title
    actor = house.actor_for(author)
    return changes.propose([(document_key(notes), notes)], author=author, actor=actor, reason="test")


@pytest.mark.parametrize("verb", ["", "view", "operate"])
def test_a_workflow_runs_no_other_that_its_author_may_not_start(ada: Any, zoe: Any, verb: str) -> None:
    furnish(ask("first"))
    if verb:
        allow("helper", verb)

    with pytest.raises(Forbidden, match=r"start.*Support leads"):
        publish(zoe, RUN)

    assert "helper" not in str(Workflow.objects.get(name="notes").document)


def test_nor_inside_a_block(ada: Any, zoe: Any) -> None:
    furnish(ask("first"))
    with pytest.raises(Forbidden, match="start"):
        publish(zoe, {"id": "each", "map": "[1]", "steps": [RUN], "output": "steps.before.output"})


def test_whoever_may_start_it_may_run_it(ada: Any, zoe: Any) -> None:
    furnish(ask("first"))
    allow("helper", "start")
    assert publish(zoe, RUN).status == ChangeSet.Status.APPLIED


def test_what_it_ran_already_stays_when_something_else_is_changed(ada: Any, zoe: Any) -> None:
    furnish(RUN)
    assert publish(zoe, RUN, title="Another title").status == ChangeSet.Status.APPLIED
