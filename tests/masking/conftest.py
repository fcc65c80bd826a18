"""The house whose contracts hide fields, with something of every kind on its pages; and who may see them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.core.errors import AegisError
from aegis.core.kinds import document_key
from aegis.identity.models import Area, TakenRight
from aegis.portal.models import SavedView
from approvals import changes, delegations
from approvals.alerts.models import Alert
from orchestration.agents.models import Agent, AgentCredential
from orchestration.agents.protocol import Abstain, Done
from orchestration.engine import verbs
from orchestration.engine.guards import verbs as guards
from orchestration.engine.models import Run
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow
from tests.alerts.found import fire, silence
from tests.engine import house
from tests.masking.canaries import (
    ANSWER,
    CLAIM,
    HEARING,
    IBAN,
    NAME,
    NOTE,
    PAID,
    PARAMETERS,
    SPACED,
    STEPS,
    TABLE,
    answered,
    approve,
    claim,
    complete,
    document_of,
)  # fmt: skip
from tests.pages.conftest import at_desk, clerk, furnish, zoe
from tests.support.following import caught_up

__all__ = ["at_desk", "clerk", "furnish", "zoe"]  # fixtures of the pages' house


@pytest.fixture
def nia(person, zoe):
    """Beside the leads' rights, those of Privacy: may see what is masked."""
    return person("nia", "Support leads", "Privacy")


@pytest.fixture
def sensitive_house(furnish, nia, sam) -> None:
    reveal = {"resource": "customer", "risk": "low", "safety": "idempotent", "handler": "portal.reveal",
              "parameters": {"type": "object", "additionalProperties": False}}  # fmt: skip
    showing = {"people": True, "grants": [{"capability": "customer.reveal", "effect": "allow"}]}
    documents: list[dict[str, Any]] = []
    document_of("Contract", "answer@1", {"schema": ANSWER}, documents)
    document_of("Capability", "customer.reveal", reveal, documents)
    document_of("Role", "Privacy", showing, documents)
    document_of("RoutingTable", "where", TABLE, documents)
    document_of("Contract", "paid@1", {"schema": PAID}, documents)
    documents.append(house.document("Workflow", "paid", HEARING, title="Paid", owner="Support leads"))
    lock = {"capability": "note.write", "policy": "leads", "kind": "law", "basis": "§ 1", "owner": "Support leads"}
    documents.append(house.document("FloorLock", "four-eyes", lock))
    documents.append(house.document("Alert", "silent", {"by": ["agent"], "absence": {"of": {"measure": "answers"}}}))
    furnish(effect="gate", steps=STEPS, capability={"parameters": PARAMETERS}, extra=documents, contract={"schema": CLAIM})


@pytest.fixture
def runs(sensitive_house, zoe, nia) -> dict[str, Run]:
    """One of every way that a payload can come onto a page."""
    replies: dict[str, Any] = {
        "asked": Done(answered("asked"), confidence=0.9, rationale=f"the iban is {SPACED}"),
        "approved": Done(answered("approved"), confidence=0.9, rationale=NOTE),
        "unsure": Done(answered("unsure"), confidence=0.2, rationale=NAME),
        "abstained": Abstain(f"I do not know {NAME}"),
        "crashed": RuntimeError(f"cannot read {IBAN}"),
        "broken": Done({"summary": 3, "ibann": IBAN, "person": NAME, IBAN: 1, "note": {"capability": NAME}}, confidence=0.9),
        "mute": Done({"summary": [IBAN, {"deep": NAME}]}, confidence=0.9),
    }
    found = {}
    for name, reply in replies.items():
        house.answers["write"] = reply
        found[name] = house.submit(zoe, claim(name))
        house.drive(found[name])
    found["heard"] = hear(zoe, nia)
    return found


def hear(zoe: Any, nia: Any) -> Run:
    """A run that got a message, after one that breaks its contract was refused; another message waits for a run."""
    run = verbs.submit("paid", verbs.Submission(claim("heard"), None), person=zoe, actor=house.actor_for(zoe)).run
    house.drive(run)
    for key, payload in (("heard", {"iban": [IBAN]}), ("heard", {"iban": IBAN}), ("nobody", {"iban": IBAN})):
        with suppress(AegisError):
            verbs.send_message("paid", "payment", key, payload, person=nia, actor=house.actor_for(nia))
    house.drive(run)
    return run


@pytest.fixture
def everything(runs, sam, ada, zoe, nia) -> dict[str, Run]:
    """With what people said and did as well: an approval, an effect, a gate about the whole answer, an answered item, a
    workflow with a second version, a delegation and a halt."""
    approve(runs["approved"], sam)
    complete(runs["abstained"], sam)
    changed = house.document("Workflow", "paid", HEARING, title="Paid at last", owner="Support leads")
    changes.propose([(document_key(changed), changed)], author=ada, actor=house.actor_for(ada), reason="A better title")
    releases.release_for(Workflow.objects.get(name="paid"))
    ends_at = clock.now() + timedelta(days=1)
    delegations.delegate(to=nia.pk, starts_at=clock.now(), ends_at=ends_at, actor=house.actor_for(zoe), reason="away")
    guards.halt("workflow", "paid", actor=SYSTEM, reason="stop")
    at, day = clock.now(), timedelta(days=1)
    AgentCredential.objects.create(
        agent=Agent.objects.get(name="clerk"), prefix="given", salt="00", secret_digest="", created_at=at, expires_at=at + day
    )
    TakenRight.objects.create(
        person=ada, area=Area.objects.get(name="workflows"), verb="operate", taken_at=at, ends_at=at + day
    )
    leads = Group.objects.get(name="Support leads")
    SavedView.objects.create(owner=ada, page="runs", name="mine", query="status=failed", group=leads)
    SavedView.objects.create(owner=ada, page="audit", name="news", query="span=all", group=leads)
    alert = Alert.objects.get(name="silent")
    fire(alert, "clerk")
    silence(alert, ada)
    caught_up()
    return runs


@pytest.fixture
def grants_of():
    """Lets a person's groups view every area, the audit too, so that every address has something to show."""
    from django.contrib.auth.models import Group

    from aegis.identity import grants
    from aegis.identity.models import Area

    def give(person: Any) -> None:
        for area in Area.objects.all():
            grants.grant(Group.objects.get(name="Support leads"), area, "view", actor=SYSTEM, reason="test")

    return give
