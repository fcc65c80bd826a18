"""The stop within reach of whoever has the command line."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from audit.models import Event
from orchestration.engine.guards.models import Breaker, Halt
from orchestration.engine.models import Run
from tests.engine import house

pytestmark = pytest.mark.django_db


def aegis(*words: str) -> tuple[int, str]:
    """Exit code and everything it said."""
    out, err = StringIO(), StringIO()
    try:
        call_command("aegis", *words, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue() + err.getvalue()
    return 0, out.getvalue() + err.getvalue()


@pytest.mark.parametrize(
    ("target", "called"),
    [
        (("--agent", "clerk"), "agent clerk"),
        (("--workflow", "notes"), "workflow notes"),
        (("--everything",), "everything"),
    ],
)
def test_halt_and_resume_as_a_person(notes, target, called):
    assert aegis("halt", *target, "--as", "ada", "--reason", "it misbehaves") == (0, f"Halted: {called}\n")
    assert aegis("halt", *target, "--as", "ada", "--reason", "again") == (0, f"It is halted already: {called}\n")
    run = house.submit(notes)
    house.drive(run)
    assert run.status == Run.Status.HELD
    code, said = aegis("halt")
    assert code == 0
    assert said.startswith(f"{called}: halted since")
    assert "1 runs held" in said

    assert aegis("resume", *target, "--as", "ada", "--reason", "mended") == (0, f"Resumed: {called}\n")
    assert Halt.objects.get().status == Halt.Status.RESUMING


def test_without_a_person_the_system_acts_and_says_so(notes):
    assert aegis("halt", "--everything", "--reason", "night")[0] == 0
    assert Event.objects.get(type="halt.placed").actor_kind == "system"
    assert aegis("resume", "--everything", "--reason", "morning")[0] == 0
    assert aegis("halt")[1] == "Nothing is halted.\n"


@pytest.mark.parametrize(
    "words",
    [
        ("halt", "--agent", "clerk", "--as", "ada"),
        ("halt", "--agent", "clerk", "--everything", "--as", "ada", "--reason", "x"),
        ("halt", "--agent", "clerk", "--as", "root", "--reason", "x"),
        ("halt", "--agent", "clerk", "--as", "quinn", "--reason", "x"),
        ("halt", "--agent", "clerk", "--as", "nobody", "--reason", "x"),
        ("resume", "--agent", "clerk", "--reason", "x"),
        ("resume", "--reason", "x"),
        ("breaker", "open", "moon:clerk", "--reason", "x"),
        ("breaker", "open", "--reason", "x"),
    ],
    ids=" ".join,
)
def test_wrong_use_and_missing_rights_change_nothing(notes, root, quinn, words):
    code, said = aegis(*words)

    assert code == 2
    assert said
    assert not Halt.objects.exists()
    assert not Breaker.objects.exists()


def test_breakers_are_listed_opened_and_closed(notes):
    assert aegis("breaker")[1] == "Every breaker is closed.\n"
    assert aegis("breaker", "open", "capability:note.write", "--as", "ada", "--reason", "moved")[1] == (
        "capability:note.write is open.\n"
    )
    assert aegis("breaker")[1] == "capability:note.write: open, 0 runs held\n"
    assert aegis("breaker", "close", "capability:note.write", "--as", "ada", "--reason", "back")[0] == 0
    assert aegis("breaker")[1] == "Every breaker is closed.\n"
