"""Verification of the tree: what the chain of a stream cannot show is shown by leaves, and by checkpoints kept elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.db import connection, connections

from audit import chain, checkpoints, keeping, keys, sealer, treewalk, verifications
from audit.models import Checkpoint, Event, Leaf, Tree
from audit.notes import Checkpoint as Statement
from audit.notes import Signer, sign
from audit.problems import Problem
from audit.verify import Report, verify, verify_leaves
from tests.support.journal_guard import lifted

Note = Callable[..., Any]


@pytest.fixture
def journal_of(note: Note, later: Any, tmp_path: Path) -> Path:
    """Ten streams of thirty lines under three checkpoints, some lines under none. Returns a copy of the middle one."""
    for round_ in range(3):
        for stream in range(10):
            note(f"config:{stream}", 10, reason=f"round {round_}")
        keeping.keep()
        later(minutes=2)
    note("config:late", 3)
    sealer.seal()
    middle = Checkpoint.objects.order_by("size")[1]
    (tmp_path / "elsewhere.note").write_text(middle.note)
    return tmp_path / "elsewhere.note"


@pytest.fixture
def forge(journal_of: Path) -> Iterator[Callable[..., None]]:
    def run(statement: str, *values: Any) -> None:
        with lifted(), connection.cursor() as cursor:
            cursor.execute(statement, values)

    return run


def event_at(leaf: int) -> Event:
    return Event.objects.get(sealed__leaf_index=leaf)


def found(report: Report, check: str) -> list[Problem]:
    return [problem for problem in report.problems if problem.check == check]


def rewrite_from(first: Event, forge: Any, *, leaves: bool) -> None:
    """Change a line and recompute its stream to the end, its head and (`leaves`) the tree's rows: all without a signature."""
    prev = orjson.loads(first.line)["prev"]
    for event in Event.objects.filter(stream=first.stream, seq__gte=first.seq).order_by("seq"):
        content = orjson.loads(event.line) | {"prev": prev}
        if event.pk == first.pk:
            content["data"] = {"code": "forged"}
        line = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        prev = chain.leaf_hash(line)
        forge("UPDATE audit_event SET line = %s, leaf = %s WHERE id = %s", line.decode(), prev, event.pk)
        if leaves:
            forge("UPDATE audit_leaf SET hash = %s WHERE event_id = %s", prev, event.pk)
    forge("UPDATE audit_stream SET head = %s WHERE name = %s", prev, first.stream)


def test_a_whole_journal_says_how_far_it_is_proved(journal_of: Path) -> None:
    report = verify(against=journal_of)

    assert report.is_good, report.problems
    newest = checkpoints.latest()
    assert newest is not None
    assert (report.size, report.trusted) == (Event.objects.count(), newest.size)
    assert report.not_covered == 3
    assert verify_leaves().is_good
    assert verify_leaves(against=journal_of).trusted == newest.size


def test_what_is_not_sealed_yet_is_not_covered_either(journal_of: Path, note: Note) -> None:
    note("config:later still", 2)

    assert verify().not_covered == 5


def test_a_stream_recomputed_to_its_end_is_named_by_its_leaves(forge: Any) -> None:
    victim = event_at(155)
    rewrite_from(victim, forge, leaves=False)

    for report in (verify(), verify_leaves()):
        assert report.first_bad is not None
        assert (report.first_bad.stream, report.first_bad.seq) == (victim.stream, victim.seq)


def test_one_recomputed_with_its_leaves_is_under_no_checkpoint_any_more(forge: Any, journal_of: Path) -> None:
    sizes = list(Checkpoint.objects.order_by("size").values_list("size", flat=True))
    rewrite_from(event_at(sizes[0] + 5), forge, leaves=True)

    for report in (verify(), verify_leaves(), verify_leaves(against=journal_of)):
        assert report.trusted == sizes[0]
        bad = found(report, "tree")[0]
        assert bad.leaf == sizes[0]  # the first event after the last trustworthy checkpoint
        assert f"the first {sizes[1]:,} events are not those" in bad.why


