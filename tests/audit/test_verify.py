"""Every kind of forgery within reach of somebody with the database in his hands is found, and the first bad event is named.

Not in reach of this check alone: a stream recomputed to its end together with its head. Checkpoints kept outside find that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from aegis.core.actors import SYSTEM
from audit import chain, journal, triggers, verifications, verify
from audit.drafts import Context, Draft, Head
from audit.models import Event, Payload, Stream, Verification
from audit.problems import Problem
from tests.audit.conftest import NOON
from tests.support.journal_guard import lifted

STREAM = "config:Probe"

OTHER_ID = "0f9a6c1e-5a41-4f0e-9f53-3a4f5b0c7d21"  # fixed: every xdist worker must collect the same tests


@pytest.fixture
def record(note: Callable[..., Any]) -> None:
    """Three streams; the middle one has five lines, each with a payload."""
    note("access:1", 2)
    for number in range(5):
        note(STREAM, reason=f"reason {number}")
    note("system", 3, reason="all of them")


@pytest.fixture
def forge(record: None) -> Iterator[Callable[..., None]]:
    """Runs a statement with the triggers out of the way, and puts them back."""

    def run(statement: str, *values: Any) -> None:
        with lifted(), connection.cursor() as cursor:
            cursor.execute(statement, values)

    return run


def first_bad(stream: str | None = None) -> Problem:
    report = journal.verify(stream)
    assert not report.is_good
    assert report.first_bad is not None
    return report.first_bad


def event(seq: int) -> Event:
    return Event.objects.get(stream=STREAM, seq=seq)


def rewritten(seq: int, **changes: Any) -> tuple[str, str]:
    """Text and leaf of a line with some content changed, canonical again."""
    content = json.loads(event(seq).line) | changes
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text, chain.leaf_hash(text.encode())


def test_an_untouched_record_is_whole(record: None) -> None:
    report = journal.verify()

    assert report.is_good
    assert (report.checked, report.streams, report.payloads, report.erased) == (10, 3, 8, 0)
    assert report.problems == []


def test_one_stream_is_verified_by_itself(record: None) -> None:
    report = journal.verify(STREAM)

    assert report.is_good
    assert (report.checked, report.streams) == (5, 1)


@pytest.mark.parametrize("seq", [1, 3, 5])
def test_an_edited_byte_is_found(forge: Callable[..., None], seq: int) -> None:
    forge("UPDATE audit_event SET line = replace(line, '\"c0\"', '\"c9\"') WHERE stream = %s AND seq = %s", STREAM, seq)

    assert (first_bad().check, first_bad().place) == ("bytes", f"{STREAM}#{seq}")
    assert journal.verify().faults == 1


@pytest.mark.parametrize("seq", [1, 2, 4])
def test_an_edited_line_with_its_hash_made_anew_is_found(forge: Callable[..., None], seq: int) -> None:
    text, leaf = rewritten(seq, cause="change:forged")
    forge("UPDATE audit_event SET line = %s, leaf = %s WHERE stream = %s AND seq = %s", text, leaf, STREAM, seq)

    assert (first_bad().check, first_bad().place) == ("chain", f"{STREAM}#{seq}")
    assert journal.verify().faults == 1


def test_an_edited_last_line_with_its_hash_made_anew_is_found(forge: Callable[..., None]) -> None:
    text, leaf = rewritten(5, cause="change:forged")
    forge("UPDATE audit_event SET line = %s, leaf = %s WHERE stream = %s AND seq = 5", text, leaf, STREAM)

    assert (first_bad().check, first_bad().place) == ("heads", f"{STREAM}#5")


@pytest.mark.parametrize("seq", [2, 3, 5])
def test_a_line_written_anew_behind_another_is_found(forge: Callable[..., None], seq: int) -> None:
    text, leaf = rewritten(seq, prev="e" * 64)
    forge("UPDATE audit_event SET line = %s, leaf = %s WHERE stream = %s AND seq = %s", text, leaf, STREAM, seq)

    assert first_bad().place == f"{STREAM}#{seq}"


def test_an_edited_stored_hash_is_found(forge: Callable[..., None]) -> None:
    forge("UPDATE audit_event SET leaf = %s WHERE stream = %s AND seq = 2", "a" * 64, STREAM)

    assert (first_bad().check, first_bad().place) == ("bytes", f"{STREAM}#2")


def test_a_line_that_is_not_canonical_is_found(forge: Callable[..., None]) -> None:
    text = json.dumps(json.loads(event(5).line))  # same content, with white space
    leaf = chain.leaf_hash(text.encode())
    forge("UPDATE audit_event SET line = %s, leaf = %s WHERE stream = %s AND seq = 5", text, leaf, STREAM)
    Stream.objects.filter(name=STREAM).update(head=leaf)

    assert (first_bad().check, first_bad().place) == ("bytes", f"{STREAM}#5")


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "no json", '{"v":1}', '{"payload":[]}'])
def test_a_line_that_is_no_line_is_found_and_nothing_falls_over(forge: Callable[..., None], text: str) -> None:
    forge(
        "UPDATE audit_event SET line = %s, leaf = %s WHERE stream = %s AND seq = 2",
        text,
        chain.leaf_hash(text.encode()),
        STREAM,
    )

    assert (first_bad().check, first_bad().place) == ("bytes", f"{STREAM}#2")


@pytest.mark.parametrize(("gone", "named"), [([1], 1), ([3], 3), ([2, 3], 2)])
def test_a_deleted_middle_is_found(forge: Callable[..., None], gone: list[int], named: int) -> None:
    for seq in gone:
        forge("DELETE FROM audit_event WHERE stream = %s AND seq = %s", STREAM, seq)

    assert (first_bad().check, first_bad().place) == ("gapless", f"{STREAM}#{named}")


@pytest.mark.parametrize("left", [4, 2])
def test_a_cut_off_tail_is_found(forge: Callable[..., None], left: int) -> None:
    forge("DELETE FROM audit_payload WHERE stream = %s AND seq > %s", STREAM, left)
    forge("DELETE FROM audit_event WHERE stream = %s AND seq > %s", STREAM, left)

    assert (first_bad().check, first_bad().place) == ("heads", f"{STREAM}#{left + 1}")
    assert "cut off" in first_bad().why


def test_a_deleted_stream_is_found_by_the_head_it_leaves(forge: Callable[..., None]) -> None:
    forge("DELETE FROM audit_payload WHERE stream = %s", STREAM)
    forge("DELETE FROM audit_event WHERE stream = %s", STREAM)

    assert (first_bad().check, first_bad().place) == ("heads", f"{STREAM}#1")


def test_a_deleted_head_is_found_by_the_stream_it_leaves(forge: Callable[..., None]) -> None:
    forge("DELETE FROM audit_stream WHERE name = %s", STREAM)

    assert first_bad().check == "heads"
    assert first_bad().stream == STREAM


def test_a_head_set_back_is_found(forge: Callable[..., None]) -> None:
    forge("UPDATE audit_stream SET seq = 4, head = %s WHERE name = %s", event(4).leaf, STREAM)

    assert (first_bad().check, first_bad().place) == ("heads", f"{STREAM}#5")


def test_two_swapped_lines_are_found(forge: Callable[..., None]) -> None:
    two, three = event(2), event(3)
    for seq, other in ((2, three), (3, two)):
        forge("UPDATE audit_event SET line = %s, leaf = %s WHERE stream = %s AND seq = %s", other.line, other.leaf, STREAM, seq)

    assert first_bad().place in {f"{STREAM}#1", f"{STREAM}#2"}
    assert any(problem.place == f"{STREAM}#2" for problem in journal.verify().problems)


def test_two_swapped_places_are_found(forge: Callable[..., None]) -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        forge("UPDATE audit_event SET seq = %s WHERE stream = %s AND seq = %s", new, STREAM, old)

    assert any(problem.place == f"{STREAM}#2" for problem in journal.verify().problems)


def test_a_line_inserted_behind_the_end_is_found(forge: Callable[..., None]) -> None:
    (line,), _ = chain.seal(
        Context(stream=STREAM, scope="system"),
        Head(5, event(5).leaf),
        [Draft("probe.noted", SYSTEM, {"code": "x"})],
        NOON,
        iter(()),
    )
    with transaction.atomic():
        journal.write([line])

    assert (first_bad().check, first_bad().place) == ("heads", f"{STREAM}#6")


def test_a_stream_moved_to_another_name_is_found(forge: Callable[..., None]) -> None:
    forge("UPDATE audit_event SET stream = 'config:Other' WHERE stream = %s", STREAM)
    forge("UPDATE audit_stream SET name = 'config:Other' WHERE name = %s", STREAM)

    assert (first_bad().check, first_bad().place) == ("projections", "config:Other#1")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("type", "access.signed_in"),
        ("at", "2020-01-01 00:00:00+00:00"),
        ("actor_kind", "system"),
        ("actor_ref", OTHER_ID),
        ("scope", "access"),
        ("scope_id", OTHER_ID),
        ("run_id", OTHER_ID if connection.vendor == "postgresql" else OTHER_ID.replace("-", "")),
        ("step", "x"),
        ("agent", "x"),
        ("capability", "x"),
        ("outcome", "x"),
        ("duration_ms", 7),
    ],
)
def test_an_edited_projection_is_found(forge: Callable[..., None], column: str, value: object) -> None:
    forge(f"UPDATE audit_event SET {column} = %s WHERE stream = %s AND seq = 3", value, STREAM)

    assert (first_bad().check, first_bad().place) == ("projections", f"{STREAM}#3")
    assert column in first_bad().why


def test_no_column_escapes_the_comparison_with_the_line() -> None:
    compared = {"line", "leaf", "stream", "seq", "type", "at", "actor_kind", "actor_ref", "scope", "scope_id", "run_id"}
    compared |= {"step", "agent", "capability", "outcome", "duration_ms"}

    assert compared == {field.name for field in Event._meta.concrete_fields} - {"id"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_payload SET body = 'rewritten' WHERE stream = %s AND seq = 3",
        "UPDATE audit_payload SET salt = '00000000000000000000000000000000' WHERE stream = %s AND seq = 3",
        "UPDATE audit_payload SET salt = 'no hex' WHERE stream = %s AND seq = 3",
        "UPDATE audit_payload SET name = 'document' WHERE stream = %s AND seq = 3",
        "UPDATE audit_payload SET erased_at = '2026-01-01 00:00:00+00:00' WHERE stream = %s AND seq = 3",
        "UPDATE audit_payload SET body = '', salt = '' WHERE stream = %s AND seq = 3",
        "DELETE FROM audit_payload WHERE stream = %s AND seq = 3",
    ],
)
def test_an_edited_payload_is_found(forge: Callable[..., None], statement: str) -> None:
    forge(statement, STREAM)

    assert (first_bad().check, first_bad().place) == ("payloads", f"{STREAM}#3")


def test_a_payload_without_an_event_is_found(record: None) -> None:
    Payload.objects.create(stream=STREAM, seq=17, name="reason", body="smuggled", salt="00" * 16)

    assert (first_bad().check, first_bad().place) == ("payloads", f"{STREAM}#17")


def test_an_erased_payload_is_counted_and_the_record_stays_whole(record: None) -> None:
    Payload.objects.filter(stream=STREAM, seq=3).update(body="", salt="", erased_at=NOON)
    told([f"{STREAM}/3"], basis="retention", days=180, late=181)

    report = journal.verify()
    assert report.is_good, report.problems
    assert report.erased == 1


def told(places: list[str], *, late: int, **data: Any) -> None:
    """An event that says of some places that they were emptied, `late` days after what stands there."""
    whole = {"places": places, "count": len(places), **data}
    with transaction.atomic():
        journal.append(
            Context(stream="governance", scope="system"),
            [Draft("payload.erased", SYSTEM, data=whole)],
            NOON + timedelta(days=late),
        )


def test_a_payload_that_was_emptied_before_its_time_is_found(record: None) -> None:
    Payload.objects.filter(stream=STREAM, seq=3).update(body="", salt="", erased_at=NOON)
    told([f"{STREAM}/3"], basis="retention", days=180, late=179)

    assert (first_bad().check, first_bad().place) == ("erasures", f"{STREAM}#3")


def test_a_retention_that_is_too_short_to_be_one_is_found(record: None) -> None:
    Payload.objects.filter(stream=STREAM, seq=3).update(body="", salt="", erased_at=NOON)
    told([f"{STREAM}/3"], basis="retention", days=1, late=181)

    assert {problem.place for problem in journal.verify().problems} == {f"{STREAM}#3", "governance#1"}


def test_a_payload_that_stands_where_an_event_says_it_was_erased_is_found(record: None) -> None:
    told([f"{STREAM}/3"], basis="retention", days=180, late=181)

    assert (first_bad().check, first_bad().place) == ("erasures", f"{STREAM}#3")


def test_an_erasure_that_nobody_decided_is_found(record: None) -> None:
    Payload.objects.filter(stream=STREAM, seq=3).update(body="", salt="", erased_at=NOON)
    told([f"{STREAM}/3"], basis="decision", late=1)

    assert (first_bad().check, first_bad().place) == ("erasures", "governance#1")


def test_a_payload_that_was_emptied_without_an_event_is_found(record: None) -> None:
    Payload.objects.filter(stream=STREAM, seq=3).update(body="", salt="", erased_at=NOON)

    assert (first_bad().check, first_bad().place) == ("erasures", f"{STREAM}#3")


def test_a_missing_trigger_is_found(record: None, sql: Callable[..., None]) -> None:
    for drop in triggers.dropping(triggers.protected()[0], connection.vendor):
        sql(drop)

    assert first_bad().check == "triggers"
    assert first_bad().place == ""


def test_a_type_that_no_release_declared_is_found(forge: Callable[..., None]) -> None:
    text, leaf = rewritten(5, type="probe.invented")
    forge(
        "UPDATE audit_event SET line = %s, leaf = %s, type = 'probe.invented' WHERE stream = %s AND seq = 5", text, leaf, STREAM
    )
    Stream.objects.filter(name=STREAM).update(head=leaf)

    assert first_bad().place == f"{STREAM}#5"


def test_heads_on_other_tables_and_state_checks_take_part(record: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_head_sources", {})
    monkeypatch.setattr(verify, "_state_checks", {})
    (line,), head = chain.seal(
        Context(stream="run:1", scope="workflow"), Head(), [Draft("probe.noted", SYSTEM, {"code": "x"})], NOON, iter(())
    )
    with transaction.atomic():
        journal.write([line])
    assert (first_bad().check, first_bad().stream) == ("heads", "run:1")

    verify.register_head_source("run", lambda: iter([("run:1", 1, head.leaf)]))
    assert journal.verify().is_good
    assert journal.verify("run:1").is_good

    verify.register_state_check("state", lambda stream: [Problem("state", "run:1", 1, "fold differs")])
    assert first_bad().place == "run:1#1"
    assert "state" in journal.verify().checks


def test_a_stream_that_grows_while_it_is_verified_is_no_fault(record: None, monkeypatch: pytest.MonkeyPatch) -> None:
    old = verify._all_heads

    def stale_heads() -> Iterator[tuple[str, int, str]]:
        for name, seq, head in list(old()):
            yield (name, seq, head) if name != STREAM else (name, 3, event(3).leaf)  # read before lines 4 and 5 came

    monkeypatch.setattr(verify, "_all_heads", stale_heads)

    assert journal.verify().is_good


def test_problems_kept_are_bounded_but_all_are_counted(note: Callable[..., Any]) -> None:
    note(count=verify.PROBLEMS_KEPT + 20)
    with lifted():
        Event.objects.update(outcome="forged")

    report = journal.verify()
    assert report.faults == verify.PROBLEMS_KEPT + 20
    assert len(report.problems) == verify.PROBLEMS_KEPT


def test_batches_of_lines_and_streams_do_not_change_the_answer(record: None, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = journal.verify()
    for lines, streams in ((1, 1), (2, 1), (3, 2), (4, 500)):
        monkeypatch.setattr(verify, "LINES_AT_ONCE", lines)
        monkeypatch.setattr(verify, "STREAMS_AT_ONCE", streams)
        again = journal.verify()
        assert again.is_good
        assert (again.checked, again.payloads) == (whole.checked, whole.payloads)


def test_the_command_says_that_the_journal_is_whole(record: None, capsys: Any) -> None:
    call_command("aegis", "journal", "verify")

    assert "10 events of 3 streams" in capsys.readouterr().out
    verification = verifications.latest()
    assert verification is not None
    assert verification.is_good
    assert Event.objects.order_by("-id")[0].type == "journal.verified"


def test_the_command_names_the_first_bad_event_and_fails(forge: Callable[..., None], capsys: Any) -> None:
    forge("UPDATE audit_event SET line = replace(line, '\"c0\"', '\"c9\"') WHERE stream = %s AND seq = 2", STREAM)

    with pytest.raises(SystemExit) as exit_code:
        call_command("aegis", "journal", "verify")

    assert exit_code.value.code == 1
    assert f"First bad event: {STREAM}#2: its bytes" in capsys.readouterr().out
    assert Verification.objects.get().first_bad == f"{STREAM}#2"


def test_the_command_reports_in_json(record: None, capsys: Any) -> None:
    call_command("aegis", "journal", "verify", "--json", "--stream", STREAM)

    report = json.loads(capsys.readouterr().out)
    assert (report["is_good"], report["checked"], report["stream"]) == (True, 5, STREAM)
    assert verifications.latest() is None  # one stream says nothing about the rest
