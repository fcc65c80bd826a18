"""Event types of blocks and their child runs."""

from __future__ import annotations

from audit.catalogue import EventType

_VISIT = ("step", "visit")

TYPES = (
    EventType(
        "run.forked",
        "{subject}: a run of its own for {data.parent_step}, {data.part}",
        "handoffs",
        unless=("part", None, "{subject}: a run of its own for {data.parent_step}"),
        fields=(
            "workflow",
            "version",
            "parent",
            "parent_step",
            "parent_visit",
            "ordinal",
            "path",  # "<block>/<branch>" or "<block>": the body it walks; "" for another workflow
            "input",  # places: of the parent's input, of the list whose item it is for, of the outputs so far
            "items",
            "index",
            "outputs",
            "cases",
            "next",
            "deadline?",
            "at?",
            "part?",  # as `parts.name_of`; lines of releases before that have none
        ),
        payloads={"input": "personal"},
        tone="blue",
    ),
    EventType(
        "step.forked",
        "{step} forked runs of its own: {data.of} in all",
        "handoffs",
        fields=(*_VISIT, "of", "need", "at_once", "collects", "has_items", "is_afresh", "begun"),
        payloads={"items": "personal"},
        tone="blue",
    ),
    EventType(
        "child.refused",
        "{step} does not run {data.workflow}: its version {data.version} is retired",
        "handoffs",
        fields=(*_VISIT, "workflow", "version", "code"),
        tone="red",
    ),
    EventType(
        "child.ended",
        "{step}: {data.part} ended, {data.outcome}",
        "handoffs",
        unless=("part", None, "A run of {step} ended, {data.outcome}"),
        fields=(*_VISIT, "child", "ordinal", "outcome", "code", "output", "effects", "is_retryable", "part?"),
        tone="grey",
    ),
    EventType(
        "step.stopping",
        "{step} is decided ({data.why}); runs told to end: {data.children}",
        "handoffs",
        fields=(*_VISIT, "why", "children"),
        tone="amber",
    ),
    EventType(
        "step.joined",
        "{step} goes on with what its runs made; well: {data.well}, not well: {data.failed}",
        "handoffs",
        fields=(*_VISIT, "next", "well", "failed", "output"),
        payloads={"output": "personal"},
        tone="green",
    ),
    EventType(
        "child.recalled",
        "A run of {step} is told to undo what it did",
        "effects",
        fields=(*_VISIT, "child"),
        tone="amber",
    ),
    EventType(
        "child.undone",
        "A run of {step} has undone what it did; left to stand: {data.left}",
        "effects",
        fields=(*_VISIT, "child", "left"),
        tone="grey",
    ),
)
