"""Promise 10: every recorded route and verdict comes out the same again, and a difference is named."""

from __future__ import annotations

import copy
import json

import pytest

from aegis.core import canonical, clock
from approvals.models import DocumentVersion
from audit import chain
from audit.models import Event, Payload
from orchestration.agents.protocol import Abstain
from orchestration.authority.models import MatrixVersion
from orchestration.engine import reviews
from orchestration.engine.models import ReviewItem
from orchestration.engine.recompute import recompute
from tests.engine import house
from tests.routing import recorded
from tests.support.journal_guard import lifted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def zoe(person, ada, sam):
    starter = person("zoe", "Support leads")
    recorded.found()
    return starter


def forge(event: Event, **data: object) -> None:
    """Change what a line says, as somebody with the database could."""
    line = json.loads(event.line)
    line["data"] |= data
    with lifted():
        Event.objects.filter(pk=event.pk).update(line=canonical.dump_line(line).decode())


def test_every_decision_comes_out_as_recorded_also_after_the_table_and_the_matrix_changed(zoe, ada):
    recorded.run(zoe, "hello", 1)
    recorded.publish(ada, recorded.desk(limit=2))
    recorded.run(zoe, "hello", 2)
    recorded.run(zoe, "hi", 3)

    report = recompute()

    assert (report.routes, report.verdicts, report.differences) == (3, 2, [])
    code, out, _ = recorded.command("verify-decisions")
    assert (code, out.splitlines()) == (0, ["3 routes and 2 verdicts made again.", "Every one comes out as recorded."])


@pytest.mark.parametrize(
    ("type_", "data", "what"),
    [
        ("route.chosen", {"rule": "long"}, "rule is recorded as 'long', and comes out as 'short'"),
        ("route.chosen", {"case": "long"}, "case is recorded as 'long', and comes out as 'note'"),
        ("route.chosen", {"next": "write"}, "next is recorded as 'write', and comes out as 'keep'"),
        ("route.chosen", {"errors": 1}, "errors is recorded as 1, and comes out as 0"),
        ("route.chosen", {"digest": "0" * 64}, "routing table desk of digest 00000000 is not there"),
        ("route.chosen", {"step": "write"}, "its release has no route step 'write'"),
        ("verdict.given", {"answer": "deny"}, "answer is recorded as 'deny', and comes out as 'allow'"),
        ("verdict.given", {"grants": []}, "grants is recorded as []"),
        ("verdict.given", {"errors": False}, "errors is recorded as False, and comes out as 0"),
    ],
)
def test_a_line_that_says_something_else_is_named(zoe, type_, data, what):
    run = recorded.run(zoe, "hello")
    event = Event.objects.get(stream=run.stream, type=type_)
    forge(event, **data)

    code, out, _ = recorded.command("verify-decisions")

    assert code == 1
    assert "1 DIFFER" in out
    assert f"  {run.stream}/{event.seq}: {'route' if type_ == 'route.chosen' else 'verdict'}" in out
    assert what in out


@pytest.mark.parametrize(("type_", "name"), [("route.chosen", "facts"), ("route.chosen", "output"), ("verdict.given", "facts")])
def test_facts_that_are_not_what_the_line_committed_to_are_named(zoe, type_, name):
    run = recorded.run(zoe, "hello")
    event = Event.objects.get(stream=run.stream, type=type_)
    with lifted():
        Payload.objects.filter(stream=run.stream, seq=event.seq, name=name).update(body="{}")

    (difference,) = recompute().differences

    assert difference.place == f"{run.stream}/{event.seq}"
    assert difference.what == f"cannot be made again: {name} is not what its line committed to"


def test_other_facts_with_a_commitment_forged_to_fit_give_another_decision(zoe):
    run = recorded.run(zoe, "hello")
    event = Event.objects.get(stream=run.stream, type="route.chosen")
    payload = Payload.objects.get(stream=run.stream, seq=event.seq, name="facts")
    line = json.loads(event.line)
    for entry in line["payload"]:
        if entry["name"] == "facts":
            entry["c"] = chain.commitment(payload.salt, b'{"size":99}')
    with lifted():
        Payload.objects.filter(pk=payload.pk).update(body='{"size":99}')
        Event.objects.filter(pk=event.pk).update(line=canonical.dump_line(line).decode())

    (difference,) = recompute().differences

    assert "rule is recorded as 'short', and comes out as 'long'" in difference.what
    assert "output is recorded otherwise" in difference.what


