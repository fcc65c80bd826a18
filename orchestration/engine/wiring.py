"""What the engine registers at start-up, in one place."""

from __future__ import annotations

from aegis.core import wake
from aegis.core.kinds import register_kind
from approvals import questions
from audit import catalogue
from orchestration.authority import handlers
from orchestration.engine import effects, events
from orchestration.engine.children import events as children_events
from orchestration.engine.guards import wiring as guards


def register() -> None:
    """Event types, questions, what `journal verify` asks, and what a nudge does. Called from `AppConfig.ready()`."""
    from approvals.advice import runs as advice_runs
    from approvals.notices import outbox
    from audit import following, masking, names, verify
    from audit.alerts import states
    from audit.metrics.measures import register as count
    from orchestration.engine import (
        advised,
        deadletter_command,
        decision_command,
        explain_command,
        integrity,
        lookup,
        measures,
        queue_alarms,
        rehearsal_command,
        rehearsals,
        webhook,
        worker,
    )
    from orchestration.engine.erasing import command as erasing_command
    from orchestration.engine.erasing import integrity as erasing_integrity
    from orchestration.engine.erasing.question import ErasureQuestion
    from orchestration.engine.masking import ContractMasker
    from orchestration.engine.messages import command as message_command
    from orchestration.engine.questions import RollbackQuestion
    from orchestration.engine.retired_kind import RetiredVersionKind
    from orchestration.engine.revising import RevisableEffect, RevisableStep
    from orchestration.engine.traces import command as traces_command
    from orchestration.engine.traces import exporter as traces
    from orchestration.workflows.kind import Rehearsals, register_rehearsals

    catalogue.register(*events.TYPES, *children_events.TYPES)
    count(*measures.MEASURES)
    register_kind(RetiredVersionKind())
    guards.register()
    deadletter_command.register()
    erasing_command.register()
    message_command.register()
    traces_command.register()
    if traces.is_wanted():
        following.register_exporter(traces.NAME)
    decision_command.register()
    explain_command.register()
    rehearsal_command.register()
    advice_runs.register(advised.PastRuns())
    states.register(queue_alarms.STATE)
    outbox.register_webhook(webhook.send)
    questions.register(RevisableEffect())
    questions.register(RevisableStep())
    questions.register(RollbackQuestion())
    questions.register(ErasureQuestion())
    masking.register(ContractMasker())
    names.register_runs(lookup.business_keys, lookup.runs_called)
    verify.register_head_source("run:", integrity.run_heads, integrity.run_head)
    verify.register_head_source("review:", integrity.review_heads, integrity.review_head)
    verify.register_head_source("message:", integrity.message_heads, integrity.message_head)
    verify.register_state_check("erasures decided", erasing_integrity.problems)
    verify.register_state_check("state equals fold", integrity.state_problems)
    handlers.accept(lambda name: effects.registered(name) is not None)
    register_rehearsals(Rehearsals(rehearsals.sample_faults, rehearsals.touches_samples))
    wake.register(on_nudge=worker.look, on_worker_start=worker.start, on_worker_stop=worker.stop)
