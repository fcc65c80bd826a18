"""The small invoice workflow, applied through change control."""

from __future__ import annotations

import copy

import pytest

from aegis.core.kinds import Key
from orchestration.agents import protocol
from orchestration.workflows.models import Workflow
from tests.support.configuration import configured
from tests.workflows.documents import document, invoice_flow, surroundings


@pytest.fixture
def reader(monkeypatch):
    """A callable behind the agent of the documents."""
    monkeypatch.setitem(protocol._registry, "reader", lambda request: protocol.Abstain("test"))


@pytest.fixture
def bootstrapped(reader, person, ada):
    """Everything the invoice workflow names and the workflow itself, applied as the first configuration."""
    person("fred", "Finance")
    person("lea", "Finance leads")
    person("lou", "Finance leads")
    documents = surroundings()
    policy = document(
        "ApprovalPolicy", "config-change", {"stages": [{"groups": ["Finance leads"], "quorum": 2}], "deadline": "1d"}
    )
    workflow = invoice_flow()
    everything = [
        *documents.items(),
        (Key("ApprovalPolicy", "config-change"), policy),
        (Key("Workflow", "invoice-flow"), workflow),
    ]
    configured(copy.deepcopy(everything))
    return Workflow.objects.get(name="invoice-flow")
