"""The journal of a run as rows: folding attempts, order between streams, cut payloads. Pure, over events made by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from orchestration.pages import timeline
from orchestration.pages.timeline import Names, Stored

RUN = "run:1"
START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NAMES = Names(people={"u1": "Otto"}, agents={"a1": "writer"}, subject="T-1", run="RUN-1", scope="Support")


def event(seq: int, type_: str, *, stream: str = RUN, second: int | None = None, **fields: Any) -> Any:
    data = fields.pop("data", {})
    at = START + timedelta(seconds=seq if second is None else second)
    base = {
        "stream": stream, "seq": seq, "type": type_, "at": at, "actor_kind": "system", "actor_ref": "", "step": "draft",
        "agent": "writer", "capability": "", "outcome": "", "duration_ms": None, "leaf": "ab" * 32,
    }  # fmt: skip
    return SimpleNamespace(**{**base, **fields}, line=json.dumps({"data": data, "on_behalf": "u1"}))


def rows(events: list[Any], payloads: list[Stored] | None = None, **rest: Any) -> list[timeline.Entry]:
    return timeline.build(
        timeline.in_order(timeline.parse(events), RUN), payloads or [], NAMES, run_stream=RUN,
        now=START + timedelta(seconds=60), started=START, ended=None, **rest,
    )  # fmt: skip


def attempt(number: int, **data: Any) -> dict[str, Any]:
    return {"step": "draft", "visit": 1, "attempt": number, **data}


def failing_twice() -> list[Any]:
    return [
        event(1, "step.started", data=attempt(1, timeout_ms=1)),
        event(2, "step.failed", outcome="retrying", duration_ms=800, data=attempt(1, code="timeout", retry_at="")),
        event(3, "step.started", data=attempt(2, timeout_ms=1)),
        event(4, "step.failed", outcome="retrying", data=attempt(2, code="agent_error", retry_at="")),
    ]


def test_attempts_of_one_visit_fold_under_the_last_outcome_and_every_event_keeps_its_anchor():
    entries = rows([*failing_twice(), event(5, "step.started", data=attempt(3, timeout_ms=1)),
                    event(6, "step.completed", outcome="done", data=attempt(3, next="", contract="x@1"))])  # fmt: skip

    assert [entry.anchor for entry in entries] == ["e1", "e6"]
    assert entries[1].anchors == ("e2", "e3", "e4", "e5")
    assert [(one.number, one.mark.word) for one in entries[1].attempts] == [(1, "failed"), (2, "failed"), (3, "done")]
    assert entries[1].attempts[0].duration == "0.8 s"


def test_a_planned_attempt_says_when():
    pending = {"step": "draft", "visit": 1, "attempt": 2, "until": "2026-11-23T08:01:42.000000Z"}

    folded = rows(failing_twice(), pending=pending)[-1].attempts

    assert (folded[-1].number, folded[-1].mark.word, folded[-1].detail) == (3, "planned", "in 42 s")


def test_a_fold_says_in_words_which_attempt_of_how_many_and_when_the_next_is():
    pending = {"step": "draft", "visit": 1, "attempt": 2, "until": "2026-11-23T08:01:42.000000Z"}

    folded = rows(failing_twice(), pending=pending, limits={"draft": 5})[-1]

    assert (folded.fold, folded.next_at) == ("attempt 2 of 5", START + timedelta(seconds=102))
    assert rows(failing_twice(), limits={"draft": 5})[-1].next_at is None


def test_a_first_attempt_that_failed_folds_too_once_the_next_is_due():
    pending = {"step": "draft", "visit": 1, "attempt": 1, "until": "2026-11-23T08:01:42.000000Z"}

    started, failed = rows(failing_twice()[:2], pending=pending, limits={"draft": 3})

    assert (started.fold, started.next_at) == ("", None)
    assert (failed.fold, [one.number for one in failed.attempts]) == ("attempt 1 of 3", [1, 2])


def test_what_the_run_is_at_lasts_until_now_and_nothing_does_once_it_ended():
    opened = event(5, "gate.opened", second=30)

    *_, waits = rows([*failing_twice(), opened])
    other = rows([*failing_twice()[:2], event(5, "step.completed", duration_ms=900)])[-1]

    assert (waits.bar.is_open, waits.bar.x, waits.bar.width, waits.duration) == (True, 50.0, 50.0, "30 s")
    assert not other.bar.is_open


def test_rows_are_counted_by_agent():
    journal = [event(1, "step.started", data=attempt(1, timeout_ms=1)), event(2, "run.completed", agent="")]

    assert timeline.agent_counts(rows(journal)) == {"writer": 1}


def test_an_attempt_says_why_it_failed():
    stored = Stored(RUN, 4, "detail", 30, '{"detail": "503 busy"}')

    assert rows(failing_twice(), [stored])[-1].attempts[-1].detail == "agent error: 503 busy"


def test_another_visit_of_a_step_is_not_folded_in():
    again = [event(5, "step.started", data={**attempt(1, timeout_ms=1), "visit": 2}),
             event(6, "step.completed", data={**attempt(1, next="", contract="x@1"), "visit": 2})]  # fmt: skip

    assert [entry.anchor for entry in rows([*failing_twice(), *again])] == ["e1", "e4", "e5", "e6"]


def test_other_streams_are_sorted_in_by_time_and_never_reorder_the_run():
    events = [
        event(1, "run.submitted", second=0),
        event(2, "step.started", second=9, data=attempt(1, timeout_ms=1)),
        event(3, "run.completed", second=5, data={"outcome": "done", "success": "yes"}),  # a clock that went back
        event(1, "request.opened", stream="request:abcdef123", second=9),
    ]

    assert [entry.anchor for entry in rows(events)] == ["e1", "e2", "e3", "request-abcdef12-1"]


def test_a_payload_is_cut_or_erased_openly():
    stored = [
        Stored(RUN, 1, "input", 9_000, '{"a": "' + "x" * 100),
        Stored(RUN, 1, "about", 9, None, START),
        Stored(RUN, 1, "output", 9, '{"a":"b"}'),
    ]

    cut, erased, whole = rows([event(1, "run.submitted")], stored)[0].payloads

    assert (cut.is_cut, cut.text[:6]) == (True, '{"a": ')
    assert (erased.text, erased.erased_at) == ("", START)
    assert whole.text == '{\n  "a": "b"\n}'


def test_names_come_from_ids_and_a_missing_one_is_said():
    known, gone = rows([event(1, "run.submitted", actor_kind="user", actor_ref="u1"),
                        event(2, "run.submitted", actor_kind="user", actor_ref="u9")])  # fmt: skip

    assert known.who == "Otto"
    assert gone.who == "somebody who is gone on behalf of Otto"


def test_an_event_type_of_a_later_release_does_not_take_the_page_along():
    assert rows([event(1, "galaxy.folded")])[0].parts[0].text == "An event this release does not know"


def test_lanes_are_counted_in_their_order():
    entries = rows(failing_twice())

    assert timeline.lane_counts(entries) == {"handoffs": 1, "agents": 1}


def test_a_verdict_that_was_satisfied_by_an_approval_names_it():
    request = "3f2a91c0-0000-4000-8000-000000000000"
    where = {"step": "draft", "visit": 1}
    asked, again = (event(seq, "verdict.given", data={**where, "answer": "gate"}) for seq in (1, 3))
    done = event(4, "effect.done", data={**attempt(1), "approval": request})

    entries = rows([asked, event(2, "gate.settled", data={**where, "request": request}), again, done])

    assert [entry.satisfied_by for entry in entries] == ["", "", "APR-3F2A91", ""]
    assert [entry.satisfied_by for entry in rows([asked, event(2, "effect.done", data={**attempt(1), "approval": ""})])] == [
        "",
        "",
    ]


def test_the_default_of_a_table_is_not_told_as_an_unknown_rule():
    chosen = {"step": "draft", "visit": 1, "table": "desk", "case": "unknown"}
    by_default, by_rule = rows([event(seq, "route.chosen", data={**chosen, "rule": rule}) for seq, rule in ((1, ""), (2, "a"))])

    assert "".join(part.text for part in by_default.parts).endswith("to unknown by the default")
    assert "".join(part.text for part in by_rule.parts).endswith("to unknown by rule a")
