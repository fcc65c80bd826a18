"""What the room of authority registers at start-up."""

from __future__ import annotations

from aegis.core.kinds import register_kind
from aegis.identity import joining
from audit import catalogue, triggers
from orchestration.authority import events, guards, handlers, revealing, review_command, test_command


def register() -> None:
    """Kinds, event types, append-only tables and the names of local handlers. Called from `AppConfig.ready()`."""
    from approvals import changes
    from audit import verify
    from audit.alerts import states
    from orchestration.authority import exclusions, live, lock_reviews, reviewers, role_reviews
    from orchestration.authority.capability_kind import CapabilityKind
    from orchestration.authority.lock_kind import FloorLockKind
    from orchestration.authority.role_kind import RoleKind
    from orchestration.records.handlers import HANDLERS

    catalogue.register(*events.TYPES)
    joining.register(exclusions.of_groups)
    joining.register_shed(exclusions.shed_by_leaving)
    changes.register_applied_hook(live.on_applied)
    changes.register_bound(reviewers.bound)
    verify.register_state_check("matrix equals configuration", live.problems)
    verify.register_state_check("reviews are on record", role_reviews.problems)
    states.register(lock_reviews.STATE)
    triggers.protect(*guards.ALL)
    handlers.accept(HANDLERS.__contains__)
    handlers.accept(revealing.HANDLER.__eq__)
    test_command.register()
    review_command.register()
    register_kind(CapabilityKind())
    register_kind(RoleKind())
    register_kind(FloorLockKind())
