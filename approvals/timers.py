"""When a request's clock next asks for something before its deadline: a reminder or an escalation. Pure."""

from __future__ import annotations

from datetime import datetime

from approvals.policies import Policy


def next_moment(
    policy: Policy, *, stage: int, since: datetime, escalated: int, deadline: datetime, reminded: int
) -> datetime | None:
    """The next moment that is due, or None.

    Args:
        since: when `stage` began to be asked.
        escalated: how many escalations of the stage are in force.
        reminded: how many reminders are done.
    """
    moments = [deadline - before for before in policy.reminders[reminded:][:1]]
    if 0 <= stage < len(policy.stages):
        moments += [since + one.after for one in policy.stages[stage].escalations[escalated:][:1]]
    return min(moments, default=None)


def reminders_due(policy: Policy, *, deadline: datetime, reminded: int, now: datetime) -> int:
    """How many reminders are due by `now`, those before included: what was slept through is one reminder."""
    return max(reminded, sum(deadline - before <= now for before in policy.reminders))


def is_escalation_due(policy: Policy, *, stage: int, since: datetime, escalated: int, now: datetime) -> bool:
    waiting = policy.stages[stage].escalations[escalated:] if 0 <= stage < len(policy.stages) else ()
    return bool(waiting) and since + waiting[0].after <= now
