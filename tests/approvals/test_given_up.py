"""The page of notices that were given up: who sees which of them, why, and who sends them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.errors import Forbidden, Invalid, NotFound
from aegis.identity import grants
from aegis.identity.models import Area, User
from approvals import delegations
from approvals.models import ApprovalPolicy, ApprovalRequest
from approvals.notices import again, givenup, outbox
from approvals.notices.models import Delivery, Notice
from audit.models import Event, Payload
from tests.approvals.house import ask, policy_document, store_policy

pytestmark = pytest.mark.django_db

PAGE = "/approvals/notifications/given-up/"
AGAIN = f"{PAGE}again/"


@pytest.fixture(autouse=True)
def telling(settings: Any) -> None:
    settings.TELLS_BY_MAIL = settings.TELLS_BY_WEBHOOK = True


@pytest.fixture
def lea(person: Callable[..., User]) -> User:
    user = person("lea", "Leads")
    User.objects.filter(pk=user.pk).update(email="lea@example.org")
    return user


@pytest.fixture
def policy(lea: User) -> ApprovalPolicy:
    return store_policy(policy_document())


@pytest.fixture
def request_(policy: ApprovalPolicy) -> ApprovalRequest:
    return ask(policy)


def give_up(detail: str = "OSError") -> None:
    """All that waits: written and tried for 48 hours, in vain."""
    outbox.hand_out()
    now = clock.now()
    Delivery.objects.filter(dead_at=None).update(dead_at=now, tried_since=now - outbox.GIVE_UP, attempts=28, detail=detail)


def shown(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return str(answer.content.decode())


def dead() -> int:
    return Delivery.objects.filter(dead_at__isnull=False).count() + Notice.objects.filter(dead_at__isnull=False).count()


def test_who_reads_the_audit_sees_what_was_given_up_and_why(request_, quinn, browser_of) -> None:
    give_up("SMTPServerDisconnected")
    page = shown(browser_of(quinn))
    assert request_.label in page
    assert "SMTPServerDisconnected" in page
    assert "28 attempts" in page
    assert "to Lea" in page
    assert "lea@example.org" not in page
    assert "Send it again" not in page
    assert "Sending them again is for: nobody yet" in page


def test_a_name_is_for_who_sees_people(request_, quinn, browser_of) -> None:
    group = Group.objects.get(name="Auditors")
    grants.revoke(group, Area.objects.get(name="people"), "view", actor=SYSTEM, reason="test")
    give_up()
    page = shown(browser_of(quinn))
    assert "to one person" in page
    assert "Lea" not in page


def test_nobody_sees_one_about_what_he_may_not_see(request_, lea, ada, person, browser_of) -> None:
    now, leo = clock.now(), person("leo", "Leads")
    delegations.delegate(
        to=leo.pk, starts_at=now, ends_at=now + outbox.GIVE_UP, actor=user_actor(lea.pk, auth="test"), reason="away"
    )
    give_up()
    vera = person("vera", "Mail clerks")
    grants.grant(
        Group.objects.get(name="Mail clerks"), Area.objects.get(name="approvals"), "operate", actor=SYSTEM, reason="test"
    )
    page = shown(browser_of(vera))
    assert request_.label not in page
    assert "Delegation" not in page.partition("<main")[2]
    assert "Nothing that you may see was given up" in page

    before = dead()
    key = Delivery.objects.filter(notice__request=request_).first().pk
    with pytest.raises(NotFound):
        givenup.send_again(actor=user_actor(vera.pk, auth="session"), reason="mended", only=key)
    assert givenup.send_again(actor=user_actor(vera.pk, auth="session"), reason="mended") == 0
    assert dead() == before
    assert not Event.objects.filter(type="notices.again").exists()


@pytest.mark.parametrize("who", ["sam", "root", "olivia"])
def test_others_see_no_page_and_send_nothing(who: str, request_, request, browser_of) -> None:
    client = browser_of(request.getfixturevalue(who))
    give_up()
    before = dead()
    assert client.get(PAGE).status_code == 403
    assert client.post(AGAIN, {"reason": "mended"}).status_code == 403
    assert client.post(AGAIN, {}).status_code == 403
    assert PAGE not in client.get("/approvals/notifications/").content.decode()
    assert dead() == before


def test_who_may_only_look_sends_nothing(request_, quinn, browser_of) -> None:
    give_up()
    before = dead()
    answer = browser_of(quinn).post(AGAIN, {"reason": "mended"})
    assert answer.status_code == 403
    assert dead() == before
    assert not Event.objects.filter(type="notices.again").exists()


@pytest.mark.parametrize("verb", ["operate", "edit"])
def test_either_right_on_approvals_is_enough(verb: str, request_, quinn) -> None:
    give_up()
    grants.grant(Group.objects.get(name="Auditors"), Area.objects.get(name="approvals"), verb, actor=SYSTEM, reason="test")
    assert givenup.send_again(actor=user_actor(quinn.pk, auth="session"), reason="mended") == 2


def test_all_of_it_goes_out_again_on_record_with_the_reason(request_, ada, browser_of) -> None:
    give_up()
    client = browser_of(ada)
    assert "Send all again" in shown(client)
    answer = client.post(AGAIN, {"reason": "the server is back"}, follow=True)
    assert "2 notices go out again" in answer.content.decode()
    assert dead() == 0
    assert set(Delivery.objects.values_list("attempts", "tried_since")) == {(0, None)}
    event = Event.objects.get(type="notices.again")
    assert (event.actor_ref, canonical.parse(event.line)["data"]) == (str(ada.pk), {"mails": 1, "webhooks": 1, "notices": 0})
    assert Payload.objects.get(stream=event.stream, seq=event.seq).body == '"the server is back"'
    assert "somebody did it already" in client.post(AGAIN, {"reason": "once more"}, follow=True).content.decode()
    assert Event.objects.filter(type="notices.again").count() == 1


def test_one_of_them_goes_out_again_and_the_others_stay(request_, ada, browser_of) -> None:
    give_up()
    mail = Delivery.objects.get(channel="mail")
    browser_of(ada).post(AGAIN, {"reason": "her box was full", "one": str(mail.pk)})
    mail.refresh_from_db()
    assert mail.dead_at is None
    assert Delivery.objects.get(channel="webhook").dead_at is not None


def test_one_that_could_not_be_written_is_listed_and_written_again(request_, ada, browser_of) -> None:
    now = clock.now()
    Notice.objects.update(dead_at=now, tried_since=now - outbox.GIVE_UP, attempts=20, next_at=now)
    key = Notice.objects.get().pk
    assert "could not be written" in shown(browser_of(ada))
    browser_of(ada).post(AGAIN, {"reason": "mended", "one": str(key)})
    assert outbox.hand_out() == 1
    assert canonical.parse(Event.objects.get(type="notices.again").line)["data"]["notices"] == 1


def test_without_a_reason_nothing_goes_out(request_, ada, browser_of) -> None:
    give_up()
    answer = browser_of(ada).post(AGAIN, {"reason": " "})
    assert answer.status_code == 422
    assert "reason" in answer.content.decode()
    assert dead() == 2
    with pytest.raises(Invalid):
        givenup.send_again(actor=user_actor(ada.pk, auth="session"), reason="")


@pytest.mark.parametrize("one", ["nonsense", "00000000-0000-4000-8000-000000000000"])
def test_an_id_that_is_none_is_404(one: str, request_, ada, browser_of) -> None:
    give_up()
    assert browser_of(ada).post(AGAIN, {"reason": "mended", "one": one}).status_code == 404
    assert dead() == 2


def test_what_is_not_given_up_is_not_moved(request_, ada) -> None:
    outbox.hand_out()
    due = [*Delivery.objects.order_by("pk").values_list("due_at", "attempts")]
    row = Delivery.objects.first()
    assert givenup.send_again(actor=user_actor(ada.pk, auth="session"), reason="mended", only=row.pk) == 0
    assert [*Delivery.objects.order_by("pk").values_list("due_at", "attempts")] == due


def test_a_closed_account_sends_nothing(request_, ada) -> None:
    from aegis.core.errors import NotAuthenticated

    give_up()
    User.objects.filter(pk=ada.pk).update(is_active=False)
    with pytest.raises(NotAuthenticated):
        givenup.send_again(actor=user_actor(ada.pk, auth="session"), reason="mended")
    assert dead() == 2


def test_a_refusal_says_who_may(request_, quinn) -> None:
    grants.grant(Group.objects.get(name="Leads"), Area.objects.get(name="approvals"), "operate", actor=SYSTEM, reason="test")
    with pytest.raises(Forbidden, match="Leads"):
        givenup.send_again(actor=user_actor(quinn.pk, auth="session"), reason="mended")


def test_the_alarm_on_home_leads_here(request_, quinn, browser_of) -> None:
    give_up()
    assert PAGE in browser_of(quinn).get("/").content.decode()
    assert PAGE in browser_of(quinn).get("/approvals/notifications/").content.decode()


def test_the_command_still_sends_everything_and_takes_the_right_that_the_page_takes(request_, person) -> None:
    give_up()
    actor = user_actor(person("ines", "Clerks").pk, auth="cli")
    with pytest.raises(Forbidden):
        again.send_again(actor=actor, reason="mended")
    assert dead() == 2

    grants.grant(Group.objects.get(name="Clerks"), Area.objects.get(name="approvals"), "edit", actor=SYSTEM, reason="test")
    assert again.send_again(actor=actor, reason="mended") == 2


def test_the_list_costs_no_more_with_more_rows(policy, quinn, browser_of, django_assert_max_num_queries) -> None:
    client = browser_of(quinn)

    def cost() -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as captured:
            shown(client)
        return len(captured)

    ask(policy)
    give_up()
    cost()
    before = cost()
    for _ in range(4):
        ask(policy)
    give_up()
    assert cost() == before
