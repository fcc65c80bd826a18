"""`manage.py aegis submit`: files of any size become runs, once each, and what is wrong is named by line and pointer."""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command

from audit import journal
from orchestration.engine.models import Run
from orchestration.intake import command
from orchestration.intake.lines import MAX_LINE_BYTES, Sheet, Unreadable, json_lines
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def submit(zoe: Any, tmp_path: Path) -> Callable[..., Answer]:
    def run(
        content: str | bytes, *options: str, name: str = "items.jsonl", workflow: str = "notes", who: str = "zoe"
    ) -> Answer:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return run_with(workflow, str(path), "--as", who, *options)

    return run


def run_with(*arguments: str) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("aegis", "submit", *arguments, stdout=out, stderr=err)
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def lines(*items: object) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def keys() -> list[str]:
    return sorted(Run.objects.values_list("business_key", flat=True))


def test_every_line_becomes_a_run(submit):
    answer = submit(lines({"id": "a"}, {"id": "b", "text": "Grüße"}) + "\n" + lines({"id": "c"}))

    assert answer.code == 0, answer.err
    assert keys() == ["a", "b", "c"]
    assert answer.out.startswith("3 new, 0 known, 0 refused")
    assert journal.verify().is_good


def test_the_same_file_again_and_a_file_that_grew_add_only_what_is_new(submit):
    submit(lines({"id": "a"}, {"id": "b"}))
    again = submit(lines({"id": "a"}, {"id": "b"}, {"id": "c"}), name="other.jsonl")

    assert (again.code, again.out.split(" refused")[0]) == (0, "1 new, 2 known, 0")
    assert keys() == ["a", "b", "c"]


def test_by_default_a_bad_line_stops_its_batch_and_is_named(submit):
    content = lines(*[{"id": f"n-{n}"} for n in range(3)], {"id": 7}, {"text": "no id"}, {"id": "z"})

    answer = submit(content, "--batch", "2")

    assert answer.code == 1
    assert keys() == ["n-0", "n-1"]
    assert "line 4, /id" in answer.err
    assert "Nothing of lines 3 to 4 was submitted" in answer.err
    mended = content.replace('{"id": 7}', '{"id": "seven"}').replace('{"text": "no id"}', '{"id": "five"}')
    done = submit(mended, "--batch", "2")
    assert (done.code, done.out.split(" refused")[0]) == (0, "4 new, 2 known, 0")


def test_all_faults_of_a_batch_are_told_at_once(submit):
    answer = submit('{"id": "a"}\n{"id": \n{"id": 7}\n{"id": "d", "id": "e"}\n')

    assert answer.code == 1
    assert [part in answer.err for part in ("line 2, column 7", "line 3, /id", "line 4, /id: key appears twice")] == [True] * 3
    assert Run.objects.count() == 0


def test_refused_lines_may_be_left_out(submit):
    answer = submit('{"id": "a"}\nnot json\n{"id": 7}\n{"id": "d"}\n', "--skip-refused")

    assert answer.code == 1
    assert answer.out.startswith("2 new, 0 known, 2 refused")
    assert keys() == ["a", "d"]
    assert "line 2" in answer.err
    assert "line 3, /id" in answer.err


def test_checking_submits_nothing(submit):
    answer = submit('{"id": "a"}\n{"id": 7}\n', "--check")

    assert answer.code == 1
    assert "line 2, /id" in answer.err
    assert Run.objects.count() == 0
    assert submit('{"id": "a"}\n', "--check").code == 0
    assert Run.objects.count() == 0


def test_a_field_may_be_the_key(submit):
    submit(lines({"id": "a", "text": "one"}), "--key", "/id")

    other = submit(lines({"id": "a", "text": "two"}), "--key", "/id")

    assert other.code == 1
    assert "used for" in other.err
    assert submit(lines({"id": "a", "text": "one"}), "--key", "/id").out.startswith("0 new, 1 known")
    assert "line 1, /text: is missing" in submit(lines({"id": "b"}), "--key", "/text").err
    assert keys() == ["a"]


def test_the_line_may_be_the_key_so_that_equal_lines_are_several_runs(submit):
    same = lines({"id": "a"}, {"id": "a"})

    assert submit(same, "--key", "line").out.startswith("2 new")
    assert submit(same, "--key", "line").out.startswith("0 new, 2 known")
    assert submit(same).out.startswith("1 new, 1 known")


def test_a_sheet_is_read_as_the_contract_says():
    from orchestration.intake import cells

    schema = {
        "properties": {
            "count": {"$ref": "#/$defs/whole"},
            "price": {"type": ["number", "null"]},
            "paid": {"type": "boolean"},
            "tags": {"type": "array"},
            "who": {"type": "object"},
            "zip": {"type": "string"},
        },
        "$defs": {"whole": {"type": "integer"}},
    }
    columns = cells.Columns(["count", "price", "paid", "tags", "who", "zip", "free"], schema)

    item, faults = columns.item(
        {"count": "12", "price": "1.5", "paid": "TRUE", "tags": '["a"]', "who": '{"n": 1}', "zip": "01234", "free": "7"}
    )
    assert faults == []
    assert item == {"count": 12, "price": 1.5, "paid": True, "tags": ["a"], "who": {"n": 1}, "zip": "01234", "free": "7"}
    assert columns.item({"count": "", "zip": ""}) == ({}, [])
    _, wrong = columns.item({"count": "1.5", "price": "cheap", "paid": "maybe", "tags": "{}", "who": "x"})
    assert [fault.where for fault in wrong] == ["/count", "/price", "/paid", "/tags", "/who"]


