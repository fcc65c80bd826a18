"""Event types of halts and breakers: streams `halt:...` and `breaker:<key>`, under the scope of whatever they guard."""

from __future__ import annotations

from audit.catalogue import EventType

_HALT = ("halt", "what", "name")  # what: agent, workflow, everything
_BREAKER = ("key", "cause")  # cause: failures, probe (the run's answer), hand

TYPES = (
    EventType(
        "halt.placed",
        "{actor} halted the {data.what} {data.name}",
        "governance",
        fields=_HALT,
        payloads={"reason": "personal"},
        tone="red",
        unless=("what", "everything", "{actor} halted everything"),
    ),
    EventType(
        "halt.resuming",
        "{actor} lets the {data.what} {data.name} go on, {data.pace} runs a second",
        "governance",
        fields=(*_HALT, "pace", "held"),
        payloads={"reason": "personal"},
        tone="amber",
        unless=("what", "everything", "{actor} lets everything go on, {data.pace} runs a second"),
    ),
    EventType(
        "halt.released",
        "{data.count} held runs go on; {data.left} are still held",
        "governance",
        fields=(*_HALT, "count", "released", "left"),
        tone="blue",
    ),
    EventType(
        "halt.lifted",
        "The halt of the {data.what} {data.name} is over; {data.released} runs went on",
        "governance",
        fields=(*_HALT, "released"),
        tone="green",
        unless=("what", "everything", "The halt of everything is over; {data.released} runs went on"),
    ),
    EventType(
        "breaker.opened",
        "The circuit breaker of {data.key} opened: {data.cause}",
        "system",
        # failures: "<stream>/<seq>" of those that led to it; until: of the first probe, "" = when somebody closes it
        fields=(*_BREAKER, "failures", "openings", "cooldown_ms", "until"),
        payloads={"reason": "personal"},
        tone="red",
        unless=("cause", "hand", "{actor} opened the circuit breaker of {data.key}"),
    ),
    EventType(
        "breaker.probing",
        "One run tries whether {data.key} works again",
        "system",
        fields=("key", "run", "until"),
        tone="amber",
    ),
    EventType(
        "breaker.closed",
        "The circuit breaker of {data.key} closed",
        "system",
        fields=(*_BREAKER, "place"),  # place: of the answer that closed it; "" by hand
        payloads={"reason": "personal"},
        tone="green",
        unless=("cause", "hand", "{actor} closed the circuit breaker of {data.key}"),
    ),
)
