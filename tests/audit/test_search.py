from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from aegis.core import clock
from aegis.core.actors import SYSTEM, agent_actor, user_actor
from aegis.core.errors import Invalid
from aegis.identity.models import User
from audit import catalogue, journal, names, scopes, search
from audit.catalogue import EventType
from audit.drafts import Context, Draft
from audit.index import projection
from audit.models import Event, Payload
from audit.search import Search
from tests.support.following import caught_up

catalogue.register(
    EventType(
        "parcel.sent",
        "{actor} sent {subject}",
        "effects",
        payloads={"reason": "personal", "blob": "business"},
        searchable=("reason",),
    )
)

RUN = UUID("3f2a9100-0000-7000-8000-000000000001")


@pytest.fixture
def sent(db: None) -> Callable[..., Event]:
    """Records one event: `sent(reason="...", outcome="done")`. Its scope is `system` unless told otherwise."""

    def record(reason: str = "", *, at: Any = None, stream: str = "config:Parcel", actor: Any = SYSTEM, **fields: Any) -> Event:
        about = {
            "scope": fields.pop("scope", "system"),
            "scope_id": fields.pop("scope_id", ""),
            "run_id": fields.pop("run_id", None),
        }
        payloads = {name: value.encode() for name, value in {"reason": reason, "blob": fields.pop("blob", "")}.items() if value}
        draft = Draft(fields.pop("type", "parcel.sent"), actor, fields.pop("data", {}), payloads, **fields)
        with transaction.atomic():
            journal.append(Context(stream=stream, **about), [draft], at or clock.now())
        return Event.objects.latest("id")

    return record


def found(user: User, **asked: Any) -> list[Event]:
    caught_up()
    return search.find(Search(**asked), user).events


def test_newest_comes_first_in_pages_that_neither_overlap_nor_skip(sent: Callable[..., Event], quinn: User) -> None:
    ids = [sent(outcome="done").pk for _ in range(7)]
    caught_up()

    pages, before = [], None
    while True:
        page = search.find(Search(type=("parcel.sent",), before=before), quinn, limit=3)
        pages.append([event.pk for event in page.events])
        before = page.older
        if before is None:
            break

    assert pages == [ids[6:3:-1], ids[3:0:-1], ids[:1]]


def test_a_full_last_page_offers_no_empty_one(sent: Callable[..., Event], quinn: User) -> None:
    for _ in range(3):
        sent()
    caught_up()

    assert search.find(Search(type=("parcel.sent",)), quinn, limit=3).older is None


def test_a_word_of_the_reason_finds_the_event(sent: Callable[..., Event], quinn: User) -> None:
    wanted = sent("Credit note 771 booked by the requester")
    sent("something else")

    assert found(quinn, text="credit REQUESTER") == [wanted]
    assert found(quinn, text="credit nobody") == []


def test_an_erased_reason_finds_nothing(sent: Callable[..., Event], quinn: User) -> None:
    sent("Credit note 771")
    assert found(quinn, text="credit") != []
    wanted = Event.objects.latest("id")
    Payload.objects.filter(stream=wanted.stream, seq=wanted.seq).update(body="", salt="", erased_at=clock.now())
    projection.forget(wanted.stream, wanted.seq)

    assert found(quinn, text="credit") == []
    assert found(quinn, text="parcel", type=("parcel.sent",)) == [wanted]  # what the line says stays


def test_a_payload_that_is_not_searchable_is_not_searched(sent: Callable[..., Event], quinn: User) -> None:
    sent(blob="Credit note 771")

    assert found(quinn, text="credit") == []


@pytest.mark.parametrize(
    "text", ["100%", "under_score", "a\\b", "o'hara", "q:*", 'a"b', "x' | 'y", "a) OR (b", "größe", "日本"]
)
def test_signs_of_the_database_are_only_text(sent: Callable[..., Event], quinn: User, text: str) -> None:
    wanted = sent(f"exactly {text} here")
    sent("exactly 1001 underXscore ab ohara q5 here")

    assert found(quinn, text=f"exactly {text} here") == [wanted]


