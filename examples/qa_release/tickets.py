"""Which tickets a test run asks for, and the proposals that open and close them. Pure.

A group of failures that has no open ticket gets one; an open ticket whose group is gone is closed with what closed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]


def plan_tickets(
    *,
    release: str,
    report: Mapping[str, Any],
    groups: Sequence[Mapping[str, Any]],
    known: Sequence[Mapping[str, Any]],
    round_: int,
) -> Json:
    """Compare the groups of this test run with the tickets so far.

    Args:
        known: tickets after the last round: {id, signature, status}.
        round_: counts test runs of this release from 1; part of new ids, so that a cause that returns gets a new ticket.

    Returns:
        a ticket-plan@1: what to do, in order, and the tickets as they will then be.
    """
    standing = {one["signature"]: dict(one) for one in known if one["status"] == "open"}
    found = {group["signature"] for group in groups}
    closed = [one for one in known if one["status"] != "open"]
    actions: list[Json] = []
    tickets: list[Json] = [dict(one) for one in closed]
    for signature, one in standing.items():
        if signature in found:
            tickets.append(one)
            continue
        actions.append(_closing(one, report))
        tickets.append({**one, "status": "closed"})
    for group in groups:
        if group["signature"] not in standing:
            ticket = f"{release}.{round_}.{group['signature']}"
            actions.append(_opening(ticket, group, report))
            tickets.append({"id": ticket, "signature": group["signature"], "status": "open"})
    return {"round": round_, "actions": actions, "tickets": tickets}


def ticket_proposal(action: Mapping[str, Any], *, signs_as: str, note: str) -> Json:
    """The proposal for one planned action.

    Args:
        signs_as: the agent's name, for the record.
        note: what the person said who sent the build back; "" if nobody did.
    """
    if action["do"] == "open":
        return _proposal(
            "defect.open",
            action,
            {
                "title": action["title"],
                "signature": action["signature"],
                "tests": action["tests"],
                "count": action["count"],
                "critical": action["critical"],
                "build": action["build"],
                "report_sha256": action["report_sha256"],
                "opened_by": signs_as,
                "opened_because": action["why"],
                "status": "open",
            },
        )
    closing = {
        "closed_by": signs_as,
        "closed_because": action["why"],
        "closed_build": action["build"],
        "closed_report_sha256": action["report_sha256"],
        "status": "closed",
    }
    return _proposal("defect.close", action, closing | ({"fix_note": note} if note else {}))


def _opening(ticket: str, group: Mapping[str, Any], report: Mapping[str, Any]) -> Json:
    count = group["count"]
    where = f" in {group['frame']}" if group["frame"] else ""
    tests = "one test fails" if count == 1 else f"{count} tests fail"
    return {
        "do": "open",
        "id": ticket,
        "signature": group["signature"],
        "title": group["title"],
        "tests": list(group["tests"]),
        "count": count,
        "critical": group["critical"],
        "build": report["build"],
        "report_sha256": report["report_sha256"],
        "why": f"{tests} on build {report['build']} with the same cause{where}",
    }


def _closing(ticket: Mapping[str, Any], report: Mapping[str, Any]) -> Json:
    return {
        "do": "close",
        "id": ticket["id"],
        "signature": ticket["signature"],
        "title": "",
        "tests": [],
        "count": 0,
        "critical": False,
        "build": report["build"],
        "report_sha256": report["report_sha256"],
        "why": f"the failure no longer occurs on build {report['build']} ({report['title']})",
    }


def _proposal(capability: str, action: Mapping[str, Any], parameters: Json) -> Json:
    return {
        "capability": capability,
        "resource": {"type": "defect", "id": action["id"]},
        "parameters": parameters,
        "justification": action["why"],
    }
