"""A right taken in an emergency is told by mail and webhook: once each time, to all who watch over access, whoever took it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail

from aegis.core import clock
from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.identity import announcing, emergency, grants, people
from aegis.identity.models import Area, TakenRight, User
from approvals import delegations
from approvals.notices import audience, outbox
from approvals.notices.models import Delivery, Notice, NoticePreference
from audit import journal
from audit.models import Event
from orchestration.engine import webhook, worker

pytestmark = pytest.mark.django_db

WHY = "the night shift cannot stop the refunds"
HOUR = timedelta(hours=1)
SITE = "https://aegis.example.org"
TAKEN, OVER, LATE = Notice.Kind.BROKEN_INTO, Notice.Kind.OVER, Notice.Kind.UNREVIEWED


@pytest.fixture(autouse=True)
def telling(settings: Any) -> None:
    settings.TELLS_BY_MAIL, settings.PUBLIC_URL = True, SITE


@pytest.fixture
def watchers(nora: User, ada: User, quinn: User, sam: User, root: User) -> None:
    """Everybody has an address; ada and quinn see access."""
    for user in (nora, ada, quinn, sam, root):
        User.objects.filter(pk=user.pk).update(email=f"{user.username}@example.org")


def of(person: User) -> Actor:
    return user_actor(person.pk, auth="session")


def take(person: User, area: str = "workflows", verb: str = "operate", for_time: timedelta = HOUR) -> TakenRight:
    return emergency.take(area, verb, for_time=for_time, actor=of(person), reason=WHY)


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """As if that much time had passed."""
    moment = clock.db_now() + by
    monkeypatch.setattr(clock, "db_now", lambda: moment)
    monkeypatch.setattr(clock, "now", lambda: moment)


def told() -> list[str]:
    """To whom a mail went since the last call."""
    outbox.look()
    found = sorted(one.to[0].partition("@")[0] for one in mail.outbox)
    mail.outbox.clear()
    return found


def kinds() -> list[str]:
    return [*Notice.objects.order_by("at", "kind").values_list("kind", flat=True)]


def test_who_watches_over_access_and_who_took_it_hear_of_it_at_once_and_once(watchers, nora) -> None:
    take(nora)
    assert told() == ["ada", "nora", "quinn"]
    assert told() == []


def test_whoever_watches_over_access_is_told_though_he_took_it_himself(watchers, ada) -> None:
    grants.grant(Group.objects.get(name="Admins"), Area.objects.get(name="audit"), "break", actor=SYSTEM, reason="test")
    take(ada, "audit", "operate")
    assert told() == ["ada", "quinn"]


def test_nobody_keeps_himself_from_hearing_and_it_waits_for_no_daily_mail(watchers, nora, ada, quinn) -> None:
    NoticePreference.objects.create(person=ada, mode="never")
    NoticePreference.objects.create(person=quinn, mode="digest", hour=(clock.now().hour - 1) % 24)
    take(nora)
    assert told() == ["ada", "nora", "quinn"]


def test_who_may_review_hears_of_it_without_the_right_to_look(watchers, nora, sam) -> None:
    grants.grant(Group.objects.get(name="Support leads"), Area.objects.get(name="access"), "edit", actor=SYSTEM, reason="test")
    take(nora)
    assert told() == ["ada", "nora", "quinn", "sam"]


def test_who_lost_sight_of_access_by_then_is_not_told(watchers, nora, quinn) -> None:
    take(nora)
    outbox.hand_out()
    people.remove_from_group(quinn.pk, "Auditors", actor=SYSTEM, reason="moved")
    assert told() == ["ada", "nora"]


def test_the_mail_says_who_what_where_and_until_and_nothing_that_was_typed(watchers, nora, settings) -> None:
    row = take(nora)
    outbox.look()
    message = mail.outbox[0]
    assert message.subject == f"AEGIS: A right was taken in an emergency: “operate” on {row.area.title}"
    html = str(message.alternatives[0].content)
    for body in (str(message.body), html):
        assert "taken by Nora" in body
        assert f"{row.ends_at:%Y-%m-%d %H:%M} UTC" in body
        assert f"{SITE}/emergency/" in body
        assert WHY not in body
        assert "/take/" not in body
        assert "/end/" not in body
        assert "/review/" not in body


def test_the_link_decides_nothing_and_asks_for_a_sign_in(watchers, nora, client) -> None:
    take(nora)
    outbox.look()
    path = "/" + str(mail.outbox[0].body).partition(f"{SITE}/")[2].split()[0]
    answer = client.get(path)
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]
    assert TakenRight.objects.get().ended_at is None


@pytest.mark.parametrize("how", ["given back", "taken away", "time", "disabled", "break gone"])
def test_every_end_is_told_once(how: str, watchers, nora, ada, monkeypatch: pytest.MonkeyPatch) -> None:
    row = take(nora)
    told()
    if how in ("given back", "taken away"):
        emergency.end(row.pk, actor=of(nora if how == "given back" else ada), reason="done")
    elif how == "time":
        later(monkeypatch, HOUR)
        emergency.end_due()
    elif how == "disabled":
        people.disable_person(nora.pk, actor=of(ada), reason="left")
    else:
        people.remove_from_group(nora.pk, "On call", actor=of(ada), reason="moved")
    emergency.end_due()

    outbox.look()
    assert {message.subject for message in mail.outbox} == {
        f"AEGIS: A right taken in an emergency is over: “operate” on {row.area.title}"
    }
    assert told() == ["ada", *(["nora"] if how != "disabled" else []), "quinn"]
    assert kinds() == [TAKEN, OVER]


def test_a_review_that_nobody_made_in_time_is_told_once_and_is_on_record(watchers, nora, monkeypatch) -> None:
    row = take(nora)
    emergency.end(row.pk, actor=of(nora), reason="done")
    told()
    later(monkeypatch, emergency.REVIEW_TIME - timedelta(seconds=1))
    assert emergency.tell_late_reviews() == 0
    later(monkeypatch, timedelta(seconds=2))

    assert emergency.tell_late_reviews() == 1
    assert emergency.tell_late_reviews() == 0
    assert told() == ["ada", "nora", "quinn"]
    assert kinds() == [TAKEN, OVER, LATE]
    assert Event.objects.filter(type="access.taken_right_review_late").count() == 1
    assert journal.verify().is_good


def test_what_was_reviewed_in_time_or_between_the_list_and_the_word_is_not_late(watchers, nora, ada, monkeypatch) -> None:
    rows = [take(nora), take(nora, "approvals", "view")]
    for row in rows:
        emergency.end(row.pk, actor=of(nora), reason="done")
    emergency.review(rows[0].pk, verdict="justified", actor=of(ada), reason="I looked")
    later(monkeypatch, 2 * emergency.REVIEW_TIME)
    stale = TakenRight.objects.select_related("person", "area").get(pk=rows[1].pk)
    emergency.review(rows[1].pk, verdict="justified", actor=of(ada), reason="I looked")

    assert not emergency._tell_late(stale, clock.db_now())
    assert emergency.tell_late_reviews() == 0
    assert LATE not in kinds()


def test_the_worker_tells_what_time_did(watchers, nora, monkeypatch) -> None:
    take(nora)
    later(monkeypatch, HOUR)
    worker.housekeep()
    assert kinds() == [TAKEN, OVER]
    later(monkeypatch, emergency.REVIEW_TIME + HOUR)
    worker.housekeep()
    assert kinds() == [TAKEN, OVER, LATE]


def test_home_says_in_red_that_nobody_reviewed_it_in_time(watchers, nora, ada, monkeypatch, browser_of) -> None:
    row = take(nora)
    emergency.end(row.pk, actor=of(nora), reason="done")
    TakenRight.objects.filter(pk=row.pk).update(late_at=clock.now())
    assert "nobody reviewed it in time" in browser_of(ada).get("/").content.decode()
    assert "Not reviewed in time" in browser_of(ada).get("/emergency/").content.decode()


def test_the_verifier_finds_a_word_of_a_late_review_that_nobody_gave(nora) -> None:
    """Whoever writes it into the table keeps the worker from telling it."""
    row = take(nora)
    emergency.end(row.pk, actor=of(nora), reason="done")
    assert journal.verify().is_good
    TakenRight.objects.filter(pk=row.pk).update(late_at=clock.now())
    assert [problem.check for problem in journal.verify().problems] == ["taken"]


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_announced_is_not_taken(nora, monkeypatch) -> None:
    real = announcing._announcer

    def broken(*args: Any) -> None:
        real(*args)
        raise RuntimeError("killed after the outbox was written")

    monkeypatch.setattr(announcing, "_announcer", broken)
    with pytest.raises(RuntimeError):
        take(nora)
    assert not TakenRight.objects.exists()
    assert not Notice.objects.exists()
    assert not Event.objects.filter(type="access.right_taken").exists()

    monkeypatch.setattr(announcing, "_announcer", None)
    with pytest.raises(RuntimeError, match="nobody announces"):
        take(nora)
    assert not TakenRight.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_end_that_is_not_written_is_not_told_and_the_next_sweep_tells_it(nora, monkeypatch) -> None:
    take(nora)
    later(monkeypatch, HOUR)
    with monkeypatch.context() as patched:
        patched.setattr(emergency, "_remember", lambda person: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            emergency.end_due()
    assert kinds() == [TAKEN]
    assert emergency.end_due() == 1
    assert kinds() == [TAKEN, OVER]


def test_nothing_is_kept_where_nothing_can_be_sent(nora, settings) -> None:
    settings.TELLS_BY_MAIL = False
    take(nora)
    assert not Notice.objects.exists()


def test_an_emergency_waits_for_nothing_else(watchers, nora, sam, ada, monkeypatch) -> None:
    now = clock.now()
    delegations.delegate(to=sam.pk, starts_at=now, ends_at=now + HOUR, actor=of(ada), reason="away")
    take(nora)
    monkeypatch.setattr(outbox, "PAGE", 1)
    outbox.hand_out()
    assert [one.kind for one in Notice.objects.filter(handed_at__isnull=False)] == [TAKEN]
    outbox.hand_out()
    Delivery.objects.filter(person=sam).update(due_at=now - HOUR)
    assert outbox.deliver() == 1
    assert "in an emergency" in mail.outbox[0].subject


def test_the_page_of_ones_notices_names_those_of_others_only_to_who_watches(watchers, nora, quinn, browser_of) -> None:
    take(nora)
    outbox.look()
    page = "/approvals/notifications/"
    for person in (nora, quinn):
        assert "A right was taken in an emergency" in browser_of(person).get(page).content.decode()
    people.remove_from_group(quinn.pk, "Auditors", actor=SYSTEM, reason="moved")
    assert "in an emergency</b>" not in browser_of(quinn).get(page).content.decode()
    assert "in an emergency</b>" in browser_of(nora).get(page).content.decode()


def test_whom_to_tell_is_asked_with_as_many_queries_for_many_groups(
    watchers, nora, person, django_assert_max_num_queries
) -> None:
    take(nora)
    notice = Notice.objects.select_related("taken_right").get()
    for number in range(5):
        person(f"p{number}", f"Group {number}")
    audience.recipients(notice)
    with django_assert_max_num_queries(16):  # ada and quinn are asked what they see; nora took it
        assert len(audience.recipients(notice)) == 3


# ---- by webhook -------------------------------------------------------------------------------------------------------------


def test_the_webhook_hears_of_each_time_without_people_and_reasons(nora, settings) -> None:
    settings.TELLS_BY_WEBHOOK = True
    row = take(nora)
    emergency.end(row.pk, actor=of(nora), reason="done")
    outbox.hand_out()
    bodies = [webhook._body(one) for one in Delivery.objects.filter(channel="webhook").order_by("notice__at", "notice__kind")]
    assert [body["type"] for body in bodies] == ["emergency.taken", "emergency.ended"]
    data: Any = bodies[0]["data"]
    assert (data["taken"], data["area"], data["right"]) == (str(row.pk), "workflows", "operate")
    assert data["link"] == f"{SITE}/emergency/"
    assert not {"nora", "Nora", str(nora.pk), WHY} & set(map(str, data.values()))


@pytest.fixture
def dialed(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(address, secret's name) of each attempt; none is connected."""
    settings.TELLS_BY_MAIL, settings.TELLS_BY_WEBHOOK = False, True
    settings.WEBHOOK_URL = "https://all.example.org/"
    found: list[tuple[str, str]] = []
    urls: list[str] = []
    real = webhook.signing.secrets_of

    def endpoint(url: str, allowed: object) -> str:
        urls.append(url)
        return url

    def secrets_of(name: str) -> Any:
        found.append((urls[-1], name))
        return real(name)

    monkeypatch.setattr(webhook.addresses, "endpoint", endpoint)
    monkeypatch.setattr(webhook.signing, "secrets_of", secrets_of)
    for name in (webhook.KEPT_UNDER, webhook.EMERGENCIES_KEPT_UNDER):
        monkeypatch.setenv(name, "whsec_" + base64.b64encode(b"k" * 32).decode())

    def silent(*_: object, **__: object) -> Any:
        raise TimeoutError

    monkeypatch.setattr(webhook, "connect", silent)
    return found


