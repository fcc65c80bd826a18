"""History is read as one reader may see it: from real requests, votes and runs, in as many queries however many there are."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM
from aegis.core.commands import Terminal
from aegis.core.db import in_transaction
from aegis.core.errors import NotFound
from aegis.core.visibility import one_look
from aegis.identity.models import User
from approvals import gates
from approvals.advice import command, reading, runs
from approvals.advice.cases import History, Standing
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from tests.approvals.house import RecordQuestion, decide_as, digest_of, new_record, policy_document, store_policy
from tests.support.api import client_of

pytestmark = pytest.mark.django_db


class KnownRuns:
    """Runs that nothing stands over and of which nothing was undone."""

    def undone(self, reader: Any, run_ids: Any) -> dict[Any, bool]:
        return {}

    def passed(self, reader: Any, policy: str, since: Any, most: int) -> tuple[()]:
        return ()

    def standing(self, policy: str) -> Standing:
        return Standing()


@pytest.fixture(autouse=True)
def of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_runs", KnownRuns())
    monkeypatch.setattr(RecordQuestion, "looks_at_fast_paths", True)


def ask(policy: ApprovalPolicy, amount: float = 10) -> ApprovalRequest:
    record = new_record()

    def work() -> ApprovalRequest:
        return gates.open_request(
            request_id=uuid.uuid4(),
            question="record",
            subject=str(record.pk),
            policy=policy,
            digest=digest_of(record),
            risk="low",
            capability="refund.pay",
            requester_id=None,
            run_id=None,
            context_scope="policy",
            scope_id=str(policy.pk),
            evidence={"proposal": canonical.dump({"capability": "refund.pay", "parameters": {"amount": amount}})},
            at=clock.db_now(),
            actor=SYSTEM,
        )

    return in_transaction(work)


def many(policy: ApprovalPolicy, person: User, count: int) -> None:
    """Requests settled by one vote each, by rows alone: what is measured is the reading."""
    for _ in range(min(count, 3)):
        decide_as(person, ask(policy))
    newest = ApprovalRequest.objects.latest("opened_at")
    rows, votes = [], []
    for _ in range(count - 3):
        request = ApprovalRequest.objects.get(pk=newest.pk)
        request.pk = uuid.uuid4()
        rows.append(request)
        votes.append(
            Decision(request=request, person=person, verdict="approve", stage=0, digest=request.digest, at=clock.now(), seq=2)
        )
    ApprovalRequest.objects.bulk_create(rows)
    Decision.objects.bulk_create(votes)


def read(reader: User, policy: ApprovalPolicy, days: int = 90) -> History:
    with one_look():
        return reading.read(reader, policy, days)


def test_a_request_is_read_with_its_outcome_parameters_and_votes(policy: ApprovalPolicy, lead: User) -> None:
    approved, rejected = decide_as(lead, ask(policy, 10)), decide_as(lead, ask(policy, 20), "reject")
    ask(policy)  # is open, and says nothing yet

    found = {one.id: one for one in read(lead, policy).cases}

    assert set(found) == {approved.pk, rejected.pk}
    assert found[approved.pk].parameters == {"amount": 10}
    assert [one.verdict for one in found[rejected.pk].votes] == ["reject"]
    assert found[approved.pk].is_weighed
    assert found[rejected.pk].is_against


def test_what_the_reader_may_not_see_is_not_counted(
    policy: ApprovalPolicy, lead: User, person: Callable[..., User], quinn: User
) -> None:
    decide_as(lead, ask(policy))
    stranger = person("zed", "Others")

    assert read(stranger, policy).cases == ()
    assert len(read(quinn, policy).cases) == 1
    assert len(read(lead, policy).cases) == 1


def test_a_vote_faster_than_reading_is_hurried_and_a_person_without_a_no_is_marked(
    policy: ApprovalPolicy, lead: User, second_lead: User
) -> None:
    for _ in range(10):
        decide_as(lead, ask(policy))
    decide_as(second_lead, ask(policy), "reject")
    fast = decide_as(second_lead, ask(policy))
    Decision.objects.filter(request=fast).update(seconds_open=0)

    weak = {one.id: {vote.weakness for vote in one.votes} for one in read(lead, policy).cases}

    assert weak[fast.pk] == {"hurried"}
    assert sorted(next(iter(one)) for one in weak.values()) == ["", *["approves_all"] * 10, "hurried"]


def test_what_was_settled_before_is_left_out(policy: ApprovalPolicy, lead: User) -> None:
    decide_as(lead, ask(policy))
    ApprovalRequest.objects.update(settled_at=clock.now() - timedelta(days=31))

    assert read(lead, policy, 30).cases == ()
    assert len(read(lead, policy, 90).cases) == 1


def test_as_many_queries_for_a_thousand_as_for_ten(
    lead: User, ada: User, browser_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the questions of the product do: the sentences of a list in one go.
    monkeypatch.setattr(RecordQuestion, "titles", lambda self, requests: {one.pk: "Close it?" for one in requests})
    few, lots = (store_policy(policy_document(name)) for name in ("few", "lots"))
    many(few, lead, 10)
    many(lots, lead, 1_000)
    counts, pages, browser = [], [], browser_of(ada)
    browser.get(f"/approvals/approvalpolicy/{few.pk}/advice/")
    for row, cases in ((few, 10), (lots, 1_000)):
        with CaptureQueriesContext(connection) as asked:
            assert len(read(lead, row).cases) == cases
        counts.append(len(asked))
        with CaptureQueriesContext(connection) as asked:
            answer = browser.get(f"/approvals/approvalpolicy/{row.pk}/advice/?behind=deadline.left-out")
        assert answer.context["listed"].figure.count == cases
        pages.append(len(asked))

    assert counts[0] == counts[1] <= 12
    assert pages[0] == pages[1] <= 30


def test_without_the_owner_of_runs_nothing_is_loosened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert runs._NoRuns().standing("closing") == Standing(is_locked=True, is_high=True)


def test_the_api_tells_it_to_whoever_may_see_the_policy(policy: ApprovalPolicy, lead: User, ada: User) -> None:
    for number in range(60):
        decide_as(lead, ask(policy, number), "approve" if number else "reject")
    answer = client_of(ada).get(f"/api/v1/policies/{policy.name}/advice?days=30").json()

    assert (answer["policy"], answer["digest"], answer["requests"]) == (policy.name, policy.digest, 60)
    assert [one["about"] for one in answer["advice"]] == ["fast_path", "quorum", "deadline"]
    assert len(answer["advice"][2]["figures"][0]["requests"]) == 60
    assert client_of(ada).get(f"/api/v1/policies/{policy.name}/advice?days=7").status_code == 422
    assert client_of(lead).get(f"/api/v1/policies/{policy.name}/advice").status_code == 404


def test_the_command_tells_it_as_one_person_sees_it(policy: ApprovalPolicy, lead: User, quinn: User, capsys: Any) -> None:
    import sys

    decide_as(lead, ask(policy))
    options = {"verb": "advise", "name": policy.name, "as": quinn.username, "days": 90}

    assert command.handle(options, Terminal(sys.stdout, sys.stderr)) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{policy.name}\n")
    assert "As it is: it takes 59 requests" in told
    with pytest.raises(NotFound):
        command.handle({**options, "as": lead.username}, Terminal(sys.stdout, sys.stderr))


def test_the_page_offers_the_change_to_editors_alone_and_the_editor_takes_it(
    policy: ApprovalPolicy, lead: User, second_lead: User, ada: User, quinn: User, browser_of: Callable[..., Client]
) -> None:
    for number in range(70):
        decide_as(lead if number % 2 else second_lead, ask(policy, 10), "approve" if number > 1 else "reject")
    ApprovalRequest.objects.filter(status="rejected").update(capability="other.thing")
    page = f"/approvals/approvalpolicy/{policy.pk}/advice/"

    seen, offered = browser_of(quinn).get(page), browser_of(ada).get(page)

    (card, *_) = offered.context["cards"]
    assert card.advice.is_proposal
    assert "Propose this change" in offered.content.decode()
    assert "Propose this change" not in seen.content.decode()
    for _, address in [figure for one in offered.context["cards"] for figure in one.figures if figure[1]]:
        listed = browser_of(ada).get(address).context["listed"]
        assert len(listed.rows) == listed.figure.count
    assert browser_of(ada).get(f"{page}?behind=fast_path.nothing").status_code == 404

    form = {"text": card.text, "base": policy.digest, "reason": card.reason, "do": "check"}
    edit = f"/approvals/approvalpolicy/{policy.pk}/edit/"
    checked = browser_of(ada).post(edit, form)
    assert checked.status_code == 200
    assert "lets more pass without a vote" in checked.content.decode()
    assert browser_of(quinn).post(edit, form).status_code == 403
    policy.refresh_from_db()
    assert "fast_path" not in canonical.parse(policy.document)["spec"]