def test_all_of_it_with_the_checkpoints_inside_is_found_by_the_one_kept_elsewhere(
    forge: Any, journal_of: Path, settings: Any, tmp_path: Path
) -> None:
    rewrite_from(event_at(40), forge, leaves=True)
    forge("DELETE FROM audit_checkpoint")
    settings.CHECKPOINT_DIR = str(tmp_path / "empty")

    assert not found(verify_leaves(), "tree")  # nothing here says otherwise
    assert verify_leaves().trusted == 0  # and nothing is called proved
    bad = found(verify_leaves(against=journal_of), "tree")
    assert "in elsewhere.note" in bad[0].why


def test_a_whole_stream_that_is_gone_is_named_by_its_leaves(forge: Any) -> None:
    gone = event_at(33).stream
    forge("DELETE FROM audit_payload WHERE stream = %s", gone)
    forge("DELETE FROM audit_event WHERE stream = %s", gone)
    forge("DELETE FROM audit_stream WHERE name = %s", gone)

    report = verify()

    assert [problem.why for problem in found(report, "tree")][:1] == ["the event that was sealed here is gone"]
    assert report.first_bad is not None


def test_leaves_that_are_gone_are_named(forge: Any) -> None:
    forge("DELETE FROM audit_leaf WHERE leaf_index BETWEEN 17 AND 19")

    assert "leaf 17: leaves 17 to 19 are missing [tree]" in [str(problem) for problem in found(verify(), "tree")]


