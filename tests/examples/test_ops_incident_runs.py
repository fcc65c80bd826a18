"""ops-incident, run: real logs, a real matrix, a platform beside it. Each way an incident can go, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aegis.core.actors import user_actor
from aegis.portal.demo.examples import EXAMPLES, read_samples
from approvals import changes
from approvals.models import ApprovalRequest
from audit import journal
from audit.models import Event
from examples.ops_incident import alerts, severity
from examples.ops_incident.fleet import FLEET
from orchestration.agents import protocol
from orchestration.engine.models import ReviewItem, Run
from tests.conftest import SHARED
from tests.examples import house
from tests.examples.house import complete, decide, drive, outcome, record

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLE = next(one for one in EXAMPLES if one.workflow == "ops-incident")
SAMPLES = {sample["id"]: sample for sample in read_samples(EXAMPLE.samples)}
PAYMENTS, CHECKOUT, SEARCH, MAIL, CART, REPORTS, LEGACY, HOMEGROWN, TWOFOLD, OVER = (
    f"inc-{301 + index}" for index in range(10)
)


@pytest.fixture(autouse=True)
def _platform_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_EXAMPLES_DIR", str(tmp_path / "outside"))


@pytest.fixture
def intake(person, ada):
    person("nils", "Site reliability")
    house.found("ops_incident")
    return person("intake", "Intake channels")


@pytest.fixture
def nils(intake):
    return type(intake).objects.get(username="nils")


def alert(person, sample, **changed):
    return settled(house.submit("ops-incident", person, {**SAMPLES[sample], **changed}))


def settled(run):
    while run.status == Run.Status.WAITING_RETRY:
        run = drive(run)
    return run


def service(name):
    return FLEET.read()["services"][name]


def types_of(run):
    return list(Event.objects.filter(stream=f"run:{run.pk}").order_by("seq").values_list("type", flat=True))


def test_a_service_of_staging_is_mended_without_anybody(intake):
    run = alert(intake, CART)

    assert outcome(run) == (Run.Status.COMPLETED, "restored")
    incident = record("incident", CART)
    assert (incident["state"], incident["severity"], incident["fixed_by"]) == ("closed", "critical", "service.restart")
    assert service("staging:cart")["trouble"] == ""
    assert not ApprovalRequest.objects.exists()
    assert journal.verify().problems == []


@pytest.mark.parametrize(
    ("sample", "name", "action"),
    [
        (PAYMENTS, "production:payments", "service.rollback"),
        (CHECKOUT, "production:checkout", "service.scale"),
        (SEARCH, "production:search", "service.free-space"),
    ],
)
def test_a_fix_in_production_waits_for_a_person_and_is_then_applied_and_verified(intake, nils, sample, name, action):
    run = alert(intake, sample)
    assert run.status == Run.Status.WAITING_DECISION
    assert house.output(run, "propose")["action"]["capability"] == action
    assert service(name)["revision"] == 1  # nothing was touched

    decide(nils, "approve", "go")

    assert outcome(settled(drive(run))) == (Run.Status.COMPLETED, "restored")
    assert (service(name)["trouble"], record("incident", sample)["state"]) == ("", "closed")


def test_a_no_leaves_the_service_alone_and_the_incident_open(intake, nils):
    run = alert(intake, PAYMENTS)

    decide(nils, "reject", "the release before has a worse fault")

    assert outcome(drive(run)) == (Run.Status.COMPLETED, "declined")
    assert (service("production:payments")["revision"], record("incident", PAYMENTS)["state"]) == (1, "open")


def test_a_fix_that_does_not_help_is_undone_and_the_incident_stays_open(intake, nils):
    run = alert(intake, MAIL)
    decide(nils, "approve", "more of it")

    run = settled(drive(run))

    assert run.status == Run.Status.FAILED
    assert (service("production:mail")["replicas"], service("production:mail")["revision"]) == (2, 3)
    assert record("incident", MAIL)["state"] == "open"
    assert {"run.compensating", "run.compensated"} <= set(types_of(run))
    assert journal.verify().problems == []


def test_an_undo_in_staging_needs_nobody_either(intake):
    assert alert(intake, REPORTS).status == Run.Status.FAILED
    assert service("staging:reports")["revision"] == 3


@pytest.mark.parametrize(("sample", "code"), [(LEGACY, "agent_error"), (HOMEGROWN, "abstained"), (TWOFOLD, "abstained")])
def test_logs_that_are_no_text_and_what_nobody_can_judge_go_to_a_person(intake, sample, code):
    run = alert(intake, sample)

    item = ReviewItem.objects.get()
    assert (run.status, item.code, item.queue.name) == (Run.Status.WAITING_REVIEW, code, "ops-review")


def test_an_alert_about_another_environment_than_its_channel_says_is_not_acted_on(intake):
    run = alert(intake, CHECKOUT, service="staging:checkout")

    assert (run.status, ReviewItem.objects.get().code) == (Run.Status.WAITING_REVIEW, "abstained")
    assert record("incident", CHECKOUT) is None


def test_a_person_answers_for_the_remediator_and_the_boundary_still_holds(intake, nils):
    run = alert(intake, TWOFOLD, service="production:ledger", id="inc-900")
    assert run.status == Run.Status.WAITING_DECISION  # no logs of it: the alert alone speaks

    decide(nils, "reject", "nothing is wrong with it")

    assert outcome(drive(run)) == (Run.Status.COMPLETED, "declined")


def test_two_incidents_of_one_service_take_turns(intake, nils):
    first = alert(intake, PAYMENTS)
    second = alert(intake, PAYMENTS, id="inc-901")
    assert first.status == Run.Status.WAITING_DECISION
    assert "resource.claimed" not in types_of(second)
    assert record("incident", "inc-901") is None

    decide(nils, "approve", "go")
    settled(drive(first))

    assert settled(drive(second)).status == Run.Status.WAITING_DECISION
    assert "resource.claimed" in types_of(second)


@pytest.mark.parametrize("other", ["staging:payments", "staging:cart", "production:ledger"])
def test_a_fix_for_another_service_than_the_one_that_is_held_goes_to_a_person(intake, monkeypatch, other):
    honest = protocol._registry["ops.propose"]

    def dishonest(request):
        output = json.loads(json.dumps(honest(request).output))
        output["action"]["resource"]["id"] = other
        return protocol.Done(output=output, confidence=1.0)

    monkeypatch.setitem(protocol._registry, "ops.propose", dishonest)

    run = alert(intake, PAYMENTS)

    assert (run.status, ReviewItem.objects.get().code) == (Run.Status.WAITING_REVIEW, "no_route")
    assert all(one["revision"] == 1 for one in FLEET.read()["services"].values())


def test_a_service_of_production_cannot_be_reached_under_the_name_of_staging(intake):
    run = alert(intake, PAYMENTS, service="staging:payments")  # this alert names no environment

    assert (run.status, ReviewItem.objects.get().code) == (Run.Status.WAITING_REVIEW, "effect_failed")
    assert service("production:payments")["revision"] == 1


def test_what_must_be_on_record_is_there_before_a_service_is_touched(intake):
    types = types_of(alert(intake, CART))

    assert types.index("resource.claimed") < types.index("effect.intended")


def test_a_fix_waits_for_a_person_where_what_it_requires_is_not_on_record(intake, ada):
    key, workflow = next((key, one) for key, one in house.documents("ops_incident") if str(key) == "Workflow/ops-incident")
    del workflow["spec"]["samples"]
    apply = next(step for step in workflow["spec"]["steps"] if step["id"] == "apply")
    apply["requires"].append("event:gate.settled")  # in staging there is no gate
    changes.propose([(key, workflow)], author=ada, actor=user_actor(ada.pk, auth="session"), reason="ask for more")

    run = alert(intake, CART)

    assert (run.status, ReviewItem.objects.get().code) == (Run.Status.WAITING_REVIEW, "requires")
    assert service("staging:cart")["revision"] == 1


def test_applying_the_manifests_again_changes_nothing(intake):
    assert changes.preview(house.documents("ops_incident"), None).is_empty


@pytest.mark.shared_data
def test_alerts_of_seventeen_products_come_to_one_scale_and_run_to_their_gate(intake, nils):
    rows = [json.loads(line) for line in (SHARED / "ops_alerts" / "alerts.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {}
    for number, row in enumerate(rows):
        incident = alerts.normalise(row["provider"], row["payload"])
        assert isinstance(incident, alerts.Incident), (row["provider"], row["name"], incident)
        # A service of its own for each: they would take turns otherwise. What names no environment counts as production.
        payload = {
            "id": f"shared-{number}",
            "provider": row["provider"],
            "service": f"{incident.environment or 'production'}:{incident.service or 'unnamed'}"[:40] + f"-{number}",
            "alert": row["payload"],
        }
        run = settled(house.submit("ops-incident", intake, payload))
        assert run.status == Run.Status.WAITING_DECISION, (row["provider"], row["name"], run.status)
        found[payload["id"]] = record("incident", payload["id"])["severity"]

    assert (len(rows), len({row["provider"] for row in rows})) == (31, 17)
    assert set(found.values()) <= set(severity.SCALE)
    assert ApprovalRequest.objects.filter(status="open").count() == 31


def test_a_fix_that_a_person_wrote_is_held_to_the_same_service(intake, nils):
    run = alert(intake, TWOFOLD)
    action = {
        "capability": "service.watch",
        "resource": {"type": "service", "id": "staging:cart"},
        "parameters": {"action": "service.watch", "severity": "high", "because": "two causes", "evidence": []},
        "justification": "watch it first",
    }

    complete(nils, output={"action": action})

    assert drive(run).status == Run.Status.WAITING_REVIEW
    assert ReviewItem.objects.get(status="open").code == "no_route"
    assert service("staging:cart")["revision"] == 1
