"""Releases: pinned by digest, found cheaply, never anything but what their digest says."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest

from aegis.core import canonical
from aegis.core.errors import IntegrityBroken
from aegis.core.kinds import Key, get_kind
from approvals import changes
from approvals.models import DocumentVersion
from orchestration.contracts.models import Contract
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow, WorkflowRelease
from tests.workflows.documents import invoice_flow, steps_of

pytestmark = pytest.mark.django_db
WORKFLOW = Key("Workflow", "invoice-flow")


def test_a_release_pins_contracts_tables_and_agents(bootstrapped):
    row = releases.release_for(bootstrapped)
    release = releases.load(row.pk)

    assert set(release.pins) == {"Contract/invoice@1", "Contract/change@1", "RoutingTable/risk", "Agent/reader"}
    assert release.digest == canonical.digest(row.document.encode())
    assert release.workflow_id == bootstrapped.pk
    assert release.contracts["invoice@1"].accepts({"id": "1", "text": "", "amount": 3})
    assert release.tables["risk"].cases == {"low", "high", "unknown"}
    agent = release.agents["reader"]
    assert (agent.connector, agent.callable, agent.roles) == ("python", "reader", ("clerk",))
    assert agent.digest == release.pins["Agent/reader"]


def test_asking_again_gives_the_same_release_in_two_queries(bootstrapped, django_assert_num_queries):
    first = releases.release_for(bootstrapped)

    with django_assert_num_queries(2):
        again = releases.release_for(bootstrapped)

    assert again.pk == first.pk


def test_loading_costs_nothing_once_it_was_seen(bootstrapped, django_assert_num_queries):
    row = releases.release_for(bootstrapped)
    first = releases.load(row.pk)

    with django_assert_num_queries(0):
        assert releases.load(row.pk) is first


def test_a_changed_agent_gives_a_new_release_and_the_old_one_stays(bootstrapped, ada, as_actor):
    before = releases.release_for(bootstrapped)
    old = releases.load(before.pk)
    agent = copy.deepcopy(get_kind("Agent").dump("reader"))
    agent["spec"]["settings"] = {"model": "other"}
    changes.propose([(Key("Agent", "reader"), agent)], author=ada, actor=as_actor(ada), reason="Another model")

    after = releases.release_for(bootstrapped)
    releases._releases.__init__()

    assert after.pk != before.pk
    assert after.version == before.version
    assert releases.load(after.pk).agents["reader"].settings == {"model": "other"}
    assert releases.load(before.pk).agents["reader"].settings == old.agents["reader"].settings == {}


def test_a_changed_workflow_gives_the_next_version(bootstrapped, ada, as_actor):
    before = releases.release_for(bootstrapped)
    new = invoice_flow()
    steps_of(new)["extract"]["timeout"] = "10s"
    changes.propose([(WORKFLOW, new)], author=ada, actor=as_actor(ada), reason="Faster")

    after = releases.release_for(Workflow.objects.get(pk=bootstrapped.pk))

    assert (before.version, after.version) == (1, 2)


def test_a_document_applied_again_finds_its_old_release(bootstrapped, ada, as_actor):
    before = releases.release_for(bootstrapped)
    new = invoice_flow()
    steps_of(new)["extract"]["timeout"] = "10s"
    changes.propose([(WORKFLOW, new)], author=ada, actor=as_actor(ada), reason="Faster")
    changes.propose([(WORKFLOW, invoice_flow())], author=ada, actor=as_actor(ada), reason="Back again")

    assert releases.release_for(Workflow.objects.get(pk=bootstrapped.pk)).pk == before.pk


def test_a_release_whose_text_was_altered_is_refused(bootstrapped):
    row = releases.release_for(bootstrapped)
    WorkflowRelease.objects.filter(pk=row.pk).update(document=row.document.replace("reader", "writer"))

    with pytest.raises(IntegrityBroken):
        releases.load(row.pk)


def test_a_pinned_document_that_was_altered_is_refused(bootstrapped):
    """The versions are append-only by trigger; should somebody get past it, the digest still tells."""
    row = releases.release_for(bootstrapped)
    version = DocumentVersion.objects.get(kind="Contract", name="change@1")
    forged = version.document.replace("typo", "fake")

    with pytest.raises(IntegrityBroken, match=r"change@1"):
        releases._checked(version.kind, version.name, version.number, version.digest, forged)
    assert releases.load(row.pk)


def test_a_contract_that_is_gone_stops_new_runs_and_says_which(bootstrapped):
    Contract.objects.filter(name="change@1").delete()

    with pytest.raises(releases.NotReleasable, match="Contract change@1"):
        releases.release_for(bootstrapped)


def test_many_threads_share_one_compiled_release(bootstrapped):
    row = releases.release_for(bootstrapped)
    release = releases.load(row.pk)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: releases.load(row.pk), range(64)))

    assert all(one is release for one in found)


def test_the_cache_forgets_the_oldest():
    cache = releases._Cache()
    for number in range(releases.MAX_CACHED + 1):
        cache.put(number, str(number))

    assert cache.get(0) is None
    assert cache.get(releases.MAX_CACHED) == str(releases.MAX_CACHED)