def test_a_database_rolled_back_to_an_old_backup_is_named(forge: Any) -> None:
    size = sealer.size()
    with lifted(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_checkpoint WHERE size > 200")
        cursor.execute("DELETE FROM audit_leaf WHERE leaf_index >= 150")
        Tree.objects.update(size=150)

    report = verify()

    assert any("rolled back" in problem.why for problem in found(report, "tree"))
    assert report.trusted < 150 < size


def test_a_checkpoint_that_another_key_signed_is_refused(forge: Any) -> None:
    newest = checkpoints.latest()
    assert newest is not None
    stranger = Signer(keys.signers()[0].name, b"\x03" * 32)
    forged = sign(str(Statement(stranger.name, newest.size, bytes.fromhex(newest.root))), [stranger])
    forge("UPDATE audit_checkpoint SET note = %s WHERE size = %s", forged, newest.size)

    assert "No known key signed it" in found(verify_leaves(), "signatures")[0].why


def test_a_checkpoint_kept_outside_must_be_in_here(forge: Any) -> None:
    forge("DELETE FROM audit_checkpoint WHERE size = (SELECT max(size) FROM audit_checkpoint)")

    assert "is kept outside, not in here" in found(verify_leaves(), "signatures")[0].why


def test_an_event_put_in_behind_the_sealer_is_named(forge: Any, journal_of: Path) -> None:
    forge("DELETE FROM audit_leaf WHERE leaf_index = (SELECT max(leaf_index) FROM audit_leaf)")
    if connection.vendor == "postgresql":
        # As if its transaction had been one of long ago; the sealer has looked since then.
        forge("UPDATE audit_event SET xid = '3' WHERE id = (SELECT max(id) FROM audit_event)")
    else:
        forge("UPDATE audit_leaf SET event_id = event_id + 9 WHERE leaf_index = (SELECT max(leaf_index) FROM audit_leaf)")

    assert found(verify(), "unsealed")[0].stream.startswith("config:")


def test_a_stored_node_that_is_not_of_its_leaves_is_named(forge: Any) -> None:
    forge("UPDATE audit_node SET hash = %s WHERE level = 8", "ee" * 32)

    assert "is not the root of its leaves" in found(verify_leaves(), "nodes")[0].why


@pytest.mark.parametrize(("first", "last"), [(0, 50), (101, 205), (256, 300), (17, 18)])
def test_a_stretch_of_leaves_is_tied_to_the_checkpoint_over_it(forge: Any, first: int, last: int) -> None:
    assert verify_leaves(first, last).is_good

    forge('UPDATE audit_event SET line = replace(line, \'"code":"c\', \'"code":"d\') WHERE id = %s', event_at(last - 1).pk)

    report = verify_leaves(first, last)
    bad = event_at(last - 1)
    assert report.first_bad is not None
    assert (report.first_bad.stream, report.first_bad.seq) == (bad.stream, bad.seq)
    why = "what was read is not in the checkpoint" if last != 300 else "are not those of the checkpoint"
    assert any(why in problem.why for problem in report.problems)


def test_since_a_checkpoint_only_what_came_later_is_read(forge: Any) -> None:
    sizes = list(Checkpoint.objects.order_by("size").values_list("size", flat=True))
    since = verify_leaves(sizes[1])
    assert since.is_good
    assert since.checked == sealer.size() - sizes[1]

    forge("UPDATE audit_leaf SET hash = %s WHERE leaf_index = 3", "ab" * 32)

    assert not verify_leaves(sizes[1]).is_good  # what it starts from is no longer under its checkpoint


def test_the_command_tells_ranges_and_files(journal_of: Path, capsys: Any) -> None:
    call_command("aegis", "journal", "verify", "--quick", "--jobs", "1", "--against", str(journal_of))
    assert "3 are not covered by one." in capsys.readouterr().out
    assert verifications.latest() is None  # no badge follows from a part

    call_command("aegis", "journal", "verify", "--leaves", "10:20", "--json", "--jobs", "1")
    assert json.loads(capsys.readouterr().out)["checked"] == 10
    call_command("aegis", "journal", "verify", "--jobs", "1", "--scheduled")
    newest = verifications.latest()
    assert newest is not None
    assert newest.by == "system"


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_several_processes_find_what_one_finds(journal_of: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treewalk, "STRETCH", 1 << 16)
    with lifted(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_event SET outcome = 'forged' WHERE id = %s", [event_at(7).pk])

    alone, shared = verify(), verify(jobs=2)

    assert [str(problem) for problem in alone.problems] == [str(problem) for problem in shared.problems]
    assert (alone.checked, alone.streams, alone.payloads) == (shared.checked, shared.streams, shared.payloads)
    connections.close_all()


def test_stretches_are_joined_into_the_tree_they_are_of(journal_of: Path) -> None:
    hashes = [bytes.fromhex(leaf) for leaf in Leaf.objects.order_by("leaf_index").values_list("hash", flat=True)]
    whole = treewalk.join([treewalk.walk(0, len(hashes), [], [100, 256], lines=True)])

    assert treewalk.root(whole.peaks).hex() == Tree.objects.get().root
    assert treewalk.root(whole.roots[100]) == treewalk.merkle.root_of(hashes[:100])
    assert whole.problems == []


class TestSchedule:
    @pytest.fixture
    def begun(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        begun: list[list[str]] = []

        class Process:
            def __init__(self, command: list[str], **_: Any) -> None:
                begun.append(command)

            def poll(self) -> int:
                return 0

        monkeypatch.setattr(verifications.subprocess, "Popen", Process)
        monkeypatch.setattr(verifications, "_running", None)
        return begun

    def test_every_hour_one_worker_begins_one(self, note: Note, later: Any, begun: list[list[str]]) -> None:
        note("config:A")
        sealer.seal()
        assert not verifications.keep()  # the first is due two minutes later
        later(seconds=119)
        assert not verifications.keep()
        later(seconds=2)
        assert [verifications.keep(), verifications.keep()] == [True, False]
        later(minutes=59)
        assert not verifications.keep()
        later(minutes=2)
        assert verifications.keep()

        assert [command[-1] for command in begun] == ["--scheduled"] * 2

    def test_none_begins_by_itself_if_that_is_turned_off(
        self, note: Note, later: Any, begun: list[list[str]], settings: Any
    ) -> None:
        settings.VERIFY_SECONDS = 0
        note("config:A")
        for _ in range(3):
            keeping.keep()
            later(hours=2)

        assert begun == []
