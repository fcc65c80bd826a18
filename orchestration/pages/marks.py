"""Words, tones and icons of runs, steps, events and review items. Pure."""

from __future__ import annotations

from approvals.pages.words import Mark

RUN_STATUSES = {
    "running": Mark("blue", "play", "Running"),
    "waiting_decision": Mark("violet", "hourglass", "Waiting for a decision"),
    "waiting_review": Mark("amber", "queue", "Waiting for a person"),
    "waiting_retry": Mark("amber", "spin", "Waiting to retry"),
    "waiting_time": Mark("blue", "hourglass", "Waiting for its time"),
    "waiting_message": Mark("blue", "hourglass", "Waiting for a message"),
    "waiting_resource": Mark("amber", "lock", "Waiting for a resource"),
    "waiting_children": Mark("blue", "fork", "Waiting for its branches"),
    "held": Mark("amber", "hand", "Held"),
    "completed": Mark("green", "check-circle", "Completed"),
    "failed": Mark("red", "x-circle", "Failed"),
    "cancelled": Mark("grey", "skip", "Cancelled"),
    "rolled_back": Mark("grey", "undo", "Rolled back"),
}

#: What the success criterion of a completed run came to; a workflow without one says nothing.
SUCCESSES = {
    "yes": Mark("green", "check-circle", "Success"),
    "no": Mark("amber", "alert", "No success"),
    "unknown": Mark("amber", "alert", "Success not known"),
}

ITEM_STATUSES = {
    "open": Mark("amber", "queue", "Open"),
    "claimed": Mark("blue", "hand", "Claimed"),
    "completed": Mark("green", "check-circle", "Completed"),
    "retried": Mark("blue", "spin", "Sent back for a retry"),
    "cancelled": Mark("grey", "skip", "Cancelled"),
}

LANES = {
    "handoffs": "handoff",
    "routing": "route",
    "contracts": "contract",
    "agents": "bot",
    "gates": "gate",
    "effects": "effect",
    "governance": "policy",
    "access": "key",
    "system": "info",
}

_OUTCOMES = {
    "accepted": Mark("green", "check-circle", "accepted"),
    "started": Mark("blue", "play", "started"),
    "intended": Mark("blue", "play", "intended"),
    "done": Mark("green", "check-circle", "done"),
    "completed": Mark("green", "check-circle", "completed"),
    "approved": Mark("green", "check-circle", "approved"),
    "allowed": Mark("green", "check-circle", "allowed"),
    "routed": Mark("violet", "route", "routed"),
    "queued": Mark("amber", "queue", "queued"),
    "gated": Mark("violet", "gate", "gated"),
    "gate_opened": Mark("violet", "hourglass", "waits"),
    "fast_path": Mark("blue", "forward", "fast path"),
    "retrying": Mark("amber", "spin", "retrying"),
    "held": Mark("amber", "hand", "held"),
    "resumed": Mark("blue", "play", "goes on"),
    "retried": Mark("blue", "spin", "retried"),
    "lost": Mark("amber", "alert", "worker lost"),
    "unsure": Mark("amber", "alert", "unsure"),
    "abstained": Mark("amber", "alert", "does not know"),
    "conflict": Mark("amber", "refresh", "conflict"),
    "failed": Mark("red", "x-circle", "failed"),
    "denied": Mark("red", "lock", "denied"),
    "rejected": Mark("red", "x-circle", "rejected"),
    "expired": Mark("amber", "alarm", "expired"),
    "dead_letter": Mark("red", "dead", "dead letter"),
    "unknown": Mark("red", "alert", "unknown"),
    "stated": Mark("green", "person", "stated"),
    "left": Mark("amber", "forward", "left to stand"),
    "stopping": Mark("amber", "hourglass", "being cancelled"),
    "compensating": Mark("amber", "undo", "being undone"),
    "compensated": Mark("grey", "undo", "undone"),
    "cancelled": Mark("grey", "skip", "cancelled"),
    "withdrawn": Mark("grey", "skip", "withdrawn"),
    "ignored": Mark("grey", "skip", "too late"),
    "waiting": Mark("blue", "hourglass", "waits"),
    "released": Mark("grey", "forward", "let go"),
    "rolled_back": Mark("grey", "undo", "rolled back"),
    "refused": Mark("red", "x-circle", "refused"),
    "retired": Mark("grey", "skip", "retired"),
}
_TONE_ICONS = {
    "red": "x-circle",
    "amber": "alert",
    "green": "check-circle",
    "blue": "info",
    "violet": "hourglass",
    "grey": "dot",
}

