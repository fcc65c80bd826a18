"""`manage.py aegis demo support-intake --input FILE`: any CSV of requests, and what is wrong with one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import call_command

from approvals.models import ApprovalRequest
from audit import journal
from audit.models import Event
from orchestration.engine.models import ReviewItem, Run
from orchestration.records.models import Record, RecordVersion

ASKED = (
    ("T-1", "My card was stolen yesterday, please block it at once"),
    ("T-2", "How do I change my PIN?"),
    ("T-3", "I topped up my account but the money is not there"),
    ("T-4", "xqzzt vrrmpf"),
    ("T-5", "Which exchange rate do you use for dollars?"),
)

pytestmark = pytest.mark.django_db(transaction=True)


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def intake(area_rows: None, tmp_path: Path) -> Callable[[bytes | str], Answer]:
    """Puts the content of a file through the command."""

    def run(content: bytes | str) -> Answer:
        path = tmp_path / "requests.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return run_with(str(path))

    return run


def run_with(path: str) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("aegis", "demo", "support-intake", "--input", path, stdout=out, stderr=err)
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def sheet(rows: object, header: str = "id,text") -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)  # type: ignore[arg-type]
    return f"{header}\n{text.getvalue()}"


def counted(out: str, title: str) -> int:
    """The number behind a line of the summary; 0 if the line is not there."""
    found = re.search(rf"^\s*{re.escape(title)}:?\s+([\d,]+)", out, re.MULTILINE)
    return int(found[1].replace(",", "")) if found else 0


def everything() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Run, Event, Record, RecordVersion, ApprovalRequest, ReviewItem))


def test_a_good_file_is_seen_through_and_the_summary_adds_up(intake: Callable[[bytes | str], Answer]) -> None:
    answer = intake(sheet(ASKED))

    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"{len(ASKED)} requests in ")
    assert "lost: 0" in answer.out
    assert f"{len(ASKED)} of {len(ASKED)}" in answer.err  # the bar came to its end
    by_status = {status: Run.objects.filter(status=status).count() for status in Run.Status}
    told = {status: counted(answer.out, status.label) for status in Run.Status}
    assert told == by_status
    assert sum(told.values()) == len(ASKED)
    assert by_status[Run.Status.RUNNING] == 0
    assert counted(answer.out, "Waiting for an approval") == by_status[Run.Status.WAITING_DECISION]
    assert counted(answer.out, "abstained") == 1  # nobody can tell what T-4 wants
    report = journal.verify()
    assert report.is_good, report.problems


def test_the_same_file_twice_is_the_same_runs(intake: Callable[[bytes | str], Answer]) -> None:
    first = intake(sheet(ASKED))
    before = everything()

    second = intake(sheet(ASKED))

    assert f"{len(ASKED)} requests, 0 of them new." in second.err
    assert everything() == before
    assert first.out.splitlines()[1:] == second.out.splitlines()[1:]


def test_a_file_that_grew_adds_only_what_is_new(intake: Callable[[bytes | str], Answer]) -> None:
    intake(sheet(ASKED[:3]))

    answer = intake(sheet(ASKED))

    assert f"{len(ASKED)} requests, 2 of them new." in answer.err
    assert Run.objects.count() == len(ASKED)


def test_customer_and_channel_are_taken_where_the_file_has_them(intake: Callable[[bytes | str], Answer]) -> None:
    answer = intake(sheet([("T-1", "How do I change my PIN?", "C-7", "email")], header="id,text,customer,channel"))

    assert answer.code == 0, answer.err
    assert '"customer":"C-7"' in Record.objects.get(key="T-1").body


def test_quoted_commas_line_breaks_and_a_byte_order_mark_are_plain_csv(intake: Callable[[bytes | str], Answer]) -> None:
    answer = intake("\ufeff" + 'id,text\nT-1,"My card, the blue one,\nwas stolen ""yesterday"""\n')

    assert answer.code == 0, answer.err
    assert Run.objects.get().business_key == "T-1"


GOOD = "T-1,My card was stolen yesterday"

REFUSED = {
    "missing column": ("id,message\nT-1,hello there\n", "line 1", "missing: text"),
    "column named twice": ("id,text,text\nT-1,hello,there\n", "line 1", "names a column twice"),
    "duplicate id": (f"id,text\n{GOOD}\nT-2,hello there\nT-1,hello again\n", "line 4", "repeats the id of line 2"),
    "no id": (f"id,text\n{GOOD}\n,hello there\n", "line 3", "has no id"),
    "NUL": (f"id,text\n{GOOD}\nT-2,hel\x00lo there\n", "line 3", "NUL"),
    "huge cell": (f"id,text\n{GOOD}\nT-2,{'a' * 30_000}\n", "line 3", "field larger"),
    "cell beyond the contract": (f"id,text\n{GOOD}\nT-2,{'a' * 9_000}\n", "line 3, text", ""),
    "id that is no key": (f"id,text\n{GOOD}\n../T 2,hello there\n", "line 3, id", ""),
    "no text": (f'id,text\n{GOOD}\nT-2,"  "\n', "line 3, text", ""),
    "too many cells": (f"id,text\n{GOOD}\nT-2,hello,there\n", "line 3", "more cells"),
    "too few cells": (f"id,text\n{GOOD}\nT-2\n", "line 3", "fewer cells"),
    "quote never closed": (f'id,text\n{GOOD}\nT-2,"hello there\n', "line 3", "unexpected end"),
    "not UTF-8": (f"id,text\n{GOOD}\nT-2,".encode() + "Grüße aus Köln\n".encode("latin-1"), "line 3", "not UTF-8"),
    "UTF-16": ("id,text\nT-1,hello there\n".encode("utf-16"), "line 1", "not UTF-8"),
    "empty": (b"", "line 1", "missing: id, text"),
    "header only": ("id,text\n", "", "holds no requests"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_refused_by_line_and_nothing_is_submitted(name: str, intake: Callable[[bytes | str], Answer]) -> None:
    content, where, what = REFUSED[name]

    answer = intake(content)

    assert answer.code == 2
    assert where in answer.err
    assert what in answer.err
    assert Run.objects.count() == 0
    assert "Traceback" not in answer.err


def test_a_bad_line_far_behind_the_first_batch_stops_the_first_batch_too(intake: Callable[[bytes | str], Answer]) -> None:
    rows = [(f"T-{number}", "How do I change my PIN?") for number in range(450)]

    answer = intake(sheet([*rows, ("T-450", "b" * 9_000)]))

    assert answer.code == 2
    assert "line 452, text" in answer.err
    assert Run.objects.count() == 0


def test_not_utf_8_is_found_on_its_line_in_a_long_file(intake: Callable[[bytes | str], Answer]) -> None:
    rows = sheet([(f"T-{number}", "How do I change my PIN?") for number in range(2_000)]).encode()

    answer = intake(rows + b"T-x,caf\xe9 au lait\n")

    assert "line 2002: not UTF-8" in answer.err
    assert Run.objects.count() == 0


def test_no_more_than_twenty_faults_are_told(intake: Callable[[bytes | str], Answer]) -> None:
    answer = intake(sheet([("", f"text {number}") for number in range(500)]))

    assert answer.err.count("has no id") == 20


@pytest.mark.parametrize("path", ["absent.csv", "."])
def test_what_is_no_file_is_refused(path: str, area_rows: None, tmp_path: Path) -> None:
    answer = run_with(str(tmp_path / path))

    assert answer.code == 2
    assert "is no file" in answer.err
