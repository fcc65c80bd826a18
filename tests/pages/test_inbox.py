"""The approvals inbox: who sees which row where, the address as the view, and what it costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.core import clock
from approvals import gates
from approvals.models import ApprovalRequest
from tests.engine import house
from tests.pages.conftest import ask, ask_many, text_of

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/approvals/"


def order_of(response) -> list[str]:
    return [str(row.request.pk) for row in response.context["inbox"].rows]


def test_a_request_is_mine_to_decide_for_a_lead_and_asked_by_me_for_its_starter(waiting, zoe, sam, at_desk):
    assert order_of(at_desk(sam).get(URL)) == [str(waiting.pk)]
    assert order_of(at_desk(zoe).get(URL)) == []
    assert order_of(at_desk(zoe).get(URL, {"tab": "requested"})) == [str(waiting.pk)]


def test_a_row_says_risk_subject_agent_workflow_stage_requester_and_time_left(waiting, sam, at_desk):
    page = text_of(at_desk(sam).get(URL))

    for said in ("Low<", "note N-1?", "clerk · Notes", "0 of 1", "asked by Zoe", "min left", "Mine to decide"):
        assert said in page


def test_somebody_without_rights_sees_no_row_and_no_count(waiting, mallory, at_desk):
    for tab in ("mine", "waiting", "requested", "done"):
        response = at_desk(mallory).get(URL, {"tab": tab})
        assert order_of(response) == []
        assert all(not one.count for one in response.context["inbox"].tabs)


def test_rows_are_ordered_by_risk_then_deadline_then_oldest_and_the_page_says_so(gated, zoe, sam, at_desk):
    late, soon, risky, older = (house.request_of(run) for run in ask_many(zoe, 4))
    now = clock.now()
    soon_at = now + timedelta(minutes=20)
    ApprovalRequest.objects.filter(pk=late.pk).update(deadline=now + timedelta(minutes=50))
    ApprovalRequest.objects.filter(pk=soon.pk).update(deadline=soon_at, opened_at=now - timedelta(minutes=1))
    ApprovalRequest.objects.filter(pk=older.pk).update(deadline=soon_at, opened_at=now - timedelta(minutes=9))
    ApprovalRequest.objects.filter(pk=risky.pk).update(risk="high")

    response = at_desk(sam).get(URL)

    assert order_of(response) == [str(request.pk) for request in (risky, older, soon, late)]
    assert "Order: risk, then deadline, then oldest" in text_of(response)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"risk": "low"}, 2),
        ({"risk": "high"}, 0),
        ({"policy": "leads"}, 2),
        ({"policy": "no-such"}, 0),
        ({"agent": "clerk"}, 2),
        ({"capability": "note.write"}, 2),
        ({"capability": "note.burn"}, 0),
        ({"q": "n-001"}, 1),
        ({"q": "zoe"}, 2),
        ({"q": "nothing like it"}, 0),
        ({"risk": "purple", "tab": "nowhere"}, 2),  # what means nothing is dropped
        ({"workflow": "workflow:not-an-id"}, 0),
    ],
)
def test_filters_live_in_the_address(gated, zoe, sam, at_desk, query, found):
    ask_many(zoe, 2)

    response = at_desk(sam).get(URL, query)

    assert len(order_of(response)) == found
    assert ("Nothing matches these filters" in text_of(response)) is (found == 0)


def test_a_request_is_found_by_its_label_and_by_its_id(gated, zoe, sam, at_desk):
    first, second = (house.request_of(run) for run in ask_many(zoe, 2))
    client = at_desk(sam)

    assert order_of(client.get(URL, {"q": first.label})) == [str(first.pk)]
    assert order_of(client.get(URL, {"q": str(second.pk)})) == [str(second.pk)]


def test_the_workflow_filter_is_offered_by_name_and_narrows(waiting, sam, at_desk):
    client = at_desk(sam)
    menu = next(menu for menu in client.get(URL).context["inbox"].menus if menu.key == "workflow")
    offered = menu.choices[-1]

    assert offered.label == "Notes"
    assert order_of(client.get(URL + offered.query)) == [str(waiting.pk)]


def test_what_was_decided_is_done_and_says_by_whom(waiting, sam, at_desk):
    gates.decide(waiting.pk, person=sam, auth="test", verdict="approve", reason="fine", seen_digest=waiting.digest)

    response = at_desk(sam).get(URL, {"tab": "done"})

    assert order_of(response) == [str(waiting.pk)]
    assert "Approved by Sam" in text_of(response)
    assert order_of(at_desk(sam).get(URL)) == []


def test_a_row_somebody_else_settled_stays_in_its_place_while_the_list_is_polled(gated, zoe, sam, person, at_desk):
    requests = [house.request_of(run) for run in ask_many(zoe, 3)]
    other = person("lea", "Support leads")
    client = at_desk(other)
    shown = order_of(client.get(URL))
    gone = ApprovalRequest.objects.get(pk=shown[1])
    gates.decide(gone.pk, person=sam, auth="test", verdict="reject", reason="no", seen_digest=gone.digest)

    polled = client.get(URL, {"part": "list", "keep": ",".join(shown)})
    fresh = client.get(URL, {"part": "list"})

    assert order_of(polled) == shown
    assert "is-decided" in text_of(polled)
    assert "Rejected by Sam" in text_of(polled)
    assert order_of(fresh) == [pk for pk in shown if pk != str(gone.pk)]
    assert len(requests) == 3


def test_keeping_rows_shows_nothing_that_is_hidden(waiting, mallory, at_desk):
    polled = at_desk(mallory).get(URL, {"part": "list", "keep": f"{waiting.pk},nonsense"})

    assert order_of(polled) == []


def test_a_poll_is_not_answered_again_while_nothing_moved(waiting, sam, at_desk):
    client = at_desk(sam)
    first = client.get(URL, {"part": "list"})

    assert client.get(URL, {"part": "list"}, headers={"If-None-Match": first["ETag"]}).status_code == 304
    assert "<html" not in first.content.decode()


@pytest.mark.parametrize("rows", [10, 50])
def test_the_inbox_costs_the_same_however_many_rows(gated, zoe, sam, at_desk, rows, django_assert_max_num_queries):
    ask_many(zoe, rows)
    client = at_desk(sam)
    client.get(URL)  # content types are remembered by the process

    with django_assert_max_num_queries(16):
        assert len(order_of(client.get(URL, {"part": "list"}))) == rows
    with django_assert_max_num_queries(23):  # with the sidebar's counts and badge
        client.get(URL)


def test_the_next_request_opens_in_the_order_of_the_list(gated, zoe, sam, at_desk):
    first, second, third = (house.request_of(run) for run in ask_many(zoe, 3))
    client = at_desk(sam)
    order = order_of(client.get(URL))
    middle = ApprovalRequest.objects.get(pk=order[1])

    response = client.post(f"{URL}{middle.pk}/decide/", {"verdict": "approve", "reason": "ok", "seen_digest": middle.digest})

    assert response.status_code == 302
    assert response["Location"] == f"{URL}{order[2]}/"
    assert {first.pk, second.pk, third.pk} == {ApprovalRequest.objects.get(pk=pk).pk for pk in order}


def test_strangers_are_sent_to_sign_in(waiting, client):
    for url in (URL, f"{URL}{waiting.pk}/", f"{URL}{waiting.pk}/pulse/"):
        assert client.get(url).status_code == 302


def test_ask_names_each_record(gated, zoe, sam, at_desk):
    ask(zoe, "n-7")

    assert "note N-7?" in text_of(at_desk(sam).get(URL))
