"""The agents of qa-release. Each is a plain function; rows name them as registered here.

They judge and propose. Tickets and the release are acts of the workflow, each asked of the access matrix: `qa.ticket` signs
with the name that its settings say, and the matrix lets it pass only where that is the name of the agent that proposes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from aegis.core.errors import Fault, Invalid
from orchestration.agents.protocol import Abstain, AgentRequest, Done, Reply, python_agent

from .grouping import Failure, Group, Root, failures_of, group_failures
from .junit import read_report
from .risk import risk_of
from .running import run_suite
from .statistics import flaky_tests, statistics_of, worst_by_test
from .tickets import plan_tickets, ticket_proposal

MOST_FAILURES: Final = 200  # told one by one; the counts are always whole
MOST_GROUPS: Final = 12  # each becomes a ticket
MOST_TESTS: Final = 20  # named in a group


@python_agent("qa.run")
def run(request: AgentRequest) -> Reply:
    """Run the named suite against a build, or read the report that came with it. Output: test-report@1.

    Input: {suite, build, report}; `report` is "" where a suite is named. Settings: `seconds`, `cpu_seconds`, `memory_mb`.

    Raises:
        Invalid: the input names both, or neither. NotFound: no such suite or build.
        SuiteFailed: no report within the limits. ReportRefused: the report cannot be read.
    """
    suite, build, text = (_text(request.input, name) for name in ("suite", "build", "report"))
    if bool(suite) == bool(text):
        raise Invalid("a build comes with a suite to run or with a report, and not with both")
    limits = {name: request.settings[name] for name in ("seconds", "cpu_seconds", "memory_mb") if name in request.settings}
    raw = text.encode() if text else run_suite(suite, build, **limits)
    report = read_report(text or raw)
    statistics = statistics_of(report)
    if not statistics.tests.total:
        return Abstain("the report holds no tests, so it says nothing about the build")
    failures = failures_of(worst_by_test(report))
    tests = statistics.tests
    digest = hashlib.sha256(raw).hexdigest()
    return Done(
        output={
            "build": build,
            "report_sha256": digest,
            "title": statistics.title,
            "suites": statistics.suites,
            "seconds": statistics.seconds,
            "tests": tests.total,
            "passed": tests.succ,
            "skipped": tests.skip,
            "failed": tests.fail,
            "broken": tests.error,
            "executions": statistics.runs.total,
            "flaky": flaky_tests(report),
            "failures": [_failure(one) for one in failures[:MOST_FAILURES]],
            "left_out": max(0, len(failures) - MOST_FAILURES),
        },
        rationale=statistics.title,
        sources=(f"report:{digest}",),
    )


@python_agent("qa.analyse")
def analyse(request: AgentRequest) -> Reply:
    """Group the failures and add up the risk. Input: {report: test-report@1}. Output: build-findings@1.

    Settings: `critical` (words; a test whose title has one is critical), `least_tests`.
    """
    report = _object(request.input, "report")
    failures = [_read_failure(one) for one in report["failures"]]
    words = [str(word).lower() for word in request.settings.get("critical", [])]
    critical = [one.test for one in failures if any(word in one.test.lower() for word in words)]
    groups = group_failures(failures)
    risk = risk_of(
        tests=report["tests"],
        failed=report["failed"],
        broken=report["broken"],
        skipped=report["skipped"],
        groups=len(groups),
        flaky=report["flaky"],
        critical=critical,
        least_tests=int(request.settings.get("least_tests", 0)),
    )
    return Done(
        output={
            "risk_percent": risk.percent,
            "reasons": list(risk.reasons),
            "groups": [_group(group, set(critical)) for group in _at_most(groups)],
        },
        rationale="; ".join(risk.reasons) or "nothing speaks against it",
        confidence=1.0 if not report["left_out"] else 0.8,
    )


@python_agent("qa.plan")
def plan(request: AgentRequest) -> Reply:
    """Which tickets are due. Output: ticket-plan@1.

    Input: {release, report, findings, known}; `known` is what it said the tickets would be, the last time it was asked.
    """
    known = request.input.get("known") or []
    planned = plan_tickets(
        release=_text(request.input, "release"),
        report=_object(request.input, "report"),
        groups=_object(request.input, "findings")["groups"],
        known=known,
        round_=request.visit,
    )
    opened = sum(one["do"] == "open" for one in planned["actions"])
    return Done(output=planned, rationale=f"{opened} to open, {len(planned['actions']) - opened} to close")


@python_agent("qa.ticket")
def ticket(request: AgentRequest) -> Reply:
    """Propose the ticket whose turn it is. Input: {plan, done, note}. Output: ticket-work@1. Settings: `signs_as`."""
    planned, done = _object(request.input, "plan"), request.input.get("done")
    if not isinstance(done, int) or not 0 <= done < len(planned["actions"]):
        raise _missing("done", "must be the number of tickets that were done, and leave one")
    action = planned["actions"][done]
    signature = str(request.settings.get("signs_as", ""))
    proposal = ticket_proposal(action, signs_as=signature, note=_text(request.input, "note"))
    return Done(output={"round": planned["round"], "done": done + 1, "ticket": proposal}, rationale=action["why"])


@python_agent("qa.release")
def release(request: AgentRequest) -> Reply:
    """Propose the release with the risk it carries. Input: {build, report, findings, plan}. Output: release-proposal@1.

    Whether it may go out is not decided here: the matrix compares the risk with the threshold.
    """
    build, report = _object(request.input, "build"), _object(request.input, "report")
    findings, planned = _object(request.input, "findings"), _object(request.input, "plan")
    still_open = [one["id"] for one in planned["tickets"] if one["status"] == "open"]
    risk = findings["risk_percent"]
    return Done(
        output={
            "release": {
                "capability": "release.publish",
                "resource": {"type": "release", "id": build["id"]},
                "parameters": {
                    "product": build["product"],
                    "build": report["build"],
                    "risk_percent": risk,
                    "reasons": findings["reasons"],
                    "result": report["title"],
                    "report_sha256": report["report_sha256"],
                    "open_tickets": still_open,
                    "status": "released",
                },
                "justification": f"{report['title']}; risk {risk} %, open tickets: {len(still_open)}.",
            }
        },
        rationale="; ".join(findings["reasons"]) or "nothing speaks against it",
    )


def _failure(failure: Failure) -> dict[str, str]:
    root = failure.root
    return {
        "test": failure.test[:300],
        "outcome": failure.outcome,
        "kind": root.kind[:80],
        "message": root.message[:400],
        "frame": root.frame[:200],
    }


def _read_failure(one: Mapping[str, str]) -> Failure:
    return Failure(one["test"], one["outcome"], Root(one["kind"], one["message"], one["frame"]))


def _at_most(groups: list[Group]) -> list[Group]:
    """As many groups as there may be tickets; the smallest ones share the last."""
    if len(groups) <= MOST_GROUPS:
        return groups
    kept, rest = groups[: MOST_GROUPS - 1], groups[MOST_GROUPS - 1 :]
    failures = tuple(failure for group in rest for failure in group.failures)
    return [*kept, Group("further-ones", f"{len(rest)} further causes", "", "", failures)]


def _group(group: Group, critical: set[str]) -> dict[str, Any]:
    tests = [failure.test[:300] for failure in group.failures]
    return {
        "signature": group.signature,
        "title": group.title,
        "kind": group.kind,
        "frame": group.frame,
        "count": len(tests),
        "tests": tests[:MOST_TESTS],
        "critical": any(failure.test in critical for failure in group.failures),
    }


def _text(container: Any, key: str) -> str:
    value = container.get(key) if isinstance(container, Mapping) else None
    if not isinstance(value, str):
        raise _missing(key, "must be text")
    return value


def _object(container: Any, key: str) -> Mapping[str, Any]:
    value = container.get(key) if isinstance(container, Mapping) else None
    if not isinstance(value, Mapping):
        raise _missing(key, "must be an object")
    return value


def _missing(key: str, what: str) -> Invalid:
    return Invalid(f"/{key} {what}", faults=[Fault(f"/{key}", what)])
