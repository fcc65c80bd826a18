"""Being told by mail of what is new in a view of the audit: once, only what the reader may see by then, and nothing old."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.db import connection, connections, transaction
from django.db.models import F, Q
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.errors import Conflict, Invalid, NotFound
from aegis.identity import grants, people
from aegis.identity.models import Area, User
from aegis.portal.models import SavedView, Subscription, Telling
from aegis.portal.saved import subscriptions, telling, verbs
from approvals.notices import audience, followed, outbox, posting
from approvals.notices.models import Delivery, Notice, NoticePreference
from audit import catalogue, following, journal, masking
from audit.catalogue import EventType
from audit.drafts import Context, Draft
from audit.index import projection
from audit.models import Event, Payload
from tests.approvals.house import ask, policy_document, store_policy
from tests.support.following import caught_up

pytestmark = pytest.mark.django_db

Browser = Callable[..., Client]
HOSTILE = "<img src=x onerror=alert(1)>\"'"

catalogue.register(
    EventType(
        "umbrella.lost",
        "{actor} lost the umbrella {data.code}",
        "system",
        fields=("code",),
        payloads={"reason": "personal"},
        searchable=("reason",),
    )
)


@pytest.fixture(autouse=True)
def telling_by_mail(settings: Any) -> None:
    settings.TELLS_BY_MAIL, settings.PUBLIC_URL = True, "https://aegis.example.org"


@pytest.fixture
def quinn(quinn: User) -> User:
    return addressed(quinn)


@pytest.fixture
def tess(person: Callable[..., User], quinn: User) -> User:
    """An auditor as quinn is."""
    return addressed(person("tess", "Auditors"))


def addressed(user: User) -> User:
    user.email = f"{user.username}@example.org"
    user.save(update_fields=["email"])
    return user


def acting(person: User) -> Any:
    return user_actor(person.pk, auth="session")


def view_of(
    person: User, query: str = "type=umbrella.lost", name: str = "Lost umbrellas", *, is_shared: bool = False
) -> SavedView:
    row = verbs.save("audit", name, query, actor=acting(person))
    if is_shared:
        verbs.change(row.pk, name=name, group=str(person.groups.get().pk), actor=acting(person))
    return row


def follow(person: User, view: SavedView) -> None:
    subscriptions.subscribe(view.pk, actor=acting(person))


def lose(*codes: str, reason: str = "", at: Any = None, scope: str = "system") -> None:
    """Umbrellas, in the journal and in the search."""
    for code in codes:
        payloads = {"reason": canonical.dump(reason)} if reason else {}
        draft = Draft("umbrella.lost", SYSTEM, {"code": code}, payloads)
        with transaction.atomic():
            journal.append(Context(stream="config:Umbrella", scope=scope), [draft], at or clock.now())
    caught_up()


def at_the_hour() -> None:
    """As if the hour of the daily mail had come again."""
    moved = Subscription.objects.all()
    while moved.filter(due_at__gt=clock.now()).exists():
        moved.update(due_at=F("due_at") - timedelta(days=1))


def told() -> list[tuple[str, str]]:
    """(to, text) of the mails that a round of the worker sends."""
    outbox.look()
    found = [(one.to[0].partition("@")[0], str(one.body)) for one in mail.outbox]
    mail.outbox.clear()
    return sorted(found)


def at_the_hour_told() -> list[tuple[str, str]]:
    at_the_hour()
    return told()


def recorded() -> list[tuple[str, str, dict[str, Any]]]:
    rows = Event.objects.filter(type__in=["view.subscribed", "view.unsubscribed"]).order_by("id")
    return [(row.type, row.actor_ref, canonical.parse(row.line)["data"]) for row in rows]


# ---- what is told ------------------------------------------------------------------------------------------------------------


def test_what_is_new_is_told_once_with_a_count_the_newest_and_a_link(quinn: User) -> None:
    lose("old")
    view = view_of(quinn)
    follow(quinn, view)
    lose(*(f"no-{number}" for number in range(7)))
    assert told() == [], "not before the hour"

    at_the_hour()
    outbox.look()
    (message,) = mail.outbox
    mail.outbox.clear()
    assert message.subject == "AEGIS: New in a saved view: 7 new events", "the name is what somebody typed"
    text, html = str(message.body), str(message.alternatives[0].content)
    assert "Lost umbrellas" in text
    assert re.findall(r"lost the umbrella (\S+)", text) == ["no-6", "no-5", "no-4", "no-3", "no-2"]
    assert f"https://aegis.example.org/views/{view.pk}/\n" in text
    assert f"https://aegis.example.org/views/#view-{view.pk}" in text
    assert "type=" not in text + html, "a mail holds no filter"
    assert "AEGIS lost the umbrella no-6" in html
    assert "umbrella old" not in text
    assert at_the_hour_told() == []

    lose("no-8")
    ((to, body),) = at_the_hour_told()
    assert (to, re.findall(r"lost the umbrella (\S+)", body)) == ("quinn", ["no-8"])
    assert "1 new event," in body


def test_what_was_sealed_and_not_yet_found_by_the_search_is_old(quinn: User) -> None:
    lose("seen")
    with transaction.atomic():
        journal.append(
            Context(stream="config:Umbrella", scope="system"), [Draft("umbrella.lost", SYSTEM, {"code": "old"})], clock.now()
        )
    from audit import sealer

    sealer.seal()
    follow(quinn, view_of(quinn))
    caught_up()
    assert at_the_hour_told() == []


def test_nothing_new_sends_nothing_and_moves_on(quinn: User) -> None:
    follow(quinn, view_of(quinn))
    before = Subscription.objects.get()
    lose("elsewhere", scope="system")
    Subscription.objects.update(view=view_of(quinn, "type=run.submitted", "Runs"))
    assert at_the_hour_told() == []

    after = Subscription.objects.get()
    assert after.told > before.told
    assert after.due_at > clock.now()
    assert not Notice.objects.exists()


def test_the_span_of_a_view_is_no_bound_and_its_days_are(quinn: User) -> None:
    for number, query in enumerate(("span=1h", "from=2026-11-01&to=2099-01-01")):
        follow(quinn, view_of(quinn, f"type=umbrella.lost&{query}", f"View {number}"))
    lose("late", at=clock.now() - timedelta(hours=5))
    lose("long-ago", at=clock.now() - timedelta(days=900))
    bodies = {len(re.findall("lost the umbrella", body)) for _, body in at_the_hour_told()}
    assert bodies == {1, 2}


def test_more_than_can_be_counted_is_said_so(quinn: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "COUNTED", 6)
    follow(quinn, view_of(quinn))
    lose(*"abcdefg")
    ((_, body),) = at_the_hour_told()
    assert "6+ new events" in body


def test_hostile_text_stays_text_and_on_one_line(quinn: User) -> None:
    follow(quinn, view_of(quinn, name=HOSTILE))
    lose(HOSTILE + "\n\nhttps://evil.example " + "x" * 500)
    at_the_hour()
    outbox.look()
    (message,) = mail.outbox
    assert "<img src=x" not in str(message.alternatives[0].content)
    (line,) = [line for line in str(message.body).splitlines() if "evil.example" in line]
    assert line.startswith("- ")
    assert len(line) < 250


# ---- to whom -----------------------------------------------------------------------------------------------------------------


def taken_back(view: SavedView, quinn: User, tess: User) -> None:
    verbs.change(view.pk, name="Lost umbrellas", group="", actor=acting(quinn))


def left(view: SavedView, quinn: User, tess: User) -> None:
    people.remove_from_group(tess.pk, "Auditors", actor=SYSTEM, reason="moved")


def disabled(view: SavedView, quinn: User, tess: User) -> None:
    people.disable_person(tess.pk, actor=SYSTEM, reason="left")


def stopped(view: SavedView, quinn: User, tess: User) -> None:
    subscriptions.unsubscribe(view.pk, actor=acting(tess))


def deleted(view: SavedView, quinn: User, tess: User) -> None:
    verbs.delete(view.pk, actor=acting(quinn))


def blinded(view: SavedView, quinn: User, tess: User) -> None:
    group = Group.objects.get(name="Auditors")
    for area in Area.objects.all():
        grants.revoke(group, area, "view", actor=SYSTEM, reason="test")


@pytest.mark.parametrize("lost", [taken_back, left, disabled, stopped, deleted, blinded])
@pytest.mark.parametrize("when", ["before it is written", "before it is handed out", "before it is sent"])
def test_who_may_not_see_it_by_then_is_told_nothing(lost: Any, when: str, quinn: User, tess: User) -> None:
    view = view_of(quinn, is_shared=True)
    follow(tess, view)
    lose("secret")
    at_the_hour()
    if when != "before it is written":
        followed.write_due()
        assert Notice.objects.count() == 1
    if when == "before it is sent":
        outbox.hand_out()
        assert Delivery.objects.filter(person=tess).exists()
    lost(view, quinn, tess)
    assert told() == []
    assert Notice.objects.exists() == (when != "before it is written")
    if lost is not blinded:  # there he sees the view, and nothing in it, which is known when it is read
        assert Delivery.objects.exists() == (when == "before it is sent")
    lose("another")
    assert [to for to, _ in at_the_hour_told()] == []


def test_a_notice_is_its_readers_alone(quinn: User, tess: User) -> None:
    follow(tess, view_of(quinn, is_shared=True))
    lose("a")
    at_the_hour()
    followed.write_due()
    notice = Notice.objects.get()
    assert [audience.sees(one, notice) for one in (tess, quinn)] == [True, False]
    assert notice.telling is not None
    assert [followed.told(notice.telling, one) is not None for one in (tess, quinn)] == [True, False]


def test_who_sees_a_view_again_is_not_told_of_the_time_between(quinn: User, tess: User) -> None:
    view = view_of(quinn, is_shared=True)
    follow(tess, view)
    taken_back(view, quinn, tess)
    lose("between")
    assert at_the_hour_told() == []
    verbs.change(view.pk, name="Lost umbrellas", group=str(quinn.groups.get().pk), actor=acting(quinn))
    lose("after")
    ((_, body),) = at_the_hour_told()
    assert re.findall(r"lost the umbrella (\S+)", body) == ["after"]


def test_each_is_told_what_he_may_see_himself(quinn: User, person: Callable[..., User]) -> None:
    """Of one view, shared with both: the address grants nothing."""
    people.create_group("Parcels", actor=SYSTEM, reason="test")
    vera = addressed(person("vera", "Parcels"))
    people.add_to_group(quinn.pk, "Parcels", actor=SYSTEM, reason="test")
    view = view_of(quinn)
    verbs.change(view.pk, name="Lost umbrellas", group=str(Group.objects.get(name="Parcels").pk), actor=acting(quinn))
    for one in (quinn, vera):
        follow(one, view)
    lose("secret")
    assert [to for to, _ in at_the_hour_told()] == ["quinn"]
    assert Subscription.objects.values("told").distinct().count() == 1, "both moved on"


class Closed:
    """A masker that hides every payload, so that none is searched."""

    def payloads(self, viewer: Any, rows: Any) -> list[str]:
        return ["null" for _ in rows]

    def values(self, viewer: Any, about: Any) -> list[Any]:
        return [None for _ in about]

    def is_hiding(self, viewer: Any) -> bool:
        return True

    def unsearchable(self, viewer: Any) -> Q | None:
        return Q()


def test_a_text_that_is_masked_is_not_searched_for_the_mail(quinn: User, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(quinn, view_of(quinn, "q=pipistrello"))
    lose("one", reason="it was Pipistrello")
    with monkeypatch.context() as patched:
        patched.setattr(masking, "_masker", Closed())
        assert at_the_hour_told() == [], "that it was found would tell what is masked"
    lose("two", reason="Pipistrello again")
    assert [to for to, _ in at_the_hour_told()] == ["quinn"]


def test_as_each_chose_to_hear(quinn: User, tess: User) -> None:
    view = view_of(quinn, is_shared=True)
    for one in (quinn, tess):
        follow(one, view)
    NoticePreference.objects.create(person=tess, mode="never")
    lose("a")
    assert [to for to, _ in at_the_hour_told()] == ["quinn"]
    assert not Notice.objects.filter(person=tess).exists(), "nothing is written that nobody wants"
    NoticePreference.objects.update(mode="each")
    assert at_the_hour_told() == [], "what passed meanwhile is not told later"


def test_the_hour_is_that_of_the_daily_mail_and_7_without_one(quinn: User, tess: User) -> None:
    NoticePreference.objects.create(person=tess, mode="digest", hour=22)
    view = view_of(quinn, is_shared=True)
    for one in (quinn, tess):
        follow(one, view)
    hours = dict(Subscription.objects.values_list("person__username", "due_at__hour"))
    assert hours == {"quinn": 7, "tess": 22}
    assert not Subscription.objects.exclude(due_at__range=(clock.now(), clock.now() + timedelta(days=1))).exists()

    NoticePreference.objects.update(hour=9)
    lose("a")
    assert [to for to, _ in at_the_hour_told()] == ["quinn"], "it is not the hour that tess chose"
    assert Subscription.objects.get(person=tess).due_at.hour == 9
    ((to, body),) = at_the_hour_told()
    assert (to, "1 new event," in body) == ("tess", True)


def test_a_daily_mail_takes_it_along(quinn: User, person: Callable[..., User]) -> None:
    person("lea", "Leads")
    people.add_to_group(quinn.pk, "Leads", actor=SYSTEM, reason="test")
    NoticePreference.objects.create(person=quinn, mode="digest", hour=7)
    request = ask(store_policy(policy_document()))
    outbox.look()
    follow(quinn, view_of(quinn))
    lose("a")
    Delivery.objects.update(due_at=clock.now())
    ((to, body),) = at_the_hour_told()
    assert to == "quinn"
    assert request.label in body
    assert "lost the umbrella a" in body


# ---- once, and never lost ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_after_a_crash_before_the_commit_it_is_told_once(quinn: User, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(quinn, view_of(quinn))
    lose("a")
    at_the_hour()
    before = Subscription.objects.get()

    class Killed(BaseException):
        pass

    def die(*args: Any, **more: Any) -> None:
        posted(*args, **more)
        raise Killed

    posted = posting.post_followed
    with monkeypatch.context() as patched:
        patched.setattr(posting, "post_followed", die)
        with pytest.raises(Killed):
            followed.write_due()
    after = Subscription.objects.get()
    assert (after.told, after.due_at) == (before.told, before.due_at)
    assert (Notice.objects.count(), Telling.objects.count()) == (0, 0)
    assert [to for to, _ in told()] == ["quinn"]
    assert told() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_two_workers_at_once_write_one_notice(quinn: User, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(quinn, view_of(quinn))
    searched, barrier, written = telling._finds, threading.Barrier(2), list[int]()

    def finds(*args: Any) -> bool:
        found = searched(*args)
        barrier.wait(10)  # both have looked, neither has written
        return found

    monkeypatch.setattr(telling, "_finds", finds)
    for number in range(5):
        lose(f"no-{number}")
        at_the_hour()

        def work() -> None:
            try:
                written.append(followed.write_due())
            finally:
                connections.close_all()

        workers = [threading.Thread(target=work) for _ in range(2)]
        for one in workers:
            one.start()
        for one in workers:
            one.join(30)
        assert sorted(written) == [0, 1]
        written.clear()
    assert (Notice.objects.count(), Telling.objects.count()) == (5, 5)
    spans = list(Telling.objects.order_by("after").values_list("after", "through"))
    assert all(one[1] == two[0] for one, two in itertools.pairwise(spans)), "no gap, and nothing twice"


def test_while_the_search_is_rebuilt_nothing_is_lost_and_nothing_told_twice(quinn: User) -> None:
    lose("old")
    view = view_of(quinn)
    follow(quinn, view)
    lose("a")
    at_the_hour()
    followed.write_due()
    outbox.hand_out()
    following.rebuild(projection.NAME)
    assert told() == []
    row = Delivery.objects.get()
    assert (row.sent_at, "rebuilt" in row.detail) == (None, True), "it is tried again, and does not say that nothing was new"
    at_the_hour()
    place = Subscription.objects.get().told
    assert told() == []
    assert Subscription.objects.get().told == place
    subscriptions.unsubscribe(view_of(quinn, name="Other").pk, actor=acting(quinn))

    caught_up()
    Delivery.objects.update(due_at=clock.now())
    ((_, body),) = told()
    assert re.findall(r"lost the umbrella (\S+)", body) == ["a"]
    assert at_the_hour_told() == []


def test_who_follows_while_the_search_is_rebuilt_is_told_nothing_old(quinn: User) -> None:
    lose("old")
    following.rebuild(projection.NAME)
    follow(quinn, view_of(quinn))
    caught_up()
    assert at_the_hour_told() == []


def test_one_that_cannot_be_read_keeps_no_other_back_and_comes_again(
    quinn: User, tess: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in (quinn, tess):
        follow(one, view_of(one))
    lose("a")
    searched = telling._finds

    def finds(row: Subscription, through: int) -> bool:
        if row.person_id == quinn.pk:
            raise LookupError("broken")
        return searched(row, through)

    with monkeypatch.context() as patched:
        patched.setattr(telling, "_finds", finds)
        assert [to for to, _ in at_the_hour_told()] == ["tess"]
        assert told() == []
    assert clock.now() < Subscription.objects.get(person=quinn).due_at < clock.now() + telling.AGAIN
    Subscription.objects.filter(person=quinn).update(due_at=clock.now().replace(hour=7) - timedelta(days=1))
    assert [to for to, _ in told()] == ["quinn"]


def test_what_breaks_in_it_keeps_no_mail_back(quinn: User, person: Callable[..., User], monkeypatch: Any) -> None:
    addressed(person("lea", "Leads"))
    ask(store_policy(policy_document()))

    def broken() -> int:
        raise LookupError

    monkeypatch.setattr(telling.Views, "write_due", lambda self: broken())
    assert [to for to, _ in told()] == ["lea"]


def test_a_round_is_bounded(quinn: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        follow(quinn, view_of(quinn, name=f"View {number}"))
    lose("a")
    at_the_hour()
    monkeypatch.setattr(telling, "AT_ONCE", 2)
    assert [followed.write_due() for _ in range(4)] == [2, 2, 1, 0]
    lose("b")
    at_the_hour()
    monkeypatch.setattr(telling, "TURN_SECONDS", 0.0)
    assert followed.write_due() == 1, "a slow search leaves the rest to the next round"


def test_where_no_mail_is_sent_it_stays_due(quinn: User, settings: Any) -> None:
    settings.TELLS_BY_MAIL, settings.TELLS_BY_WEBHOOK = False, True
    follow(quinn, view_of(quinn))
    lose("a")
    assert at_the_hour_told() == []
    assert Subscription.objects.get().due_at < clock.now()
    settings.TELLS_BY_MAIL = True
    assert [to for to, _ in told()] == ["quinn"]


# ---- where it must not go ----------------------------------------------------------------------------------------------------


def test_no_webhook_hears_of_it(quinn: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TELLS_BY_WEBHOOK, settings.EMERGENCY_WEBHOOK_URL = True, "https://hooks.example.org/"
    heard: list[Delivery] = []
    monkeypatch.setattr(outbox, "_webhook", [heard.append])
    follow(quinn, view_of(quinn))
    lose("a")
    assert [to for to, _ in at_the_hour_told()] == ["quinn"]
    assert heard == []
    assert set(Delivery.objects.values_list("channel", flat=True)) == {"mail"}


def test_given_up_it_is_shown_to_its_reader_and_to_nobody_else(quinn: User, tess: User, ada: User, browser_of: Browser) -> None:
    page = "/approvals/notifications/given-up/"
    follow(tess, view_of(tess, name="Of tess"))
    lose("a")
    at_the_hour()
    followed.write_due()
    outbox.hand_out()
    now = clock.now()
    Delivery.objects.update(dead_at=now, tried_since=now - outbox.GIVE_UP, detail="OSError")
    seen = {one.username: browser_of(one).get(page).content.decode() for one in (quinn, tess, ada)}
    assert {name: "New in a saved view" in text for name, text in seen.items()} == {"quinn": False, "tess": True, "ada": False}
    assert "Of tess" not in "".join(seen.values())
    answer = browser_of(ada).post(f"{page}again/", {"reason": "mended", "one": str(Delivery.objects.get().pk)})
    assert answer.status_code == 404
    Delivery.objects.all().delete()
    Notice.objects.update(dead_at=now)
    assert "New in a saved view" not in browser_of(ada).get(page).content.decode()


def test_a_notice_is_for_one_person_and_of_one_thing(quinn: User) -> None:
    from django.db import IntegrityError

    for fields in ({"telling": uuid4()}, {"person": quinn}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Notice.objects.create(kind="followed", at=clock.now(), **fields)
    key = uuid4()
    Notice.objects.create(kind="followed", at=clock.now(), person=quinn, telling=key)
    with pytest.raises(IntegrityError), transaction.atomic():
        Notice.objects.create(kind="followed", at=clock.now(), person=quinn, telling=key)


# ---- asking for it -----------------------------------------------------------------------------------------------------------


def test_it_goes_on_record_and_names_are_payloads(quinn: User, browser_of: Browser) -> None:
    view, browser = view_of(quinn), browser_of(quinn)
    for _ in range(2):
        assert browser.post(f"/views/{view.pk}/subscribe/").status_code == 302
    for _ in range(2):
        assert browser.post(f"/views/{view.pk}/unsubscribe/").status_code == 302
    about = {"view": str(view.pk), "page": "audit"}
    assert recorded() == [
        ("view.subscribed", str(quinn.pk), about),
        ("view.unsubscribed", str(quinn.pk), {**about, "people": 1}),
    ]
    event = Event.objects.get(type="view.subscribed")
    kept = dict(Payload.objects.filter(stream=event.stream, seq=event.seq).values_list("name", "body"))
    assert kept == {"name": '"Lost umbrellas"', "query": '"type=umbrella.lost"'}
    assert not Subscription.objects.exists()


def test_deleting_a_view_ends_it_for_all_on_record(quinn: User, tess: User) -> None:
    view = view_of(quinn, is_shared=True)
    for one in (quinn, tess):
        follow(one, view)
    taken_back(view, quinn, tess)
    verbs.delete(view.pk, actor=acting(quinn))
    assert not Subscription.objects.exists()
    assert recorded()[-1] == ("view.unsubscribed", str(quinn.pk), {"view": str(view.pk), "page": "audit", "people": 2})


@pytest.mark.parametrize("verb", ["subscribe", "unsubscribe"])
def test_what_is_hidden_is_unknown_and_only_a_post_counts(verb: str, quinn: User, sam: User, browser_of: Browser) -> None:
    view = view_of(quinn)
    hidden, unknown = (browser_of(sam).post(f"/views/{pk}/{verb}/") for pk in (view.pk, uuid4()))
    assert (hidden.status_code, hidden.content) == (404, unknown.content)
    assert browser_of(quinn).get(f"/views/{view.pk}/{verb}/").status_code == 405
    assert browser_of(quinn, enforce_csrf_checks=True).post(f"/views/{view.pk}/{verb}/").status_code == 403
    assert not Subscription.objects.exists()


def test_the_link_of_a_mail_opens_the_view_for_who_sees_it(quinn: User, sam: User, browser_of: Browser) -> None:
    view = view_of(quinn)
    assert browser_of(quinn).get(f"/views/{view.pk}/")["Location"] == "/audit/?type=umbrella.lost"
    assert browser_of(sam).get(f"/views/{view.pk}/").status_code == 404


def test_a_form_leads_back_to_where_it_stands_and_nowhere_else(quinn: User, browser_of: Browser) -> None:
    browser, address = browser_of(quinn), f"/views/{view_of(quinn).pk}/subscribe/"
    ways = {
        "": "/views/",
        "notices": "/approvals/notifications/",
        "https://evil.example/": "/views/",
        "audit": "/audit/?type=a",
    }
    for back, leads in ways.items():
        assert browser.post(address, {"back": back, "query": "type=a&next=//evil.example"})["Location"] == leads


def test_only_views_of_the_audit_and_only_so_many(quinn: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid):
        follow(quinn, verbs.save("runs", "Runs", "status=failed", actor=acting(quinn)))
    with pytest.raises(Invalid) as refused:
        follow(quinn, view_of(quinn, "to=2020-01-01", "Over"))
    assert "nothing new can come" in refused.value.faults[0].what
    monkeypatch.setattr(subscriptions, "MOST", 1)
    follow(quinn, view_of(quinn, name="One"))
    with pytest.raises(Conflict, match="end one first"):
        follow(quinn, view_of(quinn, name="Two"))
    with pytest.raises(NotFound):
        subscriptions.subscribe(UUID(int=0), actor=acting(quinn))


# ---- a view that is not read any more ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["type=umbrella.lost&from=yesterday", "type=umbrella.lost&colour=red", "figure=%01x"])
def test_a_stale_view_says_so_and_is_not_told(query: str, quinn: User, browser_of: Browser) -> None:
    view = view_of(quinn)
    follow(quinn, view)
    SavedView.objects.update(query=query)
    lose("a")
    assert at_the_hour_told() == []
    for address in ("/views/", "/approvals/notifications/"):
        page = browser_of(quinn).get(address).content.decode()
        assert "Nothing of it is told: its filters cannot be read any more" in page
        assert "Stop telling me" in page
    subscriptions.unsubscribe(view.pk, actor=acting(quinn))
    page = browser_of(quinn).get("/views/").content.decode()
    assert "It cannot be told by mail: its filters cannot be read any more" in page
    assert "Tell me by mail" not in page


def test_one_that_becomes_stale_before_the_mail_is_written_sends_nothing(quinn: User) -> None:
    follow(quinn, view_of(quinn))
    lose("a")
    at_the_hour()
    followed.write_due()
    outbox.hand_out()
    SavedView.objects.update(query="type=umbrella.lost&colour=red")
    assert told() == []


# ---- the pages ---------------------------------------------------------------------------------------------------------------


def test_the_pages_offer_it_and_say_how_it_stands(quinn: User, tess: User, browser_of: Browser) -> None:
    view = view_of(quinn, is_shared=True)
    verbs.save("runs", "Runs", "status=failed", actor=acting(tess))
    browser = browser_of(tess)
    for address in ("/audit/", "/views/"):
        page = browser.get(address).content.decode()
        assert page.count("Tell me by mail") == 1, "of the audit alone"
        assert "told by mail" not in page
    assert "Tell me by mail" not in browser.get("/runs/").content.decode()
    answer = browser.post(f"/views/{view.pk}/subscribe/", {"back": "audit", "query": ""}, follow=True).content.decode()
    assert "You will be told of “Lost umbrellas” by mail once a day, after 7:00 UTC, if there is something new." in answer
    assert "Stop telling me" in answer
    assert ">told by mail<" in answer
    for address in ("/views/", "/approvals/notifications/"):
        assert "Stop telling me" in browser.get(address).content.decode()
    assert "Stop telling me" not in browser_of(quinn).get("/views/").content.decode()


def test_a_page_says_why_no_mail_comes(quinn: User, settings: Any, browser_of: Browser) -> None:
    follow(quinn, view_of(quinn))
    browser = browser_of(quinn)
    NoticePreference.objects.create(person=quinn, mode="never")
    assert "once you choose to get mail at all" in browser.get("/views/").content.decode()
    NoticePreference.objects.all().delete()
    User.objects.filter(pk=quinn.pk).update(email="")
    assert "once an admin of people has added a mail address" in browser.get("/approvals/notifications/").content.decode()
    settings.TELLS_BY_MAIL = False
    assert "This AEGIS sends no mail" in browser.get("/views/").content.decode()
    assert "This AEGIS sends no mail" in browser.get("/audit/").content.decode()


def test_what_went_out_is_listed_without_a_name(quinn: User, browser_of: Browser) -> None:
    follow(quinn, view_of(quinn))
    lose("a")
    at_the_hour_told()
    subscriptions.unsubscribe(SavedView.objects.get().pk, actor=acting(quinn))
    page = browser_of(quinn).get("/approvals/notifications/").content.decode()
    assert "New in a saved view" in page
    assert "Lost umbrellas" not in page


@pytest.fixture
def cost(quinn: User, browser_of: Browser) -> Callable[[str], int]:
    browser = browser_of(quinn)

    def of(address: str) -> int:
        browser.get(address)
        with CaptureQueriesContext(connection) as captured:
            browser.get(address)
        return len(captured)

    return of


@pytest.mark.parametrize("address", ["/views/", "/audit/", "/approvals/notifications/"])
def test_pages_cost_the_same_however_many_are_followed(address: str, quinn: User, cost: Callable[[str], int]) -> None:
    follow(quinn, view_of(quinn, name="First"))
    before = cost(address)
    for number in range(6):
        follow(quinn, view_of(quinn, name=f"View {number}"))
    assert cost(address) == before
