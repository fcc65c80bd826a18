"""invoice-change, run: a real ledger beside it, which refuses. Each way a change can go, once, and the books after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aegis.portal.demo.examples import EXAMPLES, read_samples
from approvals import changes
from approvals.errors import NotEligible
from approvals.models import ApprovalRequest
from audit import journal
from audit.models import Event
from examples.invoice_change import books, handlers
from orchestration.agents import protocol
from orchestration.engine.models import ReviewItem, Run
from tests.examples import house
from tests.examples.house import complete, decide, drive, outcome

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLE = next(one for one in EXAMPLES if one.workflow == "invoice-change")
SAMPLES = {sample["id"]: sample for sample in read_samples(EXAMPLE.samples)}
SMALL, MEDIUM, LARGE, DIFFERS, BUSY, CLOSED, NO_ADDRESS, SAME, DAMAGED, NO_SUM = (f"IC-{101 + index}" for index in range(10))


@pytest.fixture(autouse=True)
def _ledger_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_EXAMPLES_DIR", str(tmp_path / "outside"))


@pytest.fixture
def inbox(person, ada):
    """Submits requests. felix is a controller, tara of the treasury, and bo of both."""
    person("felix", "Finance controllers")
    person("tara", "Treasury")
    person("bo", "Finance controllers", "Treasury")
    house.found("invoice_change")
    return person("inbox", "Intake channels")


@pytest.fixture
def people(inbox):
    return {person.username: person for person in type(inbox).objects.all()}


def ask(person, sample, **changes_):
    run = house.submit("invoice-change", person, {**SAMPLES[sample], **changes_})
    return settled(run)


def settled(run):
    while run.status == Run.Status.WAITING_RETRY:
        run = drive(run)
    return run


def ledger():
    return handlers.LEDGER.read()


def amount(invoice):
    return ledger()["invoices"][invoice]["amount_cents"]


def is_untouched():
    state = ledger()
    return state["entries"] == state["letters"] == [] and all(one["revision"] in (1, 3) for one in state["invoices"].values())


def test_a_small_change_is_made_and_posted_without_anybody(inbox):
    run = ask(inbox, SMALL)

    assert outcome(run) == (Run.Status.COMPLETED, "posted")
    assert (amount("INV-2041"), books.balance(ledger(), "4910")) == (17_850, 5_950)
    assert [letter["supplier"] for letter in ledger()["letters"]] == ["Papier Nord"]
    assert not ApprovalRequest.objects.exists()
    assert journal.verify().problems == []


def test_a_medium_change_waits_for_one_controller(inbox, people):
    run = ask(inbox, MEDIUM)
    assert (run.status, ApprovalRequest.objects.get().policy.name) == (Run.Status.WAITING_DECISION, "invoice-one")
    assert is_untouched()

    decide(people["felix"], "approve")

    assert outcome(settled(drive(run))) == (Run.Status.COMPLETED, "posted")
    assert amount("INV-2042") == 128_400


def test_a_large_change_needs_two_people_of_two_groups_in_order(inbox, people):
    run = ask(inbox, LARGE)
    assert ApprovalRequest.objects.get().policy.name == "invoice-two"
    with pytest.raises(NotEligible):
        decide(people["tara"], "approve")  # the treasury comes second

    decide(people["felix"], "approve")
    assert drive(run).status == Run.Status.WAITING_DECISION
    with pytest.raises(NotEligible):
        decide(people["felix"], "approve")
    decide(people["tara"], "approve")

    assert outcome(settled(drive(run))) == (Run.Status.COMPLETED, "posted")
    assert amount("INV-2044") == 1_785_000


def test_a_person_of_both_groups_counts_once(inbox, people):
    run = ask(inbox, LARGE)
    decide(people["bo"], "approve")

    with pytest.raises(NotEligible):
        decide(people["bo"], "approve")

    assert drive(run).status == Run.Status.WAITING_DECISION


@pytest.mark.parametrize("stage", ["felix", "tara"])
def test_a_no_of_either_leaves_everything_as_it_was(inbox, people, stage):
    run = ask(inbox, DIFFERS)
    if stage == "tara":
        decide(people["felix"], "approve")
        drive(run)

    decide(people[stage], "reject", "twenty seats were never ordered")

    assert outcome(drive(run)) == (Run.Status.COMPLETED, "declined")
    assert is_untouched()


def test_what_differs_from_the_order_stands_in_what_people_sign(inbox):
    ask(inbox, DIFFERS)

    assert house.output(Run.objects.get(), "audit")["differences"] == ["licence: 120 invoiced, 100 ordered"]
    assert house.output(Run.objects.get(), "propose")["amend"]["parameters"]["differences"] == [
        "licence: 120 invoiced, 100 ordered"
    ]


def test_a_ledger_that_is_busy_is_asked_again(inbox):
    run = ask(inbox, BUSY)

    assert outcome(run) == (Run.Status.COMPLETED, "posted")
    assert [entry["account"] for entry in ledger()["entries"]] == ["4930"]


def test_a_posting_that_is_refused_gives_the_invoice_its_amount_back(inbox):
    run = ask(inbox, CLOSED)

    assert run.status == Run.Status.FAILED
    assert (amount("INV-2043"), ledger()["entries"]) == (238_000, [])
    assert ledger()["invoices"]["INV-2043"]["revision"] == 3  # changed, and changed back: nothing is hidden
    types = list(Event.objects.filter(stream=f"run:{run.pk}").values_list("type", flat=True))
    assert "run.compensated" in types
    assert journal.verify().problems == []


def test_a_letter_that_cannot_be_sent_undoes_posting_and_change_newest_first(inbox):
    run = ask(inbox, NO_ADDRESS)

    assert run.status == Run.Status.FAILED
    assert amount("INV-2047") == 47_600
    first, second = ledger()["entries"]
    assert (first["amount_cents"], second["amount_cents"], second["reverses"]) == (5_950, -5_950, 1)
    undone = (
        Event.objects.filter(stream=f"run:{run.pk}", type="effect.done").order_by("seq").values_list("capability", flat=True)
    )
    assert list(undone) == ["invoice.amend", "invoice.post", "invoice.reverse", "invoice.unamend"]


def test_an_amount_that_somebody_else_changed_is_not_written_over(inbox):
    ask(inbox, SMALL)

    run = ask(inbox, SMALL, id="IC-900")  # rests on the amount before the first

    assert (run.status, ReviewItem.objects.get().code) == (Run.Status.WAITING_REVIEW, "effect_failed")
    assert amount("INV-2041") == 17_850


def test_no_change_is_an_end_of_its_own(inbox):
    assert outcome(ask(inbox, SAME)) == (Run.Status.COMPLETED, "unchanged")
    assert is_untouched()


@pytest.mark.parametrize(
    ("sample", "changed"),
    [(NO_SUM, {}), (SMALL, {"currency": "USD"}), (LARGE, {"order": "PO-1"}), (LARGE, {"order": "../books"})],
)
def test_what_the_agents_cannot_judge_goes_to_a_controller(inbox, sample, changed):
    run = ask(inbox, sample, **changed)

    item = ReviewItem.objects.get()
    assert (run.status, item.code, item.queue.name) == (Run.Status.WAITING_REVIEW, "abstained", "invoice-review")
    assert is_untouched()


def test_who_answered_for_an_agent_may_not_decide_about_what_came_of_it(inbox, people):
    run = ask(inbox, LARGE, order="PO-1")

    complete(people["felix"], output={"order": "PO-1", "differences": ["the order was made on paper"]})

    assert drive(run).status == Run.Status.WAITING_DECISION
    with pytest.raises(NotEligible):
        decide(people["felix"], "approve")
    decide(people["bo"], "approve")


def test_an_order_that_is_damaged_is_a_failure_of_the_agent(inbox):
    run = ask(inbox, DAMAGED)

    assert (run.status, ReviewItem.objects.get().code) == (Run.Status.WAITING_REVIEW, "agent_error")
    assert is_untouched()


def test_an_agent_that_calls_a_change_smaller_than_it_is_gets_the_gate_of_the_amounts(inbox, monkeypatch):
    honest = protocol._registry["invoice.assess"]

    def dishonest(request):
        reply = honest(request)
        return protocol.Done(output={**reply.output, "size_cents": 1})

    monkeypatch.setitem(protocol._registry, "invoice.assess", dishonest)

    run = ask(inbox, LARGE)

    assert (run.status, ApprovalRequest.objects.get().policy.name) == (Run.Status.WAITING_DECISION, "invoice-two")


def test_an_agent_that_misstates_the_earlier_amount_is_refused_by_the_ledger(inbox, monkeypatch):
    honest = protocol._registry["invoice.propose"]

    def dishonest(request):
        output = json.loads(json.dumps(honest(request).output))
        output["amend"]["parameters"]["from_cents"] = output["amend"]["parameters"]["to_cents"]
        return protocol.Done(output=output)

    monkeypatch.setitem(protocol._registry, "invoice.propose", dishonest)

    run = ask(inbox, LARGE)

    assert (run.status, ReviewItem.objects.get().code) == (Run.Status.WAITING_REVIEW, "effect_failed")
    assert is_untouched()


def test_applying_the_manifests_again_changes_nothing(inbox):
    assert changes.preview(house.documents("invoice_change"), None).is_empty
