"""Reviews of access on their pages: what is due, the reviewer's word with its ticks, and what home tells whom."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.identity import grants
from aegis.identity.models import Area, User
from approvals.models import ApprovalRequest, ChangeSet
from audit.models import Event
from orchestration.agents.models import Agent
from orchestration.authority import lapsing, role_reviews
from orchestration.authority.models import Role
from tests.support import configuration as config
from tests.support.configuration import agent, capability, grant, policy, role

pytestmark = pytest.mark.django_db
CLOSE = "ticket.close"
LIST, ONE = "/matrix/reviews/", "/matrix/reviews/role/"


@pytest.fixture
def roles(person: Callable[..., User], olivia: User, sam: User, ada: User, quinn: User) -> None:
    """olivia owns the agent with support-bot, whom ada reviews; sam reviews `closer`; nobody can review `lonely`."""
    for name in ("lee", "mia"):
        person(name, "Deciders")
    person("ben", "Support leads")
    config.bootstrap(
        policy("config-change", ("Deciders", 2)),
        capability(CLOSE),
        role("support-bot", grant("allow"), grant("allow", CLOSE)),
        _reviewed(role("closer", grant("allow", CLOSE)), person="sam", every_days=30),
        _reviewed(role("lonely", grant("allow", CLOSE)), person="olivia"),
        agent(roles=["support-bot", "lonely"]),
    )


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    real, at = clock.now, [timedelta()]
    for name in ("now", "db_now"):
        monkeypatch.setattr(clock, name, lambda: real() + at[0])

    def by(days: int) -> None:
        at[0] += timedelta(days=days)

    return by


def _reviewed(document: Any, **review: Any) -> Any:
    return {**document, "spec": {**document["spec"], "review": review}}


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


def word(name: str = "support-bot", **more: Any) -> dict[str, Any]:
    return {"role": name, "seen": Role.objects.get(name=name).digest, "reason": "I asked the desk", **more}


def test_the_list_tells_what_is_due_by_whom_and_what_nobody_may_review(
    roles: None, quinn: User, browser_of: Any, later: Any
) -> None:
    later(31)
    shown = text(browser_of(quinn).get(LIST))

    assert "1 role overdue" in shown
    assert re.search(r"closer overdue .* sam every 30 days 1 of 1 to confirm", shown)
    assert re.search(r"lonely later .* olivia every 90 days nobody may review it", shown)
    assert "support-bot" not in text(browser_of(quinn).get(f"{LIST}?show=due"))


def test_everything_is_ticked_and_what_is_unticked_is_proposed(roles: None, ada: User, browser_of: Any) -> None:
    browser = browser_of(ada)
    page = browser.get(ONE, {"role": "support-bot"}).content.decode()
    assert re.findall(r'name="confirm" value="([^"]+)" checked', page) == ["ticket.reply", CLOSE]

    told = browser.post(ONE, word(listed=["ticket.reply", CLOSE], confirm=["ticket.reply"]), follow=True)

    assert "1 of support-bot confirmed. 1 proposed to be dropped: others decide, nothing has changed yet." in text(told)
    request = ApprovalRequest.objects.get(question="change")
    assert request.requester == ada
    assert f'href="/approvals/{request.pk}/"' in browser.get(ONE, {"role": "support-bot"}).content.decode()


def test_the_reviewer_reads_what_becomes_more_allowed_before_he_drops_a_gate(
    person: Callable[..., User], olivia: User, ada: User, sam: User, quinn: User, browser_of: Any
) -> None:
    for name in ("lee", "mia"):
        person(name, "Deciders")
    person("ben", "Support leads")
    config.bootstrap(
        policy("config-change", ("Deciders", 2)),
        policy("reply-1", ("Deciders", 1)),
        capability(CLOSE),
        role("support-bot", grant("gate", policy="reply-1"), grant("allow", CLOSE)),
        role("helper", grant("allow")),
        agent(roles=["support-bot", "helper"]),
    )
    says = (
        "if dropped Without this gate more is allowed: whoever has support-bot and another role that lets ticket.reply through"
    )
    browser = browser_of(ada)
    page = browser.get(ONE, {"role": "support-bot"})
    assert says in text(page)
    assert re.findall(r'name="told" value="([^"]+)"', page.content.decode()) == ["ticket.reply"]
    assert says not in text(browser_of(quinn).get(ONE, {"role": "support-bot"}))  # he drops nothing

    untold = browser.post(ONE, word(listed=["ticket.reply", CLOSE], one="drop ticket.reply"))
    assert untold.status_code == 409
    assert "Dropping this lets more through drop_widens" in text(untold)
    assert not ChangeSet.objects.filter(status="proposed").exists()

    browser.post(ONE, word(listed=["ticket.reply", CLOSE], one="drop ticket.reply", told=["ticket.reply"]))
    request = ApprovalRequest.objects.get(question="change")
    assert "Without this gate more is allowed" in text(
        browser_of(User.objects.get(username="lee")).get(f"/approvals/{request.pk}/")
    )


def test_one_grant_is_confirmed_by_its_own_button(roles: None, ada: User, browser_of: Any) -> None:
    browser = browser_of(ada)

    told = browser.post(ONE, word(listed=["ticket.reply", CLOSE], one=f"confirm {CLOSE}"), follow=True)

    assert "1 of support-bot confirmed. 1 left." in text(told)
    assert not ChangeSet.objects.filter(status="proposed").exists()
    assert "1 of 2 to confirm" in text(told)


def test_without_a_reason_nothing_is_recorded_and_the_ticks_stay(roles: None, ada: User, browser_of: Any) -> None:
    answer = browser_of(ada).post(ONE, word(listed=["ticket.reply", CLOSE], confirm=[CLOSE], reason=" "))

    assert answer.status_code == 422
    assert "Say why. Nothing was recorded." in text(answer)
    assert re.findall(r'name="confirm" value="([^"]+)" checked', answer.content.decode()) == [CLOSE]
    assert not Event.objects.filter(type="role.reviewed").exists()


def test_a_reviewer_who_sees_no_access_sees_his_role_and_no_other(roles: None, sam: User, browser_of: Any) -> None:
    browser = browser_of(sam)
    shown = text(browser.get(LIST))

    assert "closer" in shown
    assert "support-bot" not in shown
    assert "lonely" not in shown
    assert browser.get(ONE, {"role": "closer"}).status_code == 200
    assert browser.get(ONE, {"role": "support-bot"}).status_code == 404
    assert browser.get("/matrix/").status_code == 403
    assert browser.post(ONE, word("support-bot", one=f"drop {CLOSE}")).status_code == 404


def test_who_reviews_nothing_and_sees_no_access_is_refused(roles: None, person: Any, browser_of: Any) -> None:
    browser = browser_of(person("zoe"))

    assert browser.get(LIST).status_code == 403
    assert browser.get(ONE, {"role": "closer"}).status_code == 404


def test_who_holds_the_role_is_told_so_and_offered_nothing(roles: None, olivia: User, browser_of: Any) -> None:
    browser = browser_of(olivia)
    page = browser.get(ONE, {"role": "lonely"})

    assert "Nobody may review this role" in text(page)
    assert "Propose to drop" not in text(page)
    assert browser.post(ONE, word("lonely", one=f"confirm {CLOSE}")).status_code == 403
    assert Event.objects.filter(type="access.denied", actor_ref=str(olivia.pk), line__contains="own_role").exists()


def test_an_agent_that_the_reader_may_not_see_is_not_named(roles: None, sam: User, browser_of: Any) -> None:
    grants.grant(Group.objects.get(name="Support leads"), Area.objects.get(name="access"), "view", actor=SYSTEM, reason="test")
    browser = browser_of(sam)
    page = text(browser.get(ONE, {"role": "support-bot"}))
    assert "Held by no agent that you may see." in page
    assert "responder" not in page

    grants.grant(
        Group.objects.get(name="Support leads"), Agent.objects.get(name="responder"), "view", actor=SYSTEM, reason="test"
    )
    assert "Held by responder." in text(browser.get(ONE, {"role": "support-bot"}))


def test_home_tells_the_reviewer_two_weeks_before_and_nobody_else(
    roles: None, sam: User, quinn: User, browser_of: Any, later: Any
) -> None:
    later(15)
    assert "Confirm the grants of closer" not in text(browser_of(sam).get("/"))
    later(2)

    assert "Confirm the grants of closer" in text(browser_of(sam).get("/"))
    assert "Confirm the grants" not in text(browser_of(quinn).get("/"))


def test_home_tells_who_may_edit_access_what_is_overdue_and_what_nobody_may_review(
    roles: None, ada: User, sam: User, browser_of: Any, later: Any
) -> None:
    assert "Nobody may review lonely" in text(browser_of(ada).get("/"))
    later(31)

    assert "The review of closer was not done in time." in text(browser_of(ada).get("/"))
    assert "Nobody may review lonely" not in text(browser_of(sam).get("/"))


def test_a_proposal_made_by_time_is_shown_as_such(roles: None, sam: User, browser_of: Any, later: Any) -> None:
    later(31)
    lapsing.Watch().look()

    shown = text(browser_of(sam).get(ONE, {"role": "closer"}))
    assert "1 grant is proposed to be dropped by AEGIS, for the review is overdue." in shown
    assert "Propose to drop" in shown


def test_a_proposal_is_a_link_for_who_may_open_it_alone(roles: None, ada: User, sam: User, browser_of: Any, later: Any) -> None:
    later(31)
    lapsing.Watch().look()
    link = f'href="/approvals/{ApprovalRequest.objects.get(question="change").pk}/"'

    for address in (LIST, f"{ONE}?role=closer"):
        assert link in browser_of(ada).get(address).content.decode()
        assert link not in browser_of(sam).get(address).content.decode()


def test_the_pages_ask_as_many_questions_for_many_roles_as_for_few(roles: None, ada: User, browser_of: Any, later: Any) -> None:
    later(31)
    browser = browser_of(ada)
    counts = []
    for number in range(2):
        for address in (LIST, "/"):
            browser.get(address)
            with CaptureQueriesContext(connection) as asked:
                browser.get(address)
            counts.append(len(asked))
        more = [role(f"bot-{number}-{index}", grant("allow")) for index in range(6)]
        config.propose(ada, *(_reviewed(one, person="sam", every_days=1) for one in more))

    assert counts[:2] == counts[2:]


def test_a_role_without_a_grant_has_no_review(roles: None, ada: User, browser_of: Any) -> None:
    config.propose(ada, role("idle"))

    assert role_reviews.of_role("idle") is None
    assert browser_of(ada).get(ONE, {"role": "idle"}).status_code == 404