@pytest.mark.parametrize("text", ["%", "_", "'", "§", "!!! ***"])
def test_signs_alone_find_nothing(sent: Callable[..., Event], quinn: User, text: str) -> None:
    sent(f"exactly {text} here")

    assert found(quinn, text=text) == []


def test_the_last_word_counts_as_a_beginning_and_no_other(sent: Callable[..., Event], quinn: User) -> None:
    wanted = sent("booked by the requester")

    assert found(quinn, text="booked reque") == [wanted]
    assert found(quinn, text="booked reque %") == [wanted], "signs behind it are no word"
    assert found(quinn, text="reque booked") == []


def test_words_of_the_sentence_type_agent_and_label_find_it(sent: Callable[..., Event], quinn: User) -> None:
    wanted = sent(run_id=RUN, agent="reply-writer", capability="ticket.reply", step="answer", outcome="fast_path")

    for text in (
        "parcel",
        "parcel.sent",
        "reply-writer",
        "ticket.reply",
        "answer",
        "fast_path",
        "RUN-3F2A91",
        str(RUN),
        wanted.leaf,
    ):
        assert wanted in found(quinn, text=text), text
    assert found(quinn, text="RUN-3F2A92") == []


def test_a_word_of_the_format_is_no_word_of_every_event(sent: Callable[..., Event], quinn: User) -> None:
    sent()

    assert found(quinn, text="type_version") == []
    assert found(quinn, text="fence") == []


def test_names_of_people_find_what_they_did(sent: Callable[..., Event], quinn: User, sam: User) -> None:
    wanted = sent(actor=user_actor(sam.pk, auth="session"))
    sent()

    assert wanted in found(quinn, text="sam", type=("parcel.sent",))
    assert found(quinn, actor=("sam",), type=("parcel.sent",)) == [wanted]
    assert found(quinn, actor=(str(sam.pk),), type=("parcel.sent",)) == [wanted]


def test_each_filter_narrows(sent: Callable[..., Event], quinn: User) -> None:
    one = sent(actor=agent_actor(uuid4()), agent="reply-writer", capability="ticket.reply", outcome="done", run_id=RUN)
    two = sent(outcome="denied", stream="config:Other")

    assert found(quinn, outcome=("denied",)) == [two]
    assert found(quinn, outcome=("denied", "done")) == [two, one]
    assert found(quinn, actor=("system",), type=("parcel.sent",)) == [two]
    assert found(quinn, actor=("reply",), type=("parcel.sent",)) == [one]
    assert found(quinn, agent=("reply",)) == found(quinn, capability=("ticket",)) == found(quinn, run=str(RUN)) == [one]
    assert found(quinn, run="run-3f2a91") == [one]
    assert found(quinn, stream="config:Other") == [two]
    assert found(quinn, lane=("effects",)) == [two, one]
    assert found(quinn, lane=("routing",), outcome=("done",)) == []


def test_time_is_bounded_unless_somebody_asks_for_all(sent: Callable[..., Event], quinn: User) -> None:
    now = clock.now()
    old = sent(at=now - timedelta(days=40), outcome="done")
    new = sent(at=now - timedelta(hours=2), outcome="done")

    assert found(quinn, outcome=("done",)) == [new]
    assert found(quinn, outcome=("done",), span="1h") == []
    assert found(quinn, outcome=("done",), span="all") == [new, old]
    assert found(quinn, outcome=("done",), until=now - timedelta(days=39)) == [old]
    assert found(quinn, outcome=("done",), since=now - timedelta(days=1), until=now) == [new]


def test_the_life_of_one_run_is_shown_whole_however_old(sent: Callable[..., Event], quinn: User) -> None:
    old = sent(at=clock.now() - timedelta(days=400), run_id=RUN)

    assert found(quinn, run=str(RUN)) == [old]