def test_a_sheet_becomes_runs(submit):
    answer = submit('\ufeffid,text\nT-1,"two\nlines, one cell"\nT-2,\n', name="items.CSV")

    assert answer.code == 0, answer.err
    assert keys() == ["T-1", "T-2"]
    run = Run.objects.get(business_key="T-1")
    assert b"two\\nlines" in journal.payload(run.stream, 1, "input")


@pytest.mark.parametrize(
    ("content", "code", "told"),
    [
        ("id,text\nT-1,a\nT-2\n", 1, "line 3: has fewer cells"),
        ("id,text\nT-1,a,b\n", 1, "line 2: has more cells"),
        ("id,nope\nT-1,a\n", 1, "line 2, /nope"),
        ("id,id\nT-1,a\n", 2, "names a column twice"),
        ('id,text\nT-1,"never closed\n', 2, "line 2"),
        (b"id,text\nT-1,gr\xfc\xdfe\n", 2, "line 2: not UTF-8"),
    ],
)
def test_a_bad_sheet_is_refused_by_line(submit, content, code, told):
    answer = submit(content, name="items.csv")

    assert answer.code == code
    assert told in answer.err
    assert Run.objects.count() == 0
    assert "Traceback" not in answer.err


def test_who_asks_needs_the_right(submit, person):
    person("eve")

    assert (submit(lines({"id": "a"}), who="eve").code, submit(lines({"id": "a"}), who="nobody").code) == (2, 2)
    assert submit(lines({"id": "a"}), workflow="nowhere").code == 2
    assert submit(lines({"id": "a"}), "--key", "sometimes").code == 2
    assert submit(lines({"id": "a"}), "--batch", "0").code == 2
    assert run_with("notes", "no-such-file", "--as", "zoe").code == 2
    assert Run.objects.count() == 0


def test_stdin_is_a_file_too(zoe, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"id": "a"}\n')))

    assert run_with("notes", "-", "--as", "zoe").code == 0
    assert keys() == ["a"]


def test_while_work_is_held_back_the_command_waits_and_says_so(submit, settings, monkeypatch):
    settings.BACKLOG_LIMIT = 50
    waited = []

    def drive_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        house.drive(*Run.objects.filter(status="running", seq=1))
        command.pressure.forget()

    monkeypatch.setattr(command, "pause", drive_meanwhile)

    answer = submit(lines(*[{"id": f"n-{n:03}"} for n in range(120)]), "--batch", "30")

    assert answer.code == 0, answer.err
    assert Run.objects.count() == 120
    assert waited
    assert "backlog_full" in answer.err
    assert f"Going on in {waited[0]:.0f} s" in answer.err


def test_it_gives_up_in_the_end_and_goes_on_when_started_again(submit, settings, monkeypatch):
    settings.BACKLOG_LIMIT = 50
    monkeypatch.setattr(command, "pause", lambda seconds: None)
    content = lines(*[{"id": f"n-{n:03}"} for n in range(60)])

    held = submit(content, "--batch", "20", "--patience", "0")

    assert held.code == 3
    assert "run it again to go on" in held.err
    assert held.out.startswith("40 new")
    settings.BACKLOG_LIMIT = 500
    command.pressure.forget()
    assert submit(content, "--batch", "20").out.startswith("20 new, 40 known")


def test_stopping_by_hand_is_no_accident(submit, monkeypatch):
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.verbs, "submit_many", stop)

    answer = submit(lines({"id": "a"}))

    assert answer.code == 130
    assert "goes on where" in answer.err


def test_a_row_without_end_does_not_fill_the_memory():
    file = io.BytesIO(b'id,text\n"' + b'x\n","' * MAX_LINE_BYTES)  # each line is short, and none ends the row

    with pytest.raises(Unreadable, match="or its row is"):
        list(Sheet(file))

    assert file.tell() < 2 * MAX_LINE_BYTES


def test_a_header_of_very_many_columns_is_read_in_no_time():
    names = [f"c{number}" for number in range(100_000)]
    began = time.monotonic()

    sheet = Sheet(io.BytesIO(",".join(names).encode()))
    with pytest.raises(Unreadable, match=r"names a column twice: c7$"):
        Sheet(io.BytesIO(",".join([*names, "c7"]).encode()))

    assert sheet.columns == names
    assert time.monotonic() - began < 5  # looking for each name among all the others takes minutes


def test_a_line_without_end_does_not_fill_the_memory():
    class Endless:
        """A gigabyte without a line break, then a good line."""

        def __init__(self) -> None:
            self.left, self.rest = 2**30, io.BytesIO(b'\n{"id": "a"}\n')

        def readline(self, size: int) -> bytes:
            if self.left <= 0:
                return self.rest.readline(size)
            self.left -= size
            return b"x" * size

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = list(json_lines(Endless()))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert "longer than" in found[0].faults[0].what
    assert found[-1].item == {"id": "a"}
    assert grown_kib * 1024 < 20 * MAX_LINE_BYTES
