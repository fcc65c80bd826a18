"""What the engine registers at start-up, in one place."""

from __future__ import annotations

from aegis.core import wake
from approvals import questions
from audit import catalogue
from orchestration.authority import handlers
from orchestration.engine import effects, events
from orchestration.engine.guards import wiring as guards


def register() -> None:
    """Event types, questions, what `journal verify` asks, and what a nudge does. Called from `AppConfig.ready()`."""
    from audit import names, verify
    from orchestration.engine import deadletter_command, integrity, lookup, worker
    from orchestration.engine.questions import EffectQuestion, StepQuestion

    catalogue.register(*events.TYPES)
    guards.register()
    deadletter_command.register()
    questions.register(EffectQuestion())
    questions.register(StepQuestion())
    names.register_runs(lookup.business_keys, lookup.runs_called)
    verify.register_head_source("run:", integrity.run_heads, integrity.run_head)
    verify.register_head_source("review:", integrity.review_heads, integrity.review_head)
    verify.register_state_check("state equals fold", integrity.state_problems)
    handlers.accept(lambda name: effects.registered(name) is not None)
    wake.register(on_nudge=worker.look, on_worker_start=worker.start, on_worker_stop=worker.stop)