def test_nobody_finds_what_they_may_not_see(sent: Callable[..., Event], olivia: User, root: User, monkeypatch: Any) -> None:
    mine, other = str(uuid4()), str(uuid4())
    monkeypatch.setitem(scopes._owners, "workflow", lambda user: [mine] if user.pk == olivia.pk else [])
    seen = sent("shared word", scope="workflow", scope_id=mine, stream="run:1")
    sent("shared word", scope="workflow", scope_id=other, stream="run:2")
    sent("shared word", scope="access", scope_id=other, stream="access:0")

    assert found(olivia, text="shared word") == [seen]
    assert found(olivia, workflow=(other,)) == []
    assert found(olivia, stream="access:0", span="all") == []
    assert found(root, text="shared word") == []  # a superuser in no group


def test_a_disabled_person_finds_nothing(sent: Callable[..., Event], quinn: User) -> None:
    sent()
    quinn.is_active = False

    assert found(quinn) == []


def test_the_number_of_queries_does_not_grow(sent: Callable[..., Event], quinn: User) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            search.find(Search(text="credit note", type=("parcel.sent",)), quinn)
        return len(captured)

    sent("Credit note")
    caught_up()
    few = queries()
    for number in range(30):
        sent(f"Credit note {number}", run_id=uuid4())
    caught_up()

    assert queries() == few


def test_runs_are_found_by_their_business_key(sent: Callable[..., Event], quinn: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(names, "_run_finder", lambda text: [RUN] if text == "INV-7" else [])
    monkeypatch.setitem(scopes._owners, "workflow", lambda user: None)
    wanted = sent(run_id=RUN, scope="workflow")
    sent(run_id=RUN, scope="policy")  # who sees only the policy must not learn keys by asking

    assert found(quinn, text="INV-7") == found(quinn, run="INV-7") == [wanted]


@pytest.mark.parametrize("query", ["q=" + "x" * 201, "from=yesterday", "to=2026-13-01", "actor=" + "x" * 300])
def test_a_search_that_cannot_be_meant_is_refused_by_name(query: str) -> None:
    with pytest.raises(Invalid) as refusal:
        search.from_params(QueryDict(query))

    assert refusal.value.faults[0].where == query.partition("=")[0]


@pytest.mark.parametrize(
    "query", ["before=abc", "before=-1", "before=" + "9" * 40, "span=century", "type=", "q=%00", "before=١"]
)
def test_noise_in_the_address_is_left_alone(query: str) -> None:
    assert search.from_params(QueryDict(query)) == Search()


def test_times_without_a_zone_are_utc() -> None:
    asked = search.from_params(QueryDict("from=2026-11-23T07:00&to=2026-11-23T08:00%2B01:00"))

    assert asked.since is not None
    assert asked.since.isoformat() == "2026-11-23T07:00:00+00:00"
    assert asked.until is not None
    assert asked.until == asked.since


def searches() -> list[Event]:
    return list(Event.objects.filter(type="audit.searched"))


def test_one_event_per_distinct_search_person_and_hour(quinn: User, sam: User, monkeypatch: Any) -> None:
    for _ in range(3):
        search.record_search(Search(text="credit"), user_id=quinn.pk, auth="session")
    assert len(searches()) == 1

    search.record_search(Search(text="debit"), user_id=quinn.pk, auth="session")
    search.record_search(Search(text="credit"), user_id=sam.pk, auth="session")
    assert len(searches()) == 3

    later = clock.now() + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    search.record_search(Search(text="credit"), user_id=quinn.pk, auth="session")
    assert len(searches()) == 4


def test_what_was_searched_for_is_an_erasable_payload(quinn: User) -> None:
    search.record_search(Search(text="zoe@example.org"), user_id=quinn.pk, auth="session")

    (event,) = searches()
    assert "zoe" not in event.line
    assert "zoe@example.org" in Payload.objects.get(stream=event.stream, seq=event.seq).body


def test_looking_at_the_list_without_a_filter_is_no_search(quinn: User) -> None:
    search.record_search(Search(), user_id=quinn.pk, auth="session")
    search.record_search(Search(span="7d", before=4), user_id=quinn.pk, auth="session")

    assert searches() == []
