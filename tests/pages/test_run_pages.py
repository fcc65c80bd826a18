"""The list of runs and the page of one: what it waits for, the journal as a timeline, and the two acts."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest

from aegis.core import clock
from aegis.core.actors import SYSTEM
from approvals import gates
from approvals.models import ApprovalRequest
from audit import verifications
from orchestration.agents.protocol import Abstain, Done
from orchestration.engine.models import InboxItem, ReviewItem, Run
from orchestration.pages import runlist
from tests.engine import house
from tests.pages.conftest import ask, ask_many, text_of

pytestmark = pytest.mark.django_db(transaction=True)

RETRYING = [
    {
        "id": "write",
        "agent": "clerk",
        "output": "anything@1",
        "retry": {"attempts": 3, "backoff": "1h", "factor": 1, "cap": "1h", "jitter": False},
    },
    {"id": "keep", "act": "steps.write.output.note"},
]


def url_of(run: Run, rest: str = "") -> str:
    return f"/runs/{run.pk}/{rest}"


@pytest.fixture
def run(waiting) -> Run:
    return Run.objects.get(pk=waiting.run_id)


def test_the_page_says_what_it_waits_for_and_who_can_unblock_it(run, waiting, sam, zoe, at_desk):
    page = text_of(at_desk(sam).get(url_of(run)))

    for said in (
        "n-1", run.label, "Waiting for a decision", "keep waits for a decision", "You, and others in Support leads",
        "It never approves by itself", f"Decide {waiting.label}", "Nothing has been changed yet.", "version 1", "Support leads",
    ):  # fmt: skip
        assert said in page
    assert f"Open {waiting.label}" in text_of(at_desk(zoe).get(url_of(run)))  # she started it, so she cannot decide


@pytest.mark.parametrize(
    ("declared", "policy_queue", "said", "code"),
    [
        ({}, "", "it expires, and a person in the queue people takes over.", "people"),
        ({}, "late", "it expires, and a person in the queue late takes over.", "late"),
        ({"*": "fail"}, "late", "it expires, and a person in the queue late takes over.", "late"),
        ({"*": "fail"}, "", "it expires, and the run fails.", "failed"),
        ({"*": {"queue": "late"}}, "", "it expires, and a person in the queue late takes over.", "late"),
        ({"expired": {"step": "rest"}}, "late", "it expires, and the run goes on with Let it rest.", "completed"),
    ],
)  # fmt: skip
def test_the_page_says_what_happens_at_the_deadline_and_that_happens(
    furnish, zoe, sam, at_desk, declared, policy_queue, said, code
):
    queue = house.document("ReviewQueue", "late", {"groups": ["Support leads"], "service_time": "4h", "owner": "Support leads"})
    keep = {"id": "keep", "act": "steps.write.output.note", **({"on_failure": declared} if declared else {})}
    rest = {"id": "rest", "title": "Let it rest", "finish": "rested"}
    write = {"id": "write", "agent": "clerk", "output": "anything@1"}
    policy = {"fallback": {"queue": policy_queue}} if policy_queue else None
    furnish(steps=[write, keep, rest], policy=policy, extra=[queue])
    request = ask(zoe)
    run = Run.objects.get(pk=request.run_id)

    assert said in text_of(at_desk(sam).get(url_of(run)))

    ApprovalRequest.objects.update(deadline=clock.now() - timedelta(seconds=1))
    assert gates.expire_due() == 1
    house.drive(run)
    item = ReviewItem.objects.filter(run=run).select_related("queue").first()
    assert (item.queue.name if item else run.status) == code


def test_halting_its_workflow_is_one_step_away_for_who_may(run, sam, at_desk):
    page = at_desk(sam).get(url_of(run)).content.decode()
    address = "/guards/?target=workflow%3Anotes"

    assert f'href="{address}#halt"' in page
    assert page_of_halts(at_desk(sam), address) == "workflow:notes"
    assert page_of_halts(at_desk(sam), "/guards/?target=workflow:nothing") == ""


def page_of_halts(client, address):
    """What the form of a halt begins with."""
    return "".join(re.findall(r'<option value="([^"]+)" selected', client.get(address).content.decode()))


def test_the_graph_colours_each_step_and_links_to_its_event(run, sam, at_desk):
    boxes = {box.id: box for box in at_desk(sam).get(url_of(run)).context["page"].drawing.boxes}

    assert (boxes["write"].tone, boxes["write"].href) == ("green", "#e3")
    assert (boxes["keep"].tone, boxes["keep"].word) == ("violet", "waits, 0 of 1")


def test_the_timeline_is_the_journal_with_the_votes_between(run, waiting, sam, at_desk):
    gates.decide(waiting.pk, person=sam, auth="test", verdict="approve", reason="good", seen_digest=waiting.digest)
    house.drive(run)

    entries = at_desk(sam).get(url_of(run)).context["page"].entries
    types = [entry.type for entry in entries]

    own = [entry.type for entry in entries if entry.stream == run.stream]
    assert own == house.types_of(run)
    assert (
        types.index("gate.opened") < types.index("request.opened") < types.index("decision.made") < types.index("gate.settled")
    )
    assert entries[0].anchor == "e1"
    assert "Carried out: note.write." in text_of(at_desk(sam).get(url_of(run)))


def test_lanes_are_filtered_in_the_address(run, sam, at_desk):
    client = at_desk(sam)

    response = client.get(url_of(run), {"lane": "agents,nonsense"})

    assert {entry.lane for entry in response.context["page"].shown} == {"agents"}
    assert response.context["live_url"].endswith("part=live&lane=agents")
    assert len(response.context["page"].lanes) > 1


def test_the_agent_is_filtered_in_the_address_and_the_graph_leads_past_the_filter(run, sam, at_desk):
    response = at_desk(sam).get(url_of(run), {"lane": "agents", "agent": "clerk"})
    nobody = at_desk(sam).get(url_of(run), {"agent": "nobody"})

    assert {entry.agent for entry in response.context["page"].shown} == {"clerk"}
    assert "?part=live&amp;lane=agents&amp;agent=clerk" in response.content.decode()
    assert [(one["agent"], one["is_chosen"], one["url"]) for one in response.context["agents"]] == [
        ("clerk", True, f"{url_of(run)}?lane=agents#timeline")
    ]
    boxes = {box.id: box.href for box in response.context["page"].drawing.boxes}
    assert boxes["keep"].startswith(f"{url_of(run)}#e")
    assert "Show everything" in text_of(nobody)


def test_an_event_shows_its_payload_and_an_effect_its_difference(run, waiting, sam, at_desk):
    gates.decide(waiting.pk, person=sam, auth="test", verdict="approve", reason="good", seen_digest=waiting.digest)
    house.drive(run)

    entries = {entry.type: entry for entry in at_desk(sam).get(url_of(run)).context["page"].entries}

    assert any("the customer asked for it" in payload.text for payload in entries["step.completed"].payloads)
    assert [(row.label, row.kind) for row in entries["effect.done"].diff.rows] == [("Text", "added")]


def test_a_payload_too_long_for_the_timeline_has_a_page_of_its_own(gated, zoe, sam, at_desk):
    run = house.submit(zoe, {"id": "n-1", "text": "x" * 9_000})
    client = at_desk(sam)

    assert "x" * 8_500 not in client.get(url_of(run)).content.decode()
    whole = client.get(url_of(run, "events/1/"))
    assert "x" * 9_000 in whole.content.decode()
    assert client.get(url_of(run, "events/99/")).status_code == 404


def test_attempts_fold_under_their_step(furnish, zoe, sam, at_desk):
    furnish(steps=RETRYING)
    house.answers["write"] = RuntimeError("the endpoint is busy")
    run = house.submit(zoe)
    house.drive(run)
    Run.objects.filter(pk=run.pk).update(due_at=clock.now() - timedelta(seconds=1))

    response = at_desk(sam).get(url_of(run))
    page = text_of(response)

    assert "write is being retried: attempt 1 of 3 failed" in page
    assert "attempt 2 of 3." in page
    assert "attempt 1 of 3, next <time" in page
    assert "Nobody has to." in page


def test_cancel_and_retry_are_offered_to_those_who_operate_only(run, sam, person, at_desk):
    from django.contrib.auth.models import Group

    from aegis.identity import grants

    reader = person("rhea", "Readers")
    grants.grant(Group.objects.get(name="Readers"), run.workflow, "view", actor=SYSTEM, reason="test")

    theirs = at_desk(reader)
    assert "Cancel the run" in text_of(at_desk(sam).get(url_of(run)))
    page = text_of(theirs.get(url_of(run)))
    assert "Cancel the run" not in page
    assert "Halt the workflow" not in page
    assert "Cancelling and retrying is for: Support leads" in page
    refused = theirs.post(url_of(run, "cancel/"), {"reason": "because"})
    assert refused.status_code == 403
    assert "operate" in text_of(refused)
    assert "Support leads" in text_of(refused)
    assert not InboxItem.objects.filter(run=run).exists()


def test_cancelling_needs_a_reason_and_keeps_the_page(run, sam, at_desk):
    response = at_desk(sam).post(url_of(run, "cancel/"), {"reason": " "})

    assert response.status_code == 422
    assert response.context["open_form"] == "cancel"
    assert not InboxItem.objects.filter(run=run).exists()


def test_a_cancelled_run_says_so_before_and_after_the_worker_took_it(run, sam, at_desk):
    client = at_desk(sam)

    asked = client.post(url_of(run, "cancel/"), {"reason": "not needed any more"}, follow=True)
    assert "It is being cancelled" in text_of(asked)
    house.drive(run)

    page = text_of(client.get(url_of(run)))
    assert "It was cancelled at keep." in page
    assert "not needed any more" in page
    assert "Cancel the run" not in page
    assert client.post(url_of(run, "cancel/"), {"reason": "again"}).status_code == 409


def test_a_step_in_review_can_be_retried_from_the_run(furnish, zoe, sam, at_desk):
    furnish()
    house.answers["write"] = Abstain("no idea")
    run = house.submit(zoe)
    house.drive(run)
    client = at_desk(sam)
    assert "write waits for a person in people" in text_of(client.get(url_of(run)))

    response = client.post(url_of(run, "retry/"), {"reason": "the agent knows now"})

    assert response.status_code == 302
    assert InboxItem.objects.get(run=run).kind == "retry"


def test_acts_are_posts_with_a_token(run, sam, browser_of):
    strict = browser_of(sam, enforce_csrf_checks=True)

    for act in ("cancel/", "retry/"):
        assert strict.get(url_of(run, act)).status_code == 405
        assert strict.post(url_of(run, act), {"reason": "x"}).status_code == 403
    assert not InboxItem.objects.filter(run=run).exists()


def test_unknown_and_hidden_runs_are_the_same_404(run, mallory, at_desk):
    client = at_desk(mallory)

    hidden, unknown = client.get(url_of(run)), client.get(f"/runs/{uuid.uuid4()}/")

    assert hidden.status_code == unknown.status_code == 404
    assert hidden.content == unknown.content
    assert client.get(url_of(run, "events/1/")).status_code == 404
    assert client.post(url_of(run, "cancel/"), {"reason": "x"}).status_code == 404


def test_the_live_part_is_answered_304_until_the_stream_moves(run, waiting, sam, at_desk):
    client = at_desk(sam)
    first = client.get(url_of(run), {"part": "live"})
    again = {"If-None-Match": first["ETag"]}
    assert client.get(url_of(run), {"part": "live"}, headers=again).status_code == 304

    gates.decide(waiting.pk, person=sam, auth="test", verdict="approve", reason="good", seen_digest=waiting.digest)

    assert client.get(url_of(run), {"part": "live"}, headers=again).status_code == 200


def test_the_list_filters_by_status_workflow_priority_and_text(gated, zoe, sam, at_desk):
    first, second = ask_many(zoe, 2)
    client = at_desk(sam)

    def found(**query: str) -> set[uuid.UUID]:
        return {row.run.pk for row in client.get("/runs/", query).context["page"].rows}

    both = {first.pk, second.pk}
    assert found() == both
    assert found(status="waiting_decision") == both
    assert found(status="completed") == set()
    assert found(status="open") == both
    assert found(workflow="notes") == both
    assert found(workflow="other") == set()
    assert found(priority="3") == both
    assert found(priority="1") == set()
    assert found(day="started") == both
    assert found(day="ended") == set()
    assert found(q="n-001") == {second.pk}
    assert found(q=first.label) == {first.pk}
    assert found(q=str(first.pk)) == {first.pk}
    assert found(status="no such", priority="9", day="last", before="garbage~x") == both
    Run.objects.filter(pk=first.pk).update(submitted_at=clock.now() - runlist.DAY * 2, ended_at=clock.now())
    assert (found(day="started"), found(day="ended")) == ({second.pk}, {first.pk})


def test_the_list_pages_by_key_without_counting(gated, zoe, sam, at_desk, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(runlist, "PAGE_SIZE", 2)
    runs = ask_many(zoe, 5)
    client, seen, url = at_desk(sam), [], "/runs/"
    client.get("/runs/")
    while url:
        with django_assert_max_num_queries(14) as asked:
            page = client.get(url).context["page"]
        assert not any("COUNT" in query["sql"] and "orchestration_run" in query["sql"] for query in asked.captured_queries)
        seen += [row.run.pk for row in page.rows]
        url = f"/runs/{page.older}" if page.older else ""

    assert len(seen) == len(set(seen)) == 5
    assert set(seen) == {run.pk for run in runs}


def test_the_list_hides_what_is_not_mine_to_see(run, mallory, at_desk):
    assert list(at_desk(mallory).get("/runs/").context["page"].rows) == []


def test_the_list_is_polled_with_an_etag(run, sam, at_desk):
    client = at_desk(sam)
    first = client.get("/runs/", {"part": "list"})

    assert client.get("/runs/", {"part": "list"}, headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_the_run_page_costs_the_same_however_long_the_story(furnish, zoe, sam, at_desk, django_assert_max_num_queries):
    steps = [{"id": f"write-{number}", "agent": "clerk", "output": "anything@1"} for number in range(20)]
    furnish(steps=[*steps, {"id": "write", "agent": "clerk", "output": "anything@1"}, *RETRYING[1:]])
    house.answers |= {step["id"]: Done({"step": step["id"]}) for step in steps}
    long = house.submit(zoe, {"id": "long"})
    house.drive(long)
    client = at_desk(sam)
    client.get(url_of(long))

    assert long.seq > 40
    verifications.run(SYSTEM)  # the badge asks once more in an installation's first two minutes
    with django_assert_max_num_queries(25):
        client.get(url_of(long))


def test_a_short_run_costs_no_less(gated, zoe, sam, at_desk, django_assert_max_num_queries):
    run = Run.objects.get(pk=ask(zoe).run_id)
    client = at_desk(sam)
    client.get(url_of(run))

    verifications.run(SYSTEM)  # the badge asks once more in an installation's first two minutes
    with django_assert_max_num_queries(25):
        client.get(url_of(run))


@pytest.mark.parametrize("act", ["cancel/", "retry/"])
def test_a_nul_typed_into_a_form_is_refused_there(run, sam, at_desk, act):
    response = at_desk(sam).post(url_of(run, act), {"reason": "be\x00cause", "next": "\x00"})

    assert 400 <= response.status_code < 500
    assert InboxItem.objects.filter(run=run).count() == 0
