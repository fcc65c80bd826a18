"""What `journal verify` asks about decided erasures: does a decision of two stand behind each `payload.erased`, and did it
cover what was emptied? A line alone says nothing: whoever can append can write one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from aegis.identity.models import User
from approvals.changes import LEAST_APPROVERS
from approvals.models import ApprovalRequest, Decision
from audit import chain, journal
from audit.models import Erasure, Event
from audit.problems import Problem
from orchestration.engine.erasing.verbs import digest_of
from orchestration.engine.messages.models import SentMessage


def problems(stream: str | None) -> Iterator[Problem]:
    """In the named stream, or everywhere. A few queries per erasure; there are few."""
    found = Event.objects.filter(type="payload.erased").order_by("pk")
    if stream is not None:
        found = found.filter(stream=stream)
    known: dict[str, tuple[str, list[str]]] = {}
    for event in found.iterator(chunk_size=500):
        try:
            line = chain.read_line(event.line)
            if line["data"]["basis"] == "retention":
                continue
            cause = str(line["cause"])
            if cause not in known:
                known[cause] = _decided(cause)
            why, runs = known[cause]
            why = why or _outside(line, runs)
        except (ValueError, KeyError, TypeError):
            why = "it cannot be read"
        if why:
            yield Problem("erasures", event.stream, event.seq, why)


def _decided(cause: str) -> tuple[str, list[str]]:
    """What is wrong with the decision that a line names, "" if nothing; and the runs that it covered."""
    stream, _, seq = cause.rpartition("/")
    asked = _uuid(stream.partition(":")[2]) if stream.startswith("request:") else None
    erasure = Erasure.objects.filter(pk=asked).first() if asked else None
    if erasure is None or erasure.status != Erasure.Status.APPLIED:
        return "no erasure was decided that it could belong to", []
    lines = [chain.read_line(event.line) for event in journal.read(stream)]
    opened, settled = lines[:1], [line for line in lines if str(line["seq"]) == seq]
    if not opened or opened[0]["type"] != "request.opened" or opened[0]["data"]["question"] != "erasure":
        return "the request it names did not ask about an erasure", []
    if not settled or (settled[0]["type"], settled[0]["outcome"]) != ("request.settled", "approved"):
        return "the request it names was not approved there", []
    data = opened[0]["data"]
    if data["digest"] != digest_of(erasure.pk, erasure.runs, data["policy_digest"]):
        return "the runs of the erasure are not those that were asked about", []
    others = _approvers(lines, settled[0]["seq"]) - {opened[0]["actor"]["ref"], erasure.asked_by}
    if len(others) < LEAST_APPROVERS:
        return f"fewer than {LEAST_APPROVERS} others approved it", []
    if User.objects.filter(pk__in=others).count() < len(others) or not _has_rows(erasure, lines):
        return "the lines of its decisions are not those of any request and its votes", []
    return "", erasure.runs


def _approvers(lines: list[dict[str, Any]], until: int) -> set[str]:
    """Ids of people whose approval stood when the request was settled."""
    found: set[str] = set()
    asked = ""
    for line in lines:
        if line["seq"] >= until:
            break
        if line["type"] in ("request.opened", "request.rebound"):
            asked = line["data"]["digest"]
        elif line["type"] == "decision.made" and (line["data"]["verdict"], line["data"]["digest"]) == ("approve", asked):
            if line["actor"]["kind"] == "user":
                found.add(line["actor"]["ref"])
        elif line["type"] == "decision.voided":
            found.discard(line["data"]["person"])
    return found


def _has_rows(erasure: Erasure, lines: list[dict[str, Any]]) -> bool:
    """Do the request and the votes stand in their tables as the lines say, and did somebody ask where the erasure says so?"""
    told = {(line["seq"], line["actor"]["ref"], line["data"]["digest"]) for line in lines if line["type"] == "decision.made"}
    request = ApprovalRequest.objects.filter(pk=erasure.pk, question="erasure", status=ApprovalRequest.Status.APPROVED).first()
    rows = Decision.objects.filter(request=erasure.pk).values_list("seq", "person_id", "digest")
    stream, _, seq = erasure.place.rpartition("/")
    asked = Event.objects.filter(stream=stream, seq=int(seq or 0), type="erasure.asked", actor_ref=erasure.asked_by)
    return request is not None and told == {(at, str(who), digest) for at, who, digest in rows} and asked.exists()


def _outside(line: dict[str, Any], runs: list[str]) -> str:
    """Does it name a place that is not of the run it tells of, or tell of a run that was not asked about?"""
    if line["run"] not in runs:
        return "its run was not among those asked about"
    places = [str(place).rpartition("/") for place in line["data"]["places"]]
    streams = {stream for stream, _, _ in places}
    found = Event.objects.filter(stream__in=streams, seq__in={int(seq) for _, _, seq in places})
    told = {(stream, seq): str(run or "") for stream, seq, run in found.values_list("stream", "seq", "run_id")}
    ids = [pk for stream in streams if stream.startswith("message:") and (pk := _uuid(stream.partition(":")[2]))]
    taken = {f"message:{pk}" for pk in SentMessage.objects.filter(pk__in=ids, run=line["run"]).values_list("pk", flat=True)}
    for stream, _, seq in places:
        if told.get((stream, int(seq))) != line["run"] and stream not in taken:
            return f"{stream}/{seq} is not of that run"
    return ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
