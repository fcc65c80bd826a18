"""Checkpoints: signed in time, kept outside, and never over a history that contradicts the last one kept there."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from aegis.core.actors import SYSTEM
from audit import checkpoints, checks, journal, keeping, keys, outside, sealer
from audit.models import Checkpoint, Event, Tree
from audit.notes import BadNote, Signer, Verifier, open_checkpoint
from tests.support.journal_guard import lifted

Note = Callable[..., Any]


@pytest.fixture
def signed(note: Note, later: Callable[..., None]) -> Checkpoint:
    note("config:A", 12)
    keeping.keep()
    found = checkpoints.latest()
    assert found is not None
    return found


def kept() -> list[int]:
    return [open_checkpoint(note, keys.known()).size for note in outside.all_notes()]


def types(stream: str = "system") -> list[str]:
    return [event.type for event in journal.read(stream)]


def forget(*tables: str) -> None:
    """Empty tables as somebody with the database in his hands."""
    with lifted(), connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")


def test_a_checkpoint_states_size_and_root_under_the_key_and_is_kept_outside(signed: Checkpoint) -> None:
    said = open_checkpoint(signed.note, [keys.signers()[0].verifier])

    assert (said.size, said.root.hex()) == (signed.size, signed.root) == (Event.objects.count(), Tree.objects.get().root)
    assert said.origin == keys.signers()[0].name
    assert list(outside.all_notes()) == [signed.note] == [outside.last()]


def test_growth_is_signed_within_a_minute_and_not_each_second(signed: Checkpoint, note: Note, later: Any) -> None:
    note("config:A")
    keeping.keep()
    later(seconds=30)
    keeping.keep()
    assert Checkpoint.objects.count() == 1

    later(seconds=28)
    keeping.keep()

    assert kept() == [signed.size, signed.size + 1]


def test_an_idle_journal_grows_by_a_heartbeat_each_hour(signed: Checkpoint, later: Any) -> None:
    later(minutes=59)
    for _ in range(3):
        keeping.keep()
    assert Checkpoint.objects.count() == 1

    later(minutes=2)
    for _ in range(3):
        keeping.keep()

    assert types().count("journal.heartbeat") == 1
    assert kept() == [signed.size, signed.size + 1]


def test_a_process_that_died_before_keeping_it_outside_has_it_kept_at_the_next_look(
    signed: Checkpoint, note: Note, later: Any
) -> None:
    note("config:A")
    later(minutes=2)
    sealer.seal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outside, "append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            checkpoints.keep()
    assert kept() == [signed.size]

    checkpoints.keep()

    assert kept() == [signed.size, signed.size + 1]


def test_a_rolled_back_database_is_refused_on_record_once(signed: Checkpoint, note: Note, later: Any) -> None:
    later(minutes=2)
    forget("audit_leaf", "audit_node", "audit_tree", "audit_checkpoint")
    with lifted(), connection.cursor() as cursor:  # an old backup: only the first event was there
        cursor.execute("DELETE FROM audit_event WHERE id <> (SELECT min(id) FROM audit_event)")

    for _ in range(3):
        keeping.keep()

    assert "rolled back" in checkpoints.refusal()
    assert types().count("checkpoint.refused") == 1
    assert Checkpoint.objects.count() == 0
    note("config:A", 20)
    later(minutes=2)
    for _ in range(2):
        keeping.keep()  # it has grown beyond what was kept, with another history
    assert "not those of the checkpoint" in checkpoints.refusal()
    assert types().count("checkpoint.refused") == 2
    assert kept() == [signed.size]


def test_a_history_rewritten_under_the_last_checkpoint_is_not_signed(signed: Checkpoint, note: Note, later: Any) -> None:
    with lifted(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_leaf SET hash = %s WHERE leaf_index = 0", ["ab" * 32])
    note("config:A")
    later(minutes=2)

    keeping.keep()

    assert "not those of the checkpoint" in checkpoints.refusal()
    assert kept() == [signed.size]


def test_a_frontier_that_does_not_belong_to_the_leaves_is_not_signed(signed: Checkpoint, note: Note, later: Any) -> None:
    tree = Tree.objects.get()
    Tree.objects.update(frontier=["cd" * 32 for _ in tree.frontier])
    note("config:A")
    later(minutes=2)

    keeping.keep()

    assert "do not give the root" in checkpoints.refusal()
    assert kept() == [signed.size]


def test_signing_goes_on_when_the_reason_is_gone(signed: Checkpoint, note: Note, later: Any, settings: Any) -> None:
    here = settings.DATA_DIR
    settings.CHECKPOINT_DIR = str(here / "elsewhere")
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "2026-01-01.notes").write_text("nothing of the kind\n")
    note("config:A")
    later(minutes=2)
    keeping.keep()
    assert "does not end with a checkpoint" in checkpoints.refusal()

    settings.CHECKPOINT_DIR = ""
    later(minutes=2)
    keeping.keep()

    assert checkpoints.refusal() == ""
    assert len(kept()) == 2


def test_a_note_outside_that_nobody_known_signed_stops_signing(signed: Checkpoint, note: Note, later: Any) -> None:
    keys.path().unlink()  # a new installation's key over an old installation's folder
    note("config:A")
    later(minutes=2)

    keeping.keep()

    assert "No known key signed it" in checkpoints.refusal()
    assert Checkpoint.objects.count() == 1


def test_a_checkpoint_is_never_changed(signed: Checkpoint) -> None:
    for statement in ("UPDATE audit_checkpoint SET root = 'x'", "DELETE FROM audit_checkpoint"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_the_key_is_made_once_readable_by_its_owner_alone(signed: Checkpoint) -> None:
    assert keys.path().stat().st_mode & 0o777 == 0o600
    assert keys.signers() == keys.signers()
    assert checks.signing_key_is_private() == checks.signing_key_is_one() == []

    keys.path().chmod(0o644)
    assert [found.id for found in checks.signing_key_is_private()] == ["aegis.E021"]
    keys.path().write_text("nonsense")
    assert [found.id for found in checks.signing_key_is_one()] == ["aegis.E022"]


def test_a_key_of_the_environment_comes_before_the_file(db: None, settings: Any) -> None:
    given = Signer("elsewhere.example/journal", b"\x05" * 32)
    settings.JOURNAL_KEY = given.written()

    assert keys.signers() == [given]
    assert not keys.path().exists()
    with pytest.raises(keys.KeyGiven):
        keys.rotate(SYSTEM, "")


def test_a_new_key_signs_beside_the_old_one_and_then_alone(signed: Checkpoint, note: Note, later: Any) -> None:
    old = keys.signers()[0].verifier
    new = keys.rotate(SYSTEM, "the keeper left")
    later(minutes=2)
    keeping.keep()
    both = checkpoints.latest()
    assert both is not None
    assert open_checkpoint(both.note, [old]) == open_checkpoint(both.note, [new])

    keys.end_overlap()
    note("config:A")
    later(minutes=2)
    keeping.keep()

    last = checkpoints.latest()
    assert last is not None
    assert open_checkpoint(last.note, [new]).size == last.size > both.size
    with pytest.raises(BadNote):
        open_checkpoint(last.note, [old])
    assert keys.known() == [new, old]  # what the old one signed stays good: the record says what replaced it
    assert kept()[0] == signed.size


def test_a_replacement_that_the_new_key_did_not_sign_makes_no_key_known(signed: Checkpoint) -> None:
    stranger = Signer(keys.signers()[0].name, b"\x09" * 32)
    mine = keys.signers()[0]
    text = keys.statement(str(stranger.verifier), str(mine.verifier))
    forged = base64.b64encode(stranger.sign(text)).decode()
    data = {"old": str(stranger.verifier), "new": str(mine.verifier), "by_old": forged, "by_new": forged}
    with transaction.atomic():
        journal.append(journal.Context(stream="system", scope="system"), [journal.Draft("key.rotated", SYSTEM, data=data)])

    assert keys.known() == [mine.verifier]


def test_a_host_that_only_verifies_is_told_the_public_key(signed: Checkpoint, settings: Any) -> None:
    public = keys.signers()[0].verifier
    keys.path().unlink()
    assert keys.known() == []

    settings.JOURNAL_PUBLIC_KEYS = [str(public)]

    assert keys.known() == [public]
    assert not keys.path().exists()


def test_commands_of_the_key(signed: Checkpoint, capsys: Any, settings: Any) -> None:
    call_command("aegis", "journal", "make-key")
    made = Signer.read(capsys.readouterr().out)
    assert made not in keys.signers()
    before = keys.signers()[0]

    call_command("aegis", "journal", "rotate-key", "--reason", "yearly")
    assert keys.signers()[1] == before
    assert types()[-1] == "key.rotated"
    call_command("aegis", "journal", "rotate-key", "--end-overlap")
    assert before not in keys.signers()
    capsys.readouterr()

    call_command("aegis", "journal", "checkpoint")
    assert open_checkpoint(capsys.readouterr().out, keys.known()).size == signed.size
    call_command("aegis", "journal", "public-key")
    assert Verifier.read(capsys.readouterr().out.split("\n")[0]) == keys.signers()[0].verifier
