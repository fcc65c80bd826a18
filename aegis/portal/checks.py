"""System checks of the composition root: every port has its owner.

| id | what it refuses |
|---|---|
| E011 | a question that can be asked of people but is owned by nobody |
| E012 | a kind of configuration that manifests may hold but nobody handles |
| E017 | a bell that nobody answers: work would wait for nothing |
| E019 | what people follow and nobody would tell them |

E010 (scopes) and E013 (recorder, announcer) are checked where those ports are declared.
"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from aegis.core import kinds, wake
from approvals import questions
from approvals.notices import followed

QUESTIONS = frozenset({"change", "effect", "step"})
KINDS = frozenset(
    {
        "Agent",
        "Alert",
        "ApprovalPolicy",
        "Capability",
        "Contract",
        "FloorLock",
        "RetiredVersion",
        "ReviewQueue",
        "Role",
        "RoutingTable",
        "Workflow",
    }
)


@register()
def questions_have_owners(**_: Any) -> list[CheckMessage]:
    hint = "Its owner calls approvals.questions.register in its AppConfig.ready."
    missing = sorted(QUESTIONS - questions.registered())
    return [Error(f"Nobody owns the question {name!r}", hint=hint, id="aegis.E011") for name in missing]


@register()
def kinds_have_owners(**_: Any) -> list[CheckMessage]:
    hint = "Its owner calls aegis.core.kinds.register_kind in its AppConfig.ready."
    missing = sorted(KINDS - {kind.name for kind in kinds.all_kinds()})
    return [Error(f"Nobody handles the kind {name!r}", hint=hint, id="aegis.E012") for name in missing]


@register()
def the_bell_is_answered(**_: Any) -> list[CheckMessage]:
    if wake.is_answered():
        return []
    hint = "The engine calls aegis.core.wake.register in its AppConfig.ready."
    return [Error("Nobody answers the bell: no worker would drive a run", hint=hint, id="aegis.E017")]


@register()
def what_is_followed_is_told(**_: Any) -> list[CheckMessage]:
    if followed.is_registered():
        return []
    hint = "The portal calls approvals.notices.followed.register in its AppConfig.ready."
    return [Error("Nobody tells people of the views that they follow", hint=hint, id="aegis.E019")]