def test_emergencies_go_to_an_address_and_under_a_secret_of_their_own_where_there_is_one(nora, settings, dialed) -> None:
    row = take(nora)
    outbox.look()
    assert dialed == [("https://all.example.org/", webhook.KEPT_UNDER)]
    dialed.clear()

    settings.EMERGENCY_WEBHOOK_URL = "https://watch.example.org/"
    settings.TELLS_BY_WEBHOOK = False
    emergency.end(row.pk, actor=of(nora), reason="done")
    outbox.look()
    assert dialed == [("https://watch.example.org/", webhook.EMERGENCIES_KEPT_UNDER)]


def test_a_silent_receiver_of_emergencies_keeps_nothing_back_from_the_other_nor_the_other_from_it(
    nora: User, settings: Any, dialed: Any, person: Callable[..., User]
) -> None:
    lea, leo = person("lea", "Leads"), person("leo", "Leads")
    settings.EMERGENCY_WEBHOOK_URL = "https://watch.example.org/"
    now = clock.now()
    for _ in range(2):
        delegations.delegate(to=leo.pk, starts_at=now, ends_at=now + HOUR, actor=of(lea), reason="away")
    take(nora)
    take(nora, "approvals", "view")
    outbox.look()
    assert [url for url, _ in dialed] == ["https://watch.example.org/", "https://all.example.org/"]
