"""What the guards register at start-up."""

from __future__ import annotations

from audit import catalogue
from orchestration.engine.guards import events


def register() -> None:
    """Event types, commands, and what `journal verify` asks. Called from `engine.wiring.register()`."""
    from audit import verify
    from audit.alerts import states
    from orchestration.engine.guards import commands, integrity, watched

    catalogue.register(*events.TYPES)
    verify.register_state_check("guards equal their events", integrity.problems)
    commands.register()
    states.register(watched.BREAKERS)
