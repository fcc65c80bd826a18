"""What qa-release reads and computes: reports, groups, risk, and the process that runs a suite."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from aegis.core.errors import NotFound
from examples.qa_release import junit
from examples.qa_release.grouping import failures_of, group_failures
from examples.qa_release.junit import ReportRefused, read_report
from examples.qa_release.risk import risk_of
from examples.qa_release.running import SuiteFailed, run_suite
from examples.qa_release.statistics import flaky_tests, statistics_of
from tests.conftest import SHARED


def suite(*cases: str) -> str:
    return f"<testsuites><testsuite name='s'>{''.join(cases)}</testsuite></testsuites>"


def failing(name: str, message: str, text: str = "", kind: str = "AssertionError") -> str:
    return f'<testcase classname="t" name="{name}"><failure type="{kind}" message="{message}">{text}</failure></testcase>'


def groups(*cases: str) -> list[list[str]]:
    found = group_failures(failures_of(read_report(suite(*cases)).cases))
    return [[failure.test for failure in group.failures] for group in found]


# --- reading ---

REFUSED = [
    ('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><testsuites>&b;</testsuites>', "1:13", "document type"),
    ('<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><testsuites/>', "1:46", "document type"),
    ("<testsuites>&undefined;</testsuites>", "1:13", "undefined entity"),
    ("<testsuites><testsuite>", "1:24", "no element found"),
    ("<testsuites>\n<testsuite></testsuites>", "2:14", "mismatched tag"),
    ("<html><body/></html>", "1:1", "not with <testsuites>"),
    ("<testsuites><testcase/></testsuites>", "1:13", "outside of every <testsuite>"),
    (suite("<testcase><testcase/></testcase>"), "1:43", "inside a <testcase>"),
    ("<testsuites>" + "<testsuite>" * 50, "", "nested deeper than 40"),
    ("", "1:1", "no element found"),
    ("{}", "1:1", "not well-formed"),
    ("<testsuites>\x00</testsuites>", "1:13", "not well-formed"),
]


@pytest.mark.parametrize(("text", "where", "what"), REFUSED)
def test_a_report_that_cannot_be_read_is_refused_with_place_and_reason(text: str, where: str, what: str) -> None:
    with pytest.raises(ReportRefused, match=what) as refused:
        read_report(text)
    (fault,) = refused.value.faults
    assert fault.where == where or not where


@pytest.mark.parametrize("raw", [b'<?xml version="1.0" encoding="ebcdic-nowhere"?><testsuites/>', b"\xff\xfe<", b"\x80"])
def test_bytes_of_an_unknown_encoding_are_refused(raw: bytes) -> None:
    with pytest.raises(ReportRefused):
        read_report(raw)


def test_size_and_number_of_tests_are_bounded_before_anything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "MAX_CASES", 2)
    with pytest.raises(ReportRefused, match="more than 2 tests"):
        read_report(suite(*["<testcase/>"] * 3))
    monkeypatch.setattr(junit, "MAX_BYTES", 20)
    with pytest.raises(ReportRefused, match="larger than 20 bytes"):
        read_report(suite())


def test_an_endless_message_is_cut() -> None:
    case = read_report(suite(failing("a", "m" * 20_000, "t" * 100_000))).cases[0]

    assert case.worst is not None
    assert (len(case.worst.message), len(case.worst.text)) == (8_000, 8_000)


@pytest.mark.parametrize("seconds", ["", "NaN", "inf", "-1", "soon", "1e400"])
def test_a_time_that_is_no_duration_counts_as_none(seconds: str) -> None:
    report = read_report(f'<testsuite time="{seconds}"><testcase time="{seconds}"/></testsuite>')

    assert statistics_of(report).seconds == 0


def test_a_test_that_ran_several_times_counts_once_with_its_worst_outcome() -> None:
    report = read_report(suite('<testcase classname="t" name="a"/>', failing("a", "no"), '<testcase classname="t" name="a"/>'))

    statistics = statistics_of(report)

    assert (statistics.tests.total, statistics.tests.fail, statistics.runs.total) == (1, 1, 3)
    assert flaky_tests(report) == 1


def test_a_report_that_says_utf_16_in_text_is_read_as_the_text_it_is() -> None:
    text = '<?xml version="1.0" encoding="utf-16"?><testsuite><testcase name="\u00e4"/></testsuite>'

    assert read_report(text).cases[0].name == "\u00e4"


# --- grouping ---

PYTHON = """Traceback (most recent call last):
  File "/srv/tests/test_a.py", line {line}, in test_a
    shop.charge()
  File "/srv/shop.py", line 12, in charge
    raise {kind}
{kind}: {message}
"""


def test_messages_that_differ_in_numbers_paths_and_values_are_one_cause() -> None:
    cases = [
        failing("a", "cannot open /tmp/x1/data.db after 30 s: 'abc'"),
        failing("b", "cannot open /tmp/y7/other.db after 31.5 s: 'd'"),
        failing("c", "permission denied"),
    ]

    assert groups(*cases) == [["t.a", "t.b"], ["t.c"]]


def test_numbers_alone_are_no_common_cause() -> None:
    assert len(groups(failing("a", "1 != 2"), failing("b", "3 != 4"))) == 2


def test_failures_with_the_same_place_at_the_bottom_of_the_stack_belong_together() -> None:
    first = failing("a", "no card", PYTHON.format(line=3, kind="KeyError", message="card"))
    second = failing("b", "no name", PYTHON.format(line=9, kind="ValueError", message="not that name"))

    assert groups(first, second) == [["t.a", "t.b"]]


def test_the_first_error_of_a_chain_is_the_root() -> None:
    chain = (
        PYTHON.format(line=3, kind="TimeoutError", message="the bank did not answer")
        + "\nThe above exception was the direct cause of the following exception:\n\n"
        + 'Traceback (most recent call last):\n  File "/srv/web.py", line 1, in view\nRuntimeError: cannot pay\n'
    )

    (group,) = group_failures(failures_of(read_report(suite(failing("a", "cannot pay", chain))).cases))

    assert (group.title, group.frame) == ("TimeoutError: the bank did not answer", "shop.py charge")


def test_of_a_java_stack_the_last_cause_counts() -> None:
    stack = (
        "a.B: x\n at a.B.c(B.java:1)\nCaused by: java.net.ConnectException: refused by host 7\n at n.Wire.read(Wire.java:41)"
    )

    (group,) = group_failures(failures_of(read_report(suite(failing("a", "x", stack))).cases))

    assert (group.title, group.frame) == ("ConnectException: refused by host <number>", "Wire.java read")


def test_a_signature_does_not_depend_on_the_order_of_the_tests() -> None:
    cases = [failing(name, f"cannot open file {index}") for index, name in enumerate("abc")]

    def signature(*ordered: str) -> list[str]:
        return [group.signature for group in group_failures(failures_of(read_report(suite(*ordered)).cases))]

    assert signature(*cases) == signature(*reversed(cases))


# --- risk ---


def risk(**more: object) -> int:
    given: dict[str, object] = {"tests": 20, "failed": 0, "broken": 0, "skipped": 0, "groups": 0, "flaky": 0, "critical": [],
                                "least_tests": 3}  # fmt: skip
    return risk_of(**{**given, **more}).percent  # type: ignore[arg-type]


def test_a_clean_run_carries_no_risk_and_everything_that_counts_raises_it() -> None:
    assert risk() == 0
    assert 0 < risk(failed=1, groups=1) <= 20
    assert risk(failed=1, groups=1, critical=["Payment"]) > 20
    assert risk(broken=4, failed=4, groups=3) > 20
    assert risk(tests=2, least_tests=20) > 20
    assert risk(tests=3, failed=3, groups=3, critical=["a"], flaky=1) == 100


# --- running ---


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    folder = tmp_path / "suites" / "s"
    (folder / "b1").mkdir(parents=True)
    (folder / "b1" / "thing.py").write_text("VALUE = 1\n")
    return tmp_path / "suites"


def run_with(suites: Path, code: str, **limits: float) -> bytes:
    body = "import os, time, unittest\nimport thing\nclass T(unittest.TestCase):\n    def test_it(self):\n        " + code
    (suites / "s" / "test_it.py").write_text(body + "\n")
    return run_suite("s", "b1", root=suites, **{"seconds": 20, "cpu_seconds": 5, **limits})  # type: ignore[arg-type]


def test_what_a_suite_prints_is_no_part_of_its_report(suites: Path) -> None:
    raw = run_with(suites, "print('<testsuites>'); os.write(1, b'noise'); self.assertEqual(thing.VALUE, 1)")

    assert statistics_of(read_report(raw)).tests.succ == 1


def test_a_suite_that_hangs_is_killed_at_the_deadline(suites: Path) -> None:
    began = time.monotonic()

    with pytest.raises(SuiteFailed, match="no report within"):
        run_with(suites, "time.sleep(60)", seconds=1.5)
    assert time.monotonic() - began < 15


def test_a_suite_that_burns_the_processor_is_stopped_at_its_limit(suites: Path) -> None:
    with pytest.raises(SuiteFailed, match="limit"):
        run_with(suites, "\n        while True: pass", cpu_seconds=1)


def test_a_child_of_a_suite_that_hangs_does_not_outlive_it(suites: Path, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = f"\n        if not os.fork(): open({str(note)!r}, 'w').write(str(os.getpid()))\n        time.sleep(60)"

    with pytest.raises(SuiteFailed):
        run_with(suites, code, seconds=2)
    pid = int(note.read_text())
    deadline = time.monotonic() + 5
    while _lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_memory_beyond_the_limit_is_an_error_of_the_test_and_of_nobody_else(suites: Path) -> None:
    raw = run_with(suites, "x = bytearray(2_000_000_000)", memory_mb=256)

    assert statistics_of(read_report(raw)).tests.error == 1


def test_a_suite_sees_nothing_of_the_environment(suites: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_SECRET_KEY", "not for tests")

    assert statistics_of(read_report(run_with(suites, "self.assertNotIn('AEGIS_SECRET_KEY', os.environ)"))).tests.succ == 1


def test_a_process_that_crashes_gives_no_report(suites: Path) -> None:
    with pytest.raises(SuiteFailed, match="code 7"):
        run_with(suites, "os._exit(7)")


@pytest.mark.parametrize("name", ["", "..", "../s", "s/b1", "/etc", "S", "s\n", "no-such"])
def test_a_suite_or_build_that_is_not_below_the_folder_is_unknown(suites: Path, name: str) -> None:
    with pytest.raises(NotFound):
        run_suite(name, "b1", root=suites)
    with pytest.raises(NotFound):
        run_suite("s", name, root=suites)


def test_a_link_to_somewhere_else_is_no_build(suites: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (suites / "s" / "b2").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(NotFound):
        run_suite("s", "b2", root=suites)


# --- reports written by others ---


@pytest.mark.shared_data
def test_statistics_of_reports_written_by_others_are_those_that_are_expected() -> None:
    lines = (SHARED / "qa_reports" / "junit_reports.jsonl").read_text(encoding="utf-8").splitlines()
    refused = []
    for line in lines:
        row = json.loads(line)
        try:
            found = statistics_of(read_report(row["report"]))
        except ReportRefused as error:
            refused.append((row["id"], error.detail))
            continue
        expected = row["expected"]
        got = {"suites": found.suites, "duration": found.seconds, "conclusion": found.conclusion, "title": found.title}
        for name, counts in (("tests", found.tests), ("runs", found.runs)):
            got |= {name: counts.total, f"{name}_succ": counts.succ, f"{name}_skip": counts.skip}
            got |= {f"{name}_fail": counts.fail, f"{name}_error": counts.error}
        assert got == {name: expected[name] for name in got}, row["id"]
    assert (len(lines), refused) == (15, [])


@pytest.mark.shared_data
def test_reports_written_by_others_are_refused_once_they_are_cut_or_carry_a_document_type() -> None:
    for line in (SHARED / "qa_reports" / "junit_reports.jsonl").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["report"].strip()
        with pytest.raises(ReportRefused):
            read_report(text[:-5])
        head, _, rest = text.partition("?>")
        with pytest.raises(ReportRefused, match="document type"):
            read_report(f'{head}?><!DOCTYPE testsuites [<!ENTITY x "y">]>{rest}')


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"