#: Why a review item was opened, for people. The code itself stands beside it.
_CODES = {
    "review": "The workflow asks a person to make this output.",
    "abstained": "The agent said that it does not know.",
    "low_confidence": "The agent answered, but was less sure than the workflow asks for.",
    "contract": "The agent’s answer breaks its contract, so nothing downstream has seen it.",
    "agent_error": "The agent failed, and no attempt is left.",
    "timeout": "The agent did not answer in time, and no attempt is left.",
    "denied": "The access matrix does not allow the proposed action. Nothing was changed.",
    "rejected": "The approval was rejected. Nothing was changed.",
    "expired": "Nobody decided before the deadline. Time never approves, so nothing was changed.",
    "nobody_eligible": "The action needs an approval that nobody is eligible to give. Nothing was changed.",
    "conflict": "The record kept changing under the action. Nothing was changed by it.",
    "effect_failed": "The action was tried and failed.",
    "effect_unknown": "Nobody knows whether the action happened. Look outside before you answer.",
    "effect_diverged": "The same action was about to be sent again with other content.",
    "no_route": "No rule says where this goes. Choose the case.",
    "expression": "An expression of the workflow has no value here.",
    "payload_erased": "A payload that the run needs was erased.",
    "max_visits": "The run came back to this step more often than the workflow allows.",
    "requires": "A step that must be on record before this one is not.",
    "no_message": "Nothing was sent in the time it waited.",
    "deadline": "The step was not done by its deadline. Time never approves, so nothing was changed.",
    "run_deadline": "The run was not done by its deadline.",
    "resource_wait": "The resource that it must hold did not become free in time. Nothing was changed.",
    "resource_circle": "The resource that it must hold is held by a run that waits for it. Nothing was changed.",
    "version_retired": "The version of the workflow that it runs was retired: no new run starts on it.",
    "branch_failed": "Too few of the runs that it forked were well. Trying it again begins only those that were not.",
    "quarantined": "It killed its worker again and again, so it was set aside. Its neighbours go on.",
    "fault": "AEGIS could not go on with it. The fault is on record.",
    "no_queue": "It needed a person, and there was no queue left to put it into.",
}


def status(name: str) -> Mark:
    return RUN_STATUSES.get(name, Mark("grey", "dot", name))


def item_status(name: str) -> Mark:
    return ITEM_STATUSES.get(name, Mark("grey", "dot", name))


def outcome(name: str, tone: str = "grey", event: str = "") -> Mark:
    """The tag of an event: its outcome in words, else the last word of its type ("submitted") in the type's tone."""
    known = _OUTCOMES.get(name)
    if known:
        return known
    word = (name or event.rpartition(".")[2]).replace("_", " ")
    return Mark(tone, _TONE_ICONS.get(tone, "dot"), word)


def code_words(code: str) -> str:
    return _CODES.get(code, f"It ended with the code “{code}”.")


def hold_words(code: str, by: str) -> str:
    """Why a run is held, to follow "it is held: "."""
    what = by.partition(":")[2] or by
    return {
        "halt": "somebody halted it",
        "breaker": f"the circuit breaker of {what} is open",
        "rate": f"{what} is asked as often as it may be",
        "concurrency": f"{what} does as much at once as it may",
        "retries": f"{what} was tried again as often as it may be",
    }.get(code, code)


def priority(tier: int) -> Mark:
    return Mark("red" if tier == 1 else "amber" if tier == 2 else "grey", "alarm" if tier == 1 else "flag", f"Priority {tier}")
