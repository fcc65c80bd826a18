"""Who hears of a request, by mail and digest: with the event, once, only what they may see, and given up visibly."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import call_command
from django.test import Client

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.identity import grants, people
from aegis.identity.models import Area, User
from approvals import delegations, handling, shortage, sweep
from approvals.errors import NotEligible
from approvals.models import ApprovalPolicy, ApprovalRequest, Delegation
from approvals.notices import outbox
from approvals.notices.models import Delivery, Notice, NoticePreference
from audit.models import Event
from orchestration.engine import webhook
from tests.approvals.house import ask, decide_as, policy_document, store_policy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def telling(settings: Any) -> None:
    settings.TELLS_BY_MAIL, settings.PUBLIC_URL = True, "https://aegis.example.org"


@pytest.fixture
def addressed(person: Callable[..., User]) -> Callable[..., User]:
    def make(name: str, *groups: str) -> User:
        user = person(name, *groups)
        user.email = f"{name}@example.org"
        user.save(update_fields=["email"])
        return user

    return make


@pytest.fixture
def lea(addressed: Callable[..., User]) -> User:
    return addressed("lea", "Leads")


@pytest.fixture
def leo(addressed: Callable[..., User]) -> User:
    return addressed("leo", "Leads")


@pytest.fixture
def ines(addressed: Callable[..., User]) -> User:
    return addressed("ines", "Clerks")


@pytest.fixture
def policy(lea: User, leo: User) -> ApprovalPolicy:
    return store_policy(policy_document())


def sent() -> list[tuple[str, str]]:
    """(to, first words of the subject) of what was sent since the last call, by address."""
    found = [(one.to[0].partition("@")[0], one.subject) for one in mail.outbox]
    mail.outbox.clear()
    return sorted(found)


def send_again(reason: str) -> int:
    try:
        call_command("aegis", "notices", "again", "--as", "ines", "--reason", reason, stderr=io.StringIO())
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def later(seconds: float) -> None:
    """As if that time had passed for what waits to be sent."""
    for row in Delivery.objects.filter(sent_at__isnull=True):
        row.due_at -= timedelta(seconds=seconds)
        row.save(update_fields=["due_at"])


def test_who_could_decide_hears_of_it_and_who_asked_hears_how_it_ended(policy, lea, leo, ines) -> None:
    request = ask(policy, requester=ines)
    outbox.look()
    asked = f"AEGIS: A decision is asked of you: {request.label}"
    message = mail.outbox[0]
    assert sent() == [("lea", asked), ("leo", asked)]
    assert f"https://aegis.example.org/approvals/{request.pk}/" in message.body
    assert message.alternatives[0].mimetype == "text/html"
    outbox.look()
    assert sent() == []

    decide_as(lea, request)
    outbox.look()
    assert [to for to, _ in sent()] == ["ines", "lea"]


def test_reminders_withdrawals_and_the_alarm_are_told(lea, leo, ines) -> None:
    policy = store_policy(policy_document(reminders=["50m"], stages=[{"groups": ["Leads"], "quorum": 2}]))
    request = ask(policy, requester=ines)
    Notice.objects.all().delete()
    ApprovalRequest.objects.update(next_at=clock.now(), deadline=clock.now() + timedelta(minutes=40))
    sweep.keep_due()
    people.remove_from_group(leo.pk, "Leads", actor=SYSTEM, reason="moved")
    shortage.Watch().look()
    handling.withdraw(request.pk, actor=user_actor(ines.pk, auth="test"), reason="no more")
    kinds = list(Notice.objects.order_by("seq").values_list("kind", flat=True))
    assert kinds == ["reminded", "short", "settled"]


def test_nobody_is_told_of_what_they_may_not_see_by_then(policy, lea, leo, ines) -> None:
    ask(policy, requester=ines)
    outbox.hand_out()
    people.remove_from_group(leo.pk, "Leads", actor=SYSTEM, reason="moved")
    people.disable_person(lea.pk, actor=SYSTEM, reason="left")

    outbox.deliver()
    assert sent() == []


def test_who_is_bound_has_no_address_or_wants_none_is_not_told(policy, lea, leo, person) -> None:
    person("liv", "Leads")  # without an address
    NoticePreference.objects.create(person=leo, mode="never")
    ask(policy, bound={str(lea.pk): "own the agent"})
    outbox.look()
    assert sent() == []


def test_a_digest_is_one_mail_a_day_with_all_of_it(policy, lea, leo, ines) -> None:
    NoticePreference.objects.create(person=lea, mode="digest", hour=7)
    NoticePreference.objects.create(person=leo, mode="never")
    requests = [ask(policy, requester=ines) for _ in range(3)]
    outbox.look()
    assert sent() == []

    due = Delivery.objects.first().due_at
    assert (due.hour, due.minute) == (7, 0)
    assert clock.now() < due <= clock.now() + timedelta(days=1)
    later(86_400)
    outbox.look()
    body = mail.outbox[0].body
    assert sent() == [("lea", "AEGIS: 3 notices today")]
    assert all(request.label in body for request in requests)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_told_of_what_did_not_happen(policy, lea, leo, ines, monkeypatch) -> None:
    from approvals import docket

    def broken(*_: object) -> None:
        raise RuntimeError("the rest of the transaction failed")

    monkeypatch.setattr(docket.posting, "post", lambda *args: (Notice.objects.create(
        request=args[0], kind=args[1], seq=args[0].seq, at=args[2]), broken()))  # fmt: skip
    with pytest.raises(RuntimeError):
        ask(policy, requester=ines)
    assert not Notice.objects.exists()
    assert not ApprovalRequest.objects.exists()


def test_a_mail_server_that_fails_is_tried_again_later_each_time_and_given_up(
    policy, lea, leo, ines, settings, monkeypatch
) -> None:
    settings.EMAIL_BACKEND = "tests.approvals.test_notices.Broken"
    NoticePreference.objects.create(person=leo, mode="never")
    ask(policy, requester=ines)
    waits, moment = [], [clock.now()]
    monkeypatch.setattr(outbox.clock, "db_now", lambda: moment[0])
    began = moment[0]
    while outbox.look() and (row := Delivery.objects.get()).dead_at is None:
        waits.append((row.due_at - moment[0]).total_seconds())
        assert outbox.deliver() == 0  # not before its time
        moment[0] += timedelta(seconds=waits[-1])
    assert outbox.GIVE_UP <= moment[0] - began <= outbox.GIVE_UP + timedelta(hours=2)
    assert (row.sent_at, row.detail) == (None, "OSError")
    assert (waits[:4], max(waits)) == ([30, 60, 120, 240], 7200)
    moment[0] += timedelta(days=1)
    assert outbox.deliver() == 0

    assert send_again("the mail server is back") == 2  # it takes a right
    grants.grant(Group.objects.get(name="Clerks"), Area.objects.get(name="approvals"), "operate", actor=SYSTEM, reason="test")
    assert send_again("the mail server is back") == 0
    outbox.look()
    assert Delivery.objects.get().dead_at is None  # it was not; the 48 hours begin anew
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    moment[0] += timedelta(seconds=30)
    outbox.look()
    assert [to for to, _ in sent()] == ["lea"]
    line = Event.objects.get(type="notices.again")
    assert (line.actor_ref, canonical.parse(line.line)["data"]["mails"]) == (str(ines.pk), 1)
    assert send_again("once more") == 0
    assert Event.objects.filter(type="notices.again").count() == 1


def test_mail_that_was_given_up_alarms_who_reads_the_audit(policy, lea, ines, quinn, sam, settings, browser_of) -> None:
    settings.EMAIL_BACKEND = "tests.approvals.test_notices.Broken"
    ask(policy, requester=ines)
    outbox.hand_out()
    Delivery.objects.update(tried_since=clock.now() - outbox.GIVE_UP)
    outbox.deliver()
    assert "mails of the last week were given up" in browser_of(quinn).get("/").content.decode()
    assert "were given up" not in browser_of(sam).get("/").content.decode()


def test_a_notice_that_cannot_be_built_keeps_no_other_back(policy, lea, leo, ines, monkeypatch) -> None:
    NoticePreference.objects.create(person=leo, mode="never")
    broken, whole = ask(policy, requester=ines), ask(policy, requester=ines)
    real = outbox.audience.recipients

    def recipients(notice: Notice) -> list[User]:
        if notice.request_id == broken.pk:
            raise LookupError("its subject is gone")
        return real(notice)

    monkeypatch.setattr(outbox.audience, "recipients", recipients)
    outbox.look()
    assert [subject.rpartition(": ")[2] for _, subject in sent()] == [whole.label]
    row = Notice.objects.get(handed_at__isnull=True)
    assert (row.request_id, row.attempts, row.dead_at) == (broken.pk, 1, None)
    assert outbox.hand_out() == 0  # not before its time
    Notice.objects.filter(pk=row.pk).update(next_at=clock.now(), tried_since=clock.now() - outbox.GIVE_UP)
    outbox.hand_out()
    assert outbox.lost(clock.now() - timedelta(hours=1)) == {"": 1}


def test_one_line_that_cannot_be_built_leaves_the_rest_of_a_digest(policy, lea, leo, ines, monkeypatch) -> None:
    NoticePreference.objects.create(person=lea, mode="digest", hour=7)
    NoticePreference.objects.create(person=leo, mode="never")
    broken, whole = ask(policy, requester=ines), ask(policy, requester=ines)
    outbox.hand_out()
    later(86_400)
    real = outbox.mail.titles_of

    def titles_of(person: User, requests: Any) -> Any:
        if any(one.pk == broken.pk for one in requests):
            raise LookupError("its subject is gone")
        return real(person, requests)

    monkeypatch.setattr(outbox.mail, "titles_of", titles_of)
    outbox.deliver()
    (message,) = mail.outbox
    assert whole.label in message.body
    states = {row.notice.request_id: (row.sent_at is not None, row.detail) for row in Delivery.objects.select_related("notice")}
    assert states == {broken.pk: (False, "LookupError"), whole.pk: (True, "")}


def test_a_lease_counts_from_its_own_attempt_and_a_silent_webhook_holds_nothing(
    policy, lea, leo, ines, settings, monkeypatch
) -> None:
    settings.TELLS_BY_WEBHOOK = True
    moment, heard = [clock.now()], []
    for _ in range(2):
        ask(policy, requester=ines)
    monkeypatch.setattr(outbox.clock, "db_now", lambda: moment[0])

    def silent(row: Delivery) -> None:
        heard.append(Delivery.objects.get(pk=row.pk).due_at - moment[0])
        assert len(mail.outbox) == 4  # mail did not wait for it
        raise outbox.Silent("no whole answer within 10 s")

    def slow(rows: Any) -> Any:
        leases.append(Delivery.objects.get(pk=rows[0].pk).due_at - moment[0])
        moment[0] += outbox.LEASE
        return built(rows)

    leases: list[timedelta] = []
    built = outbox._built
    monkeypatch.setattr(outbox, "_built", slow)
    monkeypatch.setattr(outbox, "_webhook", [silent])
    moment[0] += timedelta(seconds=1)
    outbox.look()
    assert leases == [outbox.LEASE] * 4
    assert heard == [outbox.LEASE]  # the first silence ends the pass
    outbox.look()
    assert len(heard) == 2


def test_who_acts_for_somebody_hears_of_it_and_who_acts_for_the_bound_does_not(policy, lea, leo, ines, addressed) -> None:
    vera, vito = addressed("vera", "Clerks"), addressed("vito", "Leads")
    for giver, to in ((lea, vera), (ines, vito)):
        delegations.delegate(
            to=to.pk,
            starts_at=clock.now(),
            ends_at=clock.now() + timedelta(days=1),
            actor=user_actor(giver.pk, auth="test"),
            reason="away",
        )
    outbox.look()
    assert sorted(sent()) == [(to, "AEGIS: You may decide in another’s place: Delegation") for to in ("vera", "vito")]
    ask(policy, requester=ines)
    outbox.look()
    assert [to for to, _ in sent()] == ["lea", "leo", "vera"]


def test_who_is_given_a_request_hears_of_it(policy, lea, leo, ines) -> None:
    request = ask(policy, requester=ines)
    outbox.look()
    sent()
    handling.reassign(request.pk, to=leo.pk, actor=user_actor(lea.pk, auth="test"), reason="I am away")
    outbox.look()
    assert sent() == [("leo", f"AEGIS: A request was given to you: {request.label}")]


def test_after_a_crash_between_sending_and_writing_it_down_the_same_message_is_sent(
    policy, lea, leo, ines, monkeypatch
) -> None:
    NoticePreference.objects.create(person=leo, mode="never")
    ask(policy, requester=ines)
    outbox.hand_out()

    class Killed(BaseException):
        pass

    real = outbox.EmailMultiAlternatives.send

    def then_die(*args: Any) -> None:
        real(*args)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(outbox.EmailMultiAlternatives, "send", then_die)
        with pytest.raises(Killed):
            outbox.deliver()
    assert outbox.deliver() == 0  # the attempt is on record: nobody else makes it at once
    later(outbox.LEASE.total_seconds())
    outbox.deliver()
    first, second = mail.outbox
    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]
    assert Delivery.objects.get().sent_at is not None


def test_a_person_chooses_and_sees_what_went_out(policy, lea, leo, ines, browser_of: Callable[..., Client]) -> None:
    client = browser_of(lea)
    request = ask(policy, requester=ines)
    outbox.look()
    page = client.get("/approvals/notifications/").content.decode()
    assert request.label in page
    assert not NoticePreference.objects.exists()  # a GET changes nothing

    for wrong in ({"mode": "loud"}, {"mode": "digest", "hour": "24"}, {"mode": "each", "hour": "²"}):
        assert client.post("/approvals/notifications/", wrong).status_code == 422
    client.post("/approvals/notifications/", {"mode": "digest", "hour": "6"})
    chosen = NoticePreference.objects.get()
    assert (chosen.person, chosen.mode, chosen.hour) == (lea, "digest", 6)
    assert request.label not in browser_of(ines).get("/approvals/notifications/").content.decode()


class Broken:
    """A mail backend whose server is away."""

    def __init__(self, **_: object) -> None: ...

    def send_messages(self, messages: object) -> int:
        raise OSError("550 password=secret refused")


# ---- delegations -------------------------------------------------------------------------------------------------------------


def lent(giver: User, to: User) -> Delegation:
    now = clock.now()
    return delegations.delegate(
        to=to.pk, starts_at=now, ends_at=now + timedelta(days=2), actor=user_actor(giver.pk, auth="session"), reason="on leave"
    )


def test_who_is_given_a_delegation_hears_of_it_and_the_giver_hears_that_it_was_declined(lea, leo, ines) -> None:
    row = lent(lea, ines)
    outbox.look()
    assert "/approvals/delegations" in mail.outbox[0].body
    assert sent() == [("ines", "AEGIS: You may decide in another’s place: Delegation")]

    delegations.end(row.pk, actor=user_actor(ines.pk, auth="session"), reason="I know nothing of it")
    outbox.look()
    assert "I know nothing of it" not in mail.outbox[0].body, "what somebody typed stays inside"
    assert sent() == [("lea", "AEGIS: Your delegation was declined: Delegation")]
    assert Event.objects.filter(type="delegation.declined", actor_ref=str(ines.pk)).exists()


def test_who_gave_it_takes_it_back_and_the_other_hears_that(lea, ines) -> None:
    row = lent(lea, ines)
    delegations.end(row.pk, actor=user_actor(lea.pk, auth="session"), reason="back")
    outbox.look()
    assert sent() == [("ines", "AEGIS: A delegation to you was taken back: Delegation")], "and not of what counts no more"
    assert not Event.objects.filter(type="delegation.declined").exists()


def test_who_declines_is_bound_by_nothing_of_it(policy, lea, leo) -> None:
    """Whoever started something could else keep a colleague from deciding it, by delegating to him."""
    request = ask(policy, requester=lea)
    row = lent(lea, leo)
    with pytest.raises(NotEligible):
        decide_as(leo, request)

    delegations.end(row.pk, actor=user_actor(leo.pk, auth="session"), reason="no")
    assert decide_as(leo, request).status == "approved"


def test_a_digest_holds_delegations_too(policy, lea, leo, ines) -> None:
    NoticePreference.objects.create(person=leo, mode="digest", hour=7)
    ask(policy, requester=ines)
    lent(lea, leo)
    outbox.look()
    Delivery.objects.filter(person=leo).update(due_at=clock.now())
    mail.outbox.clear()
    outbox.look()
    (one,) = [message for message in mail.outbox if message.to == ["leo@example.org"]]
    assert one.subject == "AEGIS: 2 notices today"
    assert "Leo in the place of Lea" in one.body


def test_the_webhook_hears_of_a_delegation_without_its_people(lea, leo) -> None:
    row = lent(lea, leo)
    notice = Notice.objects.get()
    body = webhook._body(Delivery(notice=notice, channel=Delivery.Channel.WEBHOOK))
    assert body["type"] == "delegation.delegated"
    assert body["data"]["delegation"] == str(row.pk)
    assert not {"lea", "leo", str(lea.pk), "on leave"} & set(map(str, body["data"].values()))


def test_a_mail_server_that_hangs_costs_a_pass_one_timeout_and_not_one_for_each_mail(
    policy, lea, leo, ines, settings, monkeypatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hangs:  # it takes connections and never says a word
        settings.EMAIL_BACKEND = "approvals.notices.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = hangs.getsockname()
        settings.EMAIL_USE_TLS, settings.EMAIL_TIMEOUT = False, 0.3
        settings.TELLS_BY_WEBHOOK = True
        heard: list[Delivery] = []
        monkeypatch.setattr(outbox, "_webhook", [heard.append])
        ask(policy, requester=ines)
        outbox.look()

    mails = Delivery.objects.filter(channel=Delivery.Channel.MAIL).order_by("-attempts")
    assert [one.attempts for one in mails] == [1, 0]
    assert mails[0].detail == "SMTPServerDisconnected"
    assert len(heard) == 1


@pytest.mark.parametrize("greeting", [b"", b"220 here\r\n"])
def test_a_mail_server_that_trickles_costs_a_pass_one_timeout_in_all(
    policy, lea, leo, ines, settings, monkeypatch, greeting
) -> None:
    """A byte now and then keeps every single read within its time."""
    over = threading.Event()

    def trickle(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            peer, _ = server.accept()
            with peer:
                peer.sendall(greeting)
                while not over.wait(0.1):
                    peer.sendall(b"2")

    with socket.create_server(("127.0.0.1", 0)) as drips:
        thread = threading.Thread(target=trickle, args=(drips,), daemon=True)
        thread.start()
        settings.EMAIL_BACKEND = "approvals.notices.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = drips.getsockname()
        settings.EMAIL_USE_TLS, settings.EMAIL_TIMEOUT = False, 0.5
        settings.TELLS_BY_WEBHOOK = True
        heard: list[Delivery] = []
        monkeypatch.setattr(outbox, "_webhook", [heard.append])
        ask(policy, requester=ines)
        watchdog = threading.Timer(8, over.set)  # without the limit the pass would never end
        watchdog.start()
        began = time.monotonic()
        outbox.look()
        took = time.monotonic() - began
        watchdog.cancel()
        over.set()
        thread.join()

    assert took < 4
    assert [one.attempts for one in Delivery.objects.filter(channel=Delivery.Channel.MAIL).order_by("-attempts")] == [1, 0]
    assert len(heard) == 1
