"""The page of one request: what is shown, who may act, and every way a decision is refused without losing what was typed."""

from __future__ import annotations

import re
import uuid

import pytest

from approvals import gates
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from orchestration.agents.protocol import Done
from orchestration.engine.models import Run
from orchestration.records.models import Record
from tests.engine import house
from tests.pages.conftest import ask, ask_many, text_of

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def url_of(request: ApprovalRequest, rest: str = "") -> str:
    return f"/approvals/{request.pk}/{rest}"


def decision(request: ApprovalRequest, verdict: str = "approve", **rest: str) -> dict[str, str]:
    return {"verdict": verdict, "reason": "it matches the ticket", "seen_digest": request.digest, **rest}


def votes(request: ApprovalRequest) -> int:
    return Decision.objects.filter(request=request, is_void=False).count()


def test_the_page_says_everything_in_the_order_of_the_screen(waiting, sam, at_desk):
    page = text_of(at_desk(sam).get(url_of(waiting)))
    page = page[page.index('id="question"') :]

    places = [
        page.index(said)
        for said in (
            "note N-1?", "Proposed change", "Exact parameters and digest", f"sha256:{waiting.digest}",
            "Who proposed it, and why", "the customer asked for it", "Evidence", "Output of write", "Policy",
            "It never approves by itself.", "Decisions so far", "Nobody has decided yet", "You can decide this",
            'data-act="approve"', 'data-act="reject"',
        )
    ]  # fmt: skip
    assert places == sorted(places)


def test_the_change_is_shown_field_by_field_against_the_record(waiting, sam, at_desk):
    rows = at_desk(sam).get(url_of(waiting)).context["detail"].diff.rows

    assert [(row.label, row.kind, row.proposed[0].text) for row in rows] == [("Text", "added", "hello")]


def test_approve_and_reject_carry_equal_weight_and_what_nobody_could_do_is_not_drawn(waiting, sam, at_desk):
    page = text_of(at_desk(sam).get(url_of(waiting)))

    assert re.findall(r'data-act="(\w+)"', page) == ["approve", "reject", "edit"]
    assert "Delegate" not in page
    assert "Escalate" not in page


def test_approving_records_the_vote_and_the_run_goes_on(waiting, sam, at_desk):
    response = at_desk(sam).post(url_of(waiting, "decide/"), decision(waiting), follow=True)

    assert "Approved: " in text_of(response)
    assert votes(waiting) == 1
    run = Run.objects.get(pk=waiting.run_id)
    house.drive(run)
    assert run.status == Run.Status.COMPLETED


def test_a_decision_is_a_post_with_a_token(waiting, sam, browser_of):
    strict = browser_of(sam, enforce_csrf_checks=True)

    assert strict.get(url_of(waiting, "decide/")).status_code == 405
    assert strict.post(url_of(waiting, "decide/"), decision(waiting)).status_code == 403
    assert votes(waiting) == 0


def test_looking_changes_nothing(waiting, sam, at_desk):
    client = at_desk(sam)
    for url in (url_of(waiting), url_of(waiting, "?form=approve"), url_of(waiting, "pulse/"), url_of(waiting, "?part=pane")):
        assert client.get(url).status_code == 200

    waiting.refresh_from_db()
    assert (waiting.seq, waiting.status) == (1, "open")


def test_unknown_and_hidden_are_the_same_404(waiting, mallory, at_desk):
    client = at_desk(mallory)

    hidden, unknown = client.get(url_of(waiting)), client.get(f"/approvals/{uuid.uuid4()}/")

    assert hidden.status_code == unknown.status_code == 404
    assert hidden.content == unknown.content
    assert client.post(url_of(waiting, "decide/"), decision(waiting)).status_code == 404


def test_the_starter_reads_why_not_and_has_no_buttons(waiting, zoe, at_desk):
    client = at_desk(zoe)
    page = text_of(client.get(url_of(waiting)))

    assert "You cannot decide this: you started the run" in page
    assert "data-act" not in page
    refused = client.post(url_of(waiting, "decide/"), decision(waiting))
    assert refused.status_code == 403
    assert "You cannot decide this" in text_of(refused)
    assert "it matches the ticket" in text_of(refused)
    assert votes(waiting) == 0


