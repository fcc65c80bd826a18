"""May a person see masked fields of a type? The reading capability `<type>.reveal`, asked of the live matrix."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from aegis.core import clock
from aegis.core.canonical import Json
from aegis.core.visibility import Viewer
from orchestration.authority import live
from orchestration.authority.explain import ask
from orchestration.authority.grant_limits import clock_fact
from orchestration.authority.verdicts import Resource
from orchestration.contracts.marks import capability_of

#: Handler of capabilities that only show: there is nothing to carry out, so an agent that proposes one is refused.
HANDLER: Final = "portal.reveal"


def hidden_from(viewer: Viewer, kinds: Collection[str]) -> frozenset[str]:
    """Those of `kinds` whose masked fields the viewer may not see: all but a plain allow. Two queries, none without kinds.

    Which record it is about is not known where a page is drawn, so a grant whose condition asks that grants nothing.
    """
    if not kinds or not (viewer.is_authenticated and viewer.is_active):
        return frozenset(kinds)
    matrix = live.current().matrix
    principal = live.person_principal(viewer.pk)
    facts: Mapping[str, Json] = {"record": {}, "requester": {}, "clock": clock_fact(clock.now(), matrix.zones)}
    answers = {kind: ask(matrix, principal, capability_of(kind), Resource(kind, ""), facts).answer for kind in kinds}
    return frozenset(kind for kind, answer in answers.items() if answer != "allow")
