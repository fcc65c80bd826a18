"""The event types of requests, decisions and change control."""

from __future__ import annotations

from audit.catalogue import EventType

#: Names of what may be shown with a request, frozen when it opens: payloads of its first line.
EVIDENCE = ("proposal", "record", "evidence", "documents", "diff", "reason", "provenance", "outside")

#: What of it is copied from a run, and so tells of whom the run is about; the rest tells of configuration and why.
COPIED = ("proposal", "record", "evidence", "provenance", "outside")

#: What an edit replaces of it: the proposal, the whole output that holds it, and what stands behind it by then.
REVISED = ("proposal", "evidence", "provenance", "outside")

_DOCUMENT = ("change", "kind", "name", "action", "base?", "digest?")

TYPES = (
    EventType(
        "request.opened",
        "{actor} asked for a decision under {data.policy}",
        "gates",
        # bound: ids of people who cannot decide
        fields=("question", "subject", "policy", "policy_digest", "digest", "risk", "deadline", "bound"),
        payloads={name: "personal" if name in COPIED else "business" for name in EVIDENCE},
        tone="violet",
    ),
    EventType(
        "decision.made",
        "{actor} {outcome} (stage {data.stage} of {data.stages} of {data.policy})",
        "gates",
        # seat, delegation: in whose stead; proved_at: the last sign-in; seconds_open: how long the page had been open
        fields=("verdict", "stage", "stages", "policy", "digest", "seconds_open?", "proved_at?", "seat?", "delegation?"),
        payloads={"reason": "personal", "signature": "personal"},
        tone="violet",
    ),
    EventType(
        "decision.refused",
        "{actor} could not decide: {data.code}",
        "gates",
        fields=("verdict", "code", "digest"),  # digest: what the person says was shown
        payloads={"detail": "personal"},
        tone="red",
    ),
    EventType(
        "decision.voided",
        "The vote of {data.person} is void: what was signed has changed",
        "gates",
        fields=("person", "verdict", "seq", "digest"),  # seq: of the decision.made in the same stream
        tone="amber",
    ),
    EventType(
        "request.rebound",
        "What is asked changed; {data.voided} earlier votes are void",
        "gates",
        fields=("old_digest", "digest", "policy_digest", "voided"),
        tone="amber",
    ),
    EventType(
        "request.edited",
        "{actor} edited what is asked; {data.voided} earlier votes are void, and somebody else decides",
        "gates",
        fields=("old_digest", "digest", "policy_digest", "voided"),
        payloads=dict.fromkeys((*REVISED, "output", "reason"), "personal"),
        tone="amber",
    ),
    EventType(
        "request.short",
        "Too few people are left who could decide: {data.missing} more are needed",
        "gates",
        fields=("stage", "missing"),
        tone="red",
    ),
    EventType("request.manned", "There are enough people again who could decide", "gates", fields=("stage",), tone="green"),
    EventType(
        "edit.refused",
        "{actor} could not edit what is asked: {data.code}",
        "gates",
        fields=("code", "digest"),  # digest: what the person says was shown
        payloads={"detail": "personal"},
        tone="red",
    ),
    EventType(
        "gate.stage_passed",
        "Stage {data.stage} of {data.stages} of {data.policy} is passed",
        "gates",
        fields=("stage", "stages", "policy"),
        tone="violet",
    ),
    EventType(
        "request.settled",
        "The request was {outcome}",
        "gates",
        fields=("policy", "digest", "decided_by?"),
        tone="green",
    ),
    EventType(
        "request.frozen",
        "A halt froze the request: it is neither decided nor expires",
        "gates",
        fields=("halt", "since"),  # since: from when its clock stands
        tone="amber",
    ),
    EventType(
        "request.thawed",
        "The request is open again; its deadline moved on by {data.seconds} s",
        "gates",
        fields=("seconds", "deadline"),
        tone="violet",
    ),
    EventType(
        "request.reminded",
        "Those who may decide were reminded ({data.reminder} of {data.of})",
        "gates",
        fields=("reminder", "of", "groups", "seconds_left"),
        tone="amber",
    ),
    EventType(
        "request.escalated",
        "Stage {data.stage} was escalated (step {data.level})",
        "gates",
        fields=("stage", "level", "groups", "instead"),  # instead: those asked before are asked no more
        tone="amber",
    ),
    EventType(
        "request.passed_on",
        "{actor} escalated stage {data.stage} before its time (step {data.level})",
        "gates",
        fields=("stage", "level", "groups", "instead"),  # as of request.escalated
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "request.withdrawn",
        "{actor} withdrew the request",
        "gates",
        fields=("policy", "digest"),
        payloads={"reason": "personal"},
    ),
    EventType(
        "request.claimed",
        "{actor} took the request",
        "gates",
        fields=("before", "by"),  # ids of people, "" for nobody
        payloads={"reason": "personal"},
        tone="violet",
    ),
    EventType(
        "request.reassigned",
        "{actor} gave the request to {data.by}",
        "gates",
        fields=("before", "by"),
        payloads={"reason": "personal"},
        tone="violet",
    ),
    EventType(
        "request.released",
        "{actor} let the request go",
        "gates",
        fields=("before", "by"),
        payloads={"reason": "personal"},
    ),
    EventType(
        "request.commented",
        "{actor} commented on the request",
        "gates",
        payloads={"comment": "personal"},
    ),
    EventType(
        "delegation.given",
        "{actor} let {data.delegate} decide in his or her place",
        "access",
        fields=("delegation", "delegate", "policy", "capability", "starts", "ends"),  # policy, capability: "" for all
        payloads={"reason": "personal"},
        tone="violet",
    ),
    EventType(
        "delegation.ended",
        "{actor} ended the delegation to {data.delegate}",
        "access",
        fields=("delegation", "delegate", "policy", "capability", "starts", "ends"),
        payloads={"reason": "personal"},
        tone="violet",
    ),
    EventType(
        "delegation.declined",
        "{actor} declined to decide in another's place",
        "access",
        fields=("delegation", "delegate", "policy", "capability", "starts", "ends"),
        payloads={"reason": "personal"},
        tone="violet",
    ),
    EventType(
        "notices.again",
        "{actor} let notices go out again that had been given up",
        "access",
        fields=("mails", "webhooks", "notices"),  # how many; notices: that could not be built
        payloads={"reason": "personal"},
    ),
    EventType(
        "config.proposed",
        "{actor} proposed to {data.action} {data.kind} {data.name}",
        "governance",
        fields=(*_DOCUMENT, "request"),
        payloads={"document": "business", "diff": "business", "reason": "personal"},
        tone="violet",
    ),
    EventType(
        "config.applied",
        "{actor} applied a change: {data.action} {data.kind} {data.name}",
        "governance",
        fields=(*_DOCUMENT, "number?"),
        payloads={"document": "business", "diff": "business", "reason": "personal"},
        tone="blue",
    ),
    EventType(
        "config.rejected",
        "The change of {data.kind} {data.name} was not approved: {outcome}",
        "governance",
        fields=_DOCUMENT,
        tone="red",
    ),
    EventType(
        "config.stale",
        "The change of {data.kind} {data.name} is stale: {data.code}",
        "governance",
        fields=(*_DOCUMENT, "code"),  # base_moved, lint, rights_lost, refused
        payloads={"faults": "business"},
        tone="amber",
    ),
    EventType(
        "config.withdrawn",
        "{actor} withdrew the change of {data.kind} {data.name}",
        "governance",
        fields=_DOCUMENT,
        payloads={"reason": "personal"},
    ),
)