def test_without_javascript_the_form_is_a_page(waiting, sam, at_desk):
    page = text_of(at_desk(sam).get(url_of(waiting), {"form": "reject"}))

    shown = re.search(r'<form class="ib-form" id="form-reject"[^>]*>', page)
    assert shown is not None
    assert " hidden" not in shown.group()
    assert " hidden" in re.search(r'<form class="ib-form" id="form-approve"[^>]*>', page).group()


def test_a_missing_reason_is_said_at_the_field_and_the_form_stays_open(waiting, sam, at_desk):
    response = at_desk(sam).post(url_of(waiting, "decide/"), decision(waiting, "reject", reason="  "))

    assert response.status_code == 422
    assert response.context["form"] == "reject"
    assert "It is empty" in text_of(response)
    assert votes(waiting) == 0


def test_a_reason_that_cannot_be_kept_comes_back(waiting, sam, at_desk):
    long = "x" * 2_001

    response = at_desk(sam).post(url_of(waiting, "decide/"), decision(waiting, reason=long))

    assert response.status_code == 422
    assert long in response.content.decode()


def test_when_somebody_was_faster_it_says_who_when_what_and_offers_the_reason_back(waiting, sam, person, at_desk):
    late = person("lea", "Support leads")
    gates.decide(waiting.pk, person=sam, auth="test", verdict="reject", reason="wrong customer", seen_digest=waiting.digest)

    response = at_desk(late).post(url_of(waiting, "decide/"), decision(waiting, reason="my half hour of thought"))

    page = text_of(response)
    assert response.status_code == 409
    assert "Sam rejected this at" in page
    assert "wrong customer" in page
    assert "What you had typed" in page
    assert "my half hour of thought" in page
    assert "data-act" not in page


def test_a_record_that_moved_disables_approve_and_says_so(waiting, sam, at_desk):
    Record.objects.create(type="note", key="N-1", version=3, body='{"text":"older"}', updated_at=waiting.opened_at)
    client = at_desk(sam)

    page = text_of(client.get(url_of(waiting)))
    refused = client.post(url_of(waiting, "decide/"), decision(waiting))

    assert "changed after the proposal" in page
    assert 'data-act="approve"' not in page
    assert 'data-act="reject"' in page
    assert refused.status_code == 409
    assert votes(waiting) == 0


def test_a_policy_that_moved_is_stale_too(waiting, sam, at_desk):
    policy = ApprovalPolicy.objects.get(name="leads")
    ApprovalPolicy.objects.filter(pk=policy.pk).update(document=policy.document.replace('"1h"', '"2h"'), digest="0" * 64)

    page = text_of(at_desk(sam).get(url_of(waiting)))

    assert "The policy changed after this was asked" in page
    assert 'data-act="approve"' not in page


def test_a_digest_that_was_not_shown_decides_nothing(waiting, sam, at_desk):
    response = at_desk(sam).post(url_of(waiting, "decide/"), decision(waiting, seen_digest="0" * 64))

    assert response.status_code == 409
    assert "it matches the ticket" in text_of(response)
    assert votes(waiting) == 0


@pytest.mark.parametrize("typed", ["", "note", "note N-2"])
def test_a_high_risk_asks_for_its_subject_on_the_server_too(furnish, zoe, sam, at_desk, typed):
    furnish(capability={"risk": "high"})
    request = ask(zoe)
    client = at_desk(sam)
    assert "High risk: type the subject" in text_of(client.get(url_of(request)))

    refused = client.post(url_of(request, "decide/"), decision(request, typed=typed))

    assert refused.status_code == 422
    assert "type exactly: note N-1" in text_of(refused)
    assert "it matches the ticket" in text_of(refused)
    assert votes(request) == 0


