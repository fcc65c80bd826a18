"""Home tells a person of delegations that concern him: whom, from when, until when; nothing of others, nor of their limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aegis.core import clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.identity import people
from aegis.identity.models import User
from aegis.portal import home
from approvals import delegations
from approvals.models import Delegation

pytestmark = pytest.mark.django_db

LINK = 'class="hm-item" href="/approvals/delegations/"'


@pytest.fixture
def lea(person: Callable[..., User]) -> User:
    return person("lea", "Leads")


@pytest.fixture
def leo(person: Callable[..., User]) -> User:
    return person("leo", "Leads")


def lend(giver: User, to: User, *, starts: float = 0, ends: float = 72, **limits: str) -> Delegation:
    """Hours from now."""
    now, hour = clock.now(), timedelta(hours=1)
    return delegations.delegate(
        to=to.pk, starts_at=now + starts * hour, ends_at=now + ends * hour, reason="on leave",
        actor=user_actor(giver.pk, auth="session"), **limits,
    )  # fmt: skip


@pytest.fixture
def needs(browser_of: Any) -> Callable[[User], str]:
    """What stands under "What needs me now"."""

    def read(user: User) -> str:
        page = str(browser_of(user).get("/").content.decode())
        return page.partition("What needs me now")[2].partition("</section>")[0]

    return read


def test_one_that_stands_is_told_to_both_with_a_link(lea, leo, needs) -> None:
    lend(lea, leo)
    assert "You decide in the place of Lea" in needs(leo)
    assert "Leo decides in your place" in needs(lea)
    assert needs(leo).count(LINK) == needs(lea).count(LINK) == 1
    assert "about to end" not in needs(leo) + needs(lea)


def test_one_that_comes_is_told_to_who_may_decline_it(lea, leo, needs) -> None:
    lend(lea, leo, starts=30)
    assert "You are to decide in the place of Lea" in needs(leo)
    assert "decline it if you will not" in needs(leo)
    assert LINK not in needs(lea)


def test_one_that_is_about_to_end_says_so_to_both(lea, leo, needs) -> None:
    lend(lea, leo, ends=23)
    assert "about to end" in needs(leo)
    assert "is-soon" in needs(leo)
    assert "about to end; delegate again" in needs(lea)


def test_what_changes_next_comes_first(lea, leo, person, needs) -> None:
    lend(lea, leo, ends=72)
    lend(person("liv", "Leads"), leo, starts=10, ends=100)
    lend(person("lou", "Leads"), leo, ends=5)
    page = needs(leo)
    assert page.index("Lou") < page.index("Liv") < page.index("Lea")


def test_nobody_else_reads_of_it(lea, leo, sam, root, quinn, needs) -> None:
    lend(lea, leo)
    for other in (sam, root, quinn):
        assert LINK not in needs(other)
        assert "Lea" not in needs(other)


def test_what_it_is_limited_to_is_not_told(lea, leo, needs) -> None:
    """He who gives it chose among what he sees; who is given it may see less."""
    row = lend(lea, leo)
    Delegation.objects.filter(pk=row.pk).update(policy="secret-closing", capability="secret.refund")
    assert "You decide in the place of Lea" in needs(leo)
    assert "secret" not in needs(leo)


@pytest.mark.parametrize("how", ["declined", "taken back", "over", "giver left"])
def test_what_counts_no_more_is_not_told(how: str, lea, leo, needs) -> None:
    row = lend(lea, leo)
    if how == "over":
        Delegation.objects.filter(pk=row.pk).update(starts_at=row.starts_at - timedelta(days=9), ends_at=clock.now())
    elif how == "giver left":
        people.disable_person(lea.pk, actor=SYSTEM, reason="left")
    else:
        delegations.end(row.pk, actor=user_actor((leo if how == "declined" else lea).pk, auth="session"), reason="no")
    assert LINK not in needs(leo)


def test_who_left_decides_in_nobodys_place(lea, leo, needs) -> None:
    lend(lea, leo)
    people.disable_person(leo.pk, actor=SYSTEM, reason="left")
    assert LINK not in needs(lea)


def test_any_number_of_them_is_one_query(lea, leo, person, django_assert_num_queries) -> None:
    for giver in (lea, person("liv", "Leads"), person("lou", "Leads")):
        lend(giver, leo)
    with django_assert_num_queries(1):
        found = [home._lent(row, leo).title for row in delegations.concerning(leo, clock.now())]
    assert len(found) == 3


def test_the_page_of_delegations_says_whose_decisions_they_are(lea, leo, browser_of) -> None:
    lend(lea, leo)
    assert "everything they may decide" in browser_of(leo).get("/approvals/delegations/").content.decode()
    assert "everything I may decide" in browser_of(lea).get("/approvals/delegations/").content.decode()
