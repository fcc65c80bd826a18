"""How people decide is told with care: signs to look at, for whoever may read the journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlparse
from uuid import UUID

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aegis.core import clock
from aegis.identity.models import User
from approvals import quality
from approvals.models import Decision
from approvals.quality import Vote, by_person, by_policy
from audit import scopes, search
from audit.asking import from_params
from tests.approvals.house import ask, decide_as, policy_document, store_policy
from tests.support.counted import counted


def vote(
    number: int = 1, person: str = "sam", verdict: str = "approve", seconds: int | None = 30, chars: int = 400,
    digest: str = "a",
) -> Vote:  # fmt: skip
    return Vote(person, person.capitalize(), "refunds", UUID(int=number), digest, verdict, seconds, chars)


@pytest.mark.parametrize(
    ("seconds", "chars", "is_fast"),
    [(9, 400, True), (10, 400, False), (59, 10**6, True), (60, 10**6, False), (None, 10**6, False), (0, 0, False)],
)
def test_a_vote_is_fast_when_the_page_was_open_for_less_than_reading_takes(
    seconds: int | None, chars: int, is_fast: bool
) -> None:
    assert vote(seconds=seconds, chars=chars).is_fast is is_fast


@pytest.mark.parametrize(
    ("verdicts", "always", "never"),
    [
        (["approve"] * 10, True, False),
        (["approve"] * 9, False, False),
        (["approve"] * 9 + ["request_changes"], False, True),
        (["approve"] * 9 + ["reject"], False, False),
    ],
)
def test_who_approves_everything_is_marked_with_enough_votes_only(verdicts: list[str], always: bool, never: bool) -> None:
    (sam,) = by_person(vote(number, verdict=verdict) for number, verdict in enumerate(verdicts))
    assert (sam.always_approves, sam.never_rejects) == (always, never)


def test_often_fast_needs_a_quarter_of_enough_votes() -> None:
    votes = [vote(number, seconds=1 if number < 3 else 30) for number in range(12)]
    assert by_person(votes)[0].is_often_fast
    assert not by_person(votes[1:])[0].is_often_fast
    assert not by_person([vote(number, seconds=1) for number in range(9)])[0].is_often_fast


def test_disagreement_is_between_people_on_one_request() -> None:
    votes = [
        vote(1, "sam"), vote(1, "lena", "reject"), vote(2, "sam"), vote(2, "lena"), vote(3, "sam", "reject"), vote(4, "lena"),
    ]  # fmt: skip
    (refunds,) = by_policy(votes)
    assert (refunds.shared, refunds.split) == (2, 1)


def test_votes_on_two_revisions_of_a_request_are_no_disagreement() -> None:
    votes = [vote(1, "sam", "reject", digest="a"), vote(1, "sam", digest="b"), vote(1, "lena", digest="b")]
    (refunds,) = by_policy(votes)
    (lena, sam) = by_person(votes)
    assert (refunds.shared, refunds.split) == (1, 0)
    assert (lena.shared, lena.split, sam.shared, sam.split) == (1, 0, 1, 0)


@pytest.fixture
def decided(db: None, person: Callable[..., User]) -> None:
    policy = store_policy(policy_document("closing", stages=[{"groups": ["Leads"], "quorum": 2}]))
    lena, lars = person("lena", "Leads"), person("lars", "Leads")
    for _ in range(3):
        request = ask(policy)
        decide_as(lena, request)
        decide_as(lars, request)
    Decision.objects.filter(person=lena).update(seconds_open=0)
    counted()


def test_the_page_tells_it_by_person_with_the_list_behind(
    decided: None, quinn: User, browser_of: Callable[..., Client]
) -> None:
    answer = browser_of(quinn).get("/metrics/approvals/")
    page = answer.content.decode()

    assert answer.status_code == 200
    assert "Lena" in page
    assert "not judgements" in page
    rows = answer.context["people"]
    assert [(row.name, row.votes, row.fast, row.shared) for row, _ in rows] == [("Lars", 3, 0, 3), ("Lena", 3, 3, 3)]
    for row, url in (*rows, *answer.context["policies"]):
        found = search.find(from_params(QueryDict(urlparse(url).query)), quinn, seen=scopes.reach(quinn))
        assert len(found.events) == row.votes, url


def test_who_may_not_read_the_journal_of_others_gets_no_such_page(
    decided: None, sam: User, root: User, browser_of: Callable[..., Client]
) -> None:
    for reader in (sam, root):
        assert browser_of(reader).get("/metrics/approvals/").status_code == 404
        assert "How people decide" not in browser_of(reader).get("/metrics/").content.decode()


def test_requests_that_the_reader_may_not_see_are_left_out(decided: None, sam: User, quinn: User) -> None:
    since = clock.now() - timedelta(days=1)
    assert len(quality.read(quinn, since)) == 6
    assert quality.read(sam, since) == []


def test_the_number_of_queries_does_not_grow(decided: None, quinn: User, browser_of: Callable[..., Client]) -> None:
    client = browser_of(quinn)

    def queries() -> int:
        client.get("/metrics/approvals/")
        with CaptureQueriesContext(connection) as caught:
            client.get("/metrics/approvals/")
        return len(caught)

    before = queries()
    policy = store_policy(policy_document("another"))
    for lead in User.objects.filter(username__in=("lena", "lars")):
        decide_as(lead, ask(policy))
    assert queries() == before