def test_a_high_risk_with_its_subject_typed_is_approved_and_rejecting_needs_none(furnish, zoe, sam, at_desk):
    furnish(capability={"risk": "high"})
    first, second = (house.request_of(run) for run in ask_many(zoe, 2))
    client = at_desk(sam)

    assert client.post(url_of(first, "decide/"), decision(first, typed="note  N-000 ")).status_code == 302
    assert client.post(url_of(second, "decide/"), decision(second, "reject")).status_code == 302
    assert (votes(first), votes(second)) == (1, 1)


def test_what_agents_write_is_text_and_never_markup(gated, zoe, sam, at_desk):
    note = {
        **house.NOTE,
        "parameters": {"text": HOSTILE},
        "justification": HOSTILE,
        "resource": {"type": "note", "id": "<b>evil"},
    }
    house.answers["write"] = Done({"note": note}, rationale=HOSTILE, sources=(HOSTILE,), model=HOSTILE)
    run = house.submit(zoe, {"id": HOSTILE[:40]})
    house.drive(run)
    request = house.request_of(run)
    client = at_desk(sam)

    for url in (url_of(request), "/approvals/", f"/runs/{run.pk}/", "/runs/", f"/runs/{run.pk}/events/3/"):
        body = client.get(url).content.decode()
        assert "<script>alert" not in body
        assert "<img src=x" not in body
        assert "<b>evil" not in body


def test_the_pulse_is_empty_until_it_moves(waiting, sam, person, at_desk):
    other = person("lea", "Support leads")
    client = at_desk(other)
    seen = {"seq": waiting.seq, "digest": waiting.digest}
    assert client.get(url_of(waiting, "pulse/"), seen).content.strip() == b""

    gates.decide(waiting.pk, person=sam, auth="test", verdict="reject", reason="no", seen_digest=waiting.digest)

    assert "Sam rejected this" in text_of(client.get(url_of(waiting, "pulse/"), seen))


def test_several_stages_are_drawn_with_who_voted(furnish, zoe, sam, person, at_desk):
    furnish(policy={"stages": [{"groups": ["Support leads"], "quorum": 2}]})
    lea = person("lea", "Support leads")
    request = ask(zoe)
    gates.decide(request.pk, person=sam, auth="test", verdict="approve", reason="one of two", seen_digest=request.digest)

    page = text_of(at_desk(lea).get(url_of(request)))

    assert "1 of 2" in page
    assert "Sam approved" in page
    assert "one of two" in page


def test_once_settled_the_page_shows_the_digest_that_was_decided_on(waiting, sam, at_desk):
    gates.decide(waiting.pk, person=sam, auth="test", verdict="approve", reason="fine", seen_digest=waiting.digest)
    house.drive(Run.objects.get(pk=waiting.run_id))  # carried out: the record is another one now

    page = text_of(at_desk(sam).get(url_of(waiting)))

    assert f"sha256:{waiting.digest}" in page
    assert "as it stands today" in page


@pytest.mark.parametrize("rows", [10, 50])
def test_a_request_costs_the_same_however_many_wait(gated, zoe, sam, at_desk, rows, django_assert_max_num_queries):
    runs = ask_many(zoe, rows)
    client, request = at_desk(sam), house.request_of(runs[0])
    client.get(url_of(request))

    with django_assert_max_num_queries(40):  # two of them are PostgreSQL's clock, three ask who acts for whom
        client.get(url_of(request), {"part": "pane"})
    with django_assert_max_num_queries(49):  # with the sidebar's counts and badge
        client.get(url_of(request))


@pytest.mark.parametrize("field", ["reason", "verdict", "seen_digest", "typed", "query", "unknown"])
@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_a_nul_typed_into_the_form_is_never_a_fault_of_ours(waiting, sam, at_desk, verdict, field):
    typed = decision(waiting, verdict)
    response = at_desk(sam).post(url_of(waiting, "decide/"), {**typed, field: typed.get(field, "") + "\x00"})

    if field in ("reason", "verdict", "seen_digest"):
        assert 400 <= response.status_code < 500
        assert votes(waiting) == 0
    else:  # what is dropped, or never reaches a database
        assert response.status_code in (302, 422)