def test_a_version_that_was_altered_or_is_gone_is_named(zoe):
    recorded.run(zoe, "hello")
    with lifted():
        MatrixVersion.objects.update(document="{}")
        DocumentVersion.objects.filter(kind="RoutingTable").update(document="{}")

    report = recompute()

    assert [one.kind for one in report.differences] == ["route", "verdict"]
    assert "is not what its digest" in report.differences[0].what
    assert "is not the one that was recorded" in report.differences[1].what


def test_a_matrix_version_replaced_together_with_its_digest_is_found_by_the_journal(zoe):
    recorded.run(zoe, "hello")
    row = MatrixVersion.objects.latest("number")
    other = json.loads(row.document)
    other["roles"]["clerk"]["grants"][0]["effect"] = "deny"
    body = canonical.dump(other)
    with lifted():
        MatrixVersion.objects.filter(pk=row.pk).update(document=body.decode(), digest=canonical.digest(body))

    (difference,) = recompute().differences

    assert "is not the one that was recorded" in difference.what


def test_what_rests_on_erased_facts_is_counted_and_no_difference(zoe):
    run = recorded.run(zoe, "hello")
    Payload.objects.filter(stream=run.stream, name="facts").update(body="", salt="", erased_at=clock.now())

    code, out, _ = recorded.command("verify-decisions")

    assert code == 0
    assert "2 of them rest on erased facts" in out


def test_a_verdict_about_what_a_person_wrote_is_made_again_with_that_person(zoe, sam):
    """The person's roles at that time are on record: nobody's groups of today count."""
    house.answers["write"] = Abstain("I do not know")
    run = house.submit(zoe, {"id": "n-1", "text": "hello"})
    house.drive(run)
    reviews.complete(
        ReviewItem.objects.get(run=run).pk, person=sam, auth="test", output={"note": house.NOTE}, reason="mine"
    )  # fmt: skip
    house.drive(run)
    verdict = Event.objects.get(stream=run.stream, type="verdict.given")
    author = canonical.parse(Payload.objects.get(stream=run.stream, seq=verdict.seq, name="author").body)
    assert author["id"] == str(sam.pk)
    assert json.loads(verdict.line)["data"]["answer"] == "deny"  # sam may not write notes

    sam.groups.clear()

    assert recompute().differences == []


def test_one_stream_alone_can_be_asked(zoe):
    first = recorded.run(zoe, "hello", 1)
    recorded.run(zoe, "hello", 2)

    assert recompute(first.stream).routes == 1
    code, out, _ = recorded.command("verify-decisions", "--json", "--stream", first.stream)
    assert code == 0
    assert json.loads(out)["verdicts"] == 1


def test_it_takes_as_many_queries_for_many_runs_as_for_few(zoe, django_assert_max_num_queries):
    for number in range(12):
        recorded.run(zoe, "hello", number)

    with django_assert_max_num_queries(14):
        assert recompute().routes == 12


def test_what_a_table_without_a_default_cannot_judge_goes_to_the_fallback_queue(zoe, ada):
    table = recorded.desk()
    del table["spec"]["default"]
    table["spec"]["inputs"] = {"size": {"type": "int", "max": 15}}
    workflow = house.documents(steps=copy.deepcopy(recorded.STEPS))[-1]
    del workflow["spec"]["steps"][1]["cases"]["none"]  # the table never answers it
    recorded.publish(ada, table, workflow)

    run = recorded.run(zoe, "x" * 20)

    item = ReviewItem.objects.get(run=run)
    assert (item.queue.name, item.code, item.choices) == ("people", "no_route", ["note"])
    assert recompute().differences == []
    reviews.complete(item.pk, person=zoe, auth="test", case="note", reason="looked at it")
    house.drive(run)
    assert run.status == "completed"
