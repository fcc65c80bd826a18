"""The hijack drill: errands through the real engine, what arrived in a sink outside, and what the oracle says of both.

The house stands on the database of the process; the clerk is scripted (`drill.clerk`), the sink is a process of its own.
Approvers agree to every second request. What the oracle is told was written down here, by whoever made it, not read from the
product; of the product it learns which requests were opened and which votes were taken.
"""

from __future__ import annotations

import os
import random
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from django.contrib.auth.models import Group

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.errors import AegisError
from aegis.identity import grants, people
from aegis.identity.models import User
from approvals import gates, questions
from approvals.models import ApprovalRequest
from audit.models import Event
from orchestration.agents.protocol import AgentRequest, Done, python_agent
from orchestration.engine import verbs
from orchestration.engine.driver import Driver
from orchestration.engine.effects import EffectRequest, effect_handler
from orchestration.records.models import Record
from orchestration.workflows.models import Workflow
from tests.drills.errands import TWISTS, Errand, draw
from tests.drills.sink import OutsideSink
from tests.engine.house import bootstrap
from tests.oracles.authority_oracle import denied_legitimate, gated_share, judge_log, legitimate
from tests.oracles.worlds import beginning

Json = Any
SINK: Final = "AEGIS_DRILL_SINK"
GROUPS: Final = {
    "cara": ["Controllers"], "carl": ["Controllers"], "tess": ["Treasury"], "rita": ["Clerks"], "paul": ["Clerks"], "nora": [],
    "otto": [],
}  # fmt: skip
DOCUMENTS: Final[list[Json]] = [
    one for one in yaml.safe_load_all((Path(__file__).parent / "hijack.yaml").read_text(encoding="utf-8")) if one
]

#: What the clerk is to bring up, by the id of its errand.
_asked: dict[str, Json] = {}


@python_agent("drill.clerk")
def clerk(request: AgentRequest) -> Done:
    """Brings up whatever it was made to."""
    return Done({"action": _asked[request.input["id"]]})


@effect_handler("drill.post")
def post(request: EffectRequest) -> Json:
    """The capability is known to the sink by its type of resource: a handler is not told more."""
    body = {"resource": dict(request.resource), "parameters": dict(request.parameters)}
    call = urllib.request.Request(
        os.environ[SINK], data=canonical.dump(body), headers={"Idempotency-Key": request.key}, method="POST"
    )
    with urllib.request.urlopen(call, timeout=10):
        return {"taken": True}


@dataclass(slots=True)
class Found:
    """What some errands came to. `observed`: attempt -> done, asked, denied, lost; `unrecorded`: attempts that left no line."""

    attempts: int = 0
    hijacked: int = 0
    effects: int = 0
    violations: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)  # legitimate work
    free: int = 0  # legitimate work that needs nobody
    over_asked: float = 0.0  # how many of these a person was asked about all the same
    legitimate: int = 0  # honest errands
    asked: int = 0  # how many of these a person was asked about
    twists: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Found) -> Found:
        for name in self.__slots__:  # type: ignore[attr-defined]
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


@dataclass(slots=True)
class Drill:
    """The house and its sink."""

    sink: OutsideSink
    dice: random.Random
    people: dict[str, User] = field(default_factory=dict)
    number: int = 0

    def found(self) -> None:
        for group in ("Controllers", "Treasury", "Clerks", "Askers"):
            people.create_group(group, actor=SYSTEM, reason="test")
        for name, groups in GROUPS.items():
            member_of = [*groups, "Askers"] if name in ("rita", "paul", "nora") else groups
            self.people[name] = people.create_person(
                name, name=name.capitalize(), groups=member_of, actor=SYSTEM, reason="test"
            )
        bootstrap(DOCUMENTS)
        for workflow in Workflow.objects.all():
            for verb in ("view", "start"):
                grants.grant(Group.objects.get(name="Askers"), workflow, verb, actor=SYSTEM, reason="test")

    def run(self, count: int, twists: Sequence[str] = TWISTS) -> Found:
        """Play some errands, bent in one of these ways or in none, and judge them."""
        ids = {name: str(person.pk) for name, person in self.people.items()}
        errands = [draw(self.dice, self.number + index, ids, twists) for index in range(count)]
        self.number += count
        _asked.update({errand.id: errand.proposal for errand in errands})
        self._put_records(errands)
        seen = len(self.sink.entries())
        since = time.time()
        runs = {errand.id: self._submit(errand) for errand in errands}
        Driver(among=list(runs.values())).drive()
        opened = list(ApprovalRequest.objects.filter(run_id__in=runs.values()))
        approvals = self._vote(opened, {run: name for name, run in runs.items()}, {one.id: one for one in errands}, since)
        Driver(among=list(runs.values())).drive()
        _asked.clear()
        return self._judge(errands, runs, approvals, self.sink.entries()[seen:], since)

    def _put_records(self, errands: Iterable[Errand]) -> None:
        Record.objects.bulk_create(
            Record(
                type=errand.proposal["resource"]["type"], key=errand.proposal["resource"]["id"], version=1,
                body=canonical.dump(errand.record).decode(), updated_at=clock.now(),
            )
            for errand in errands
        )  # fmt: skip

    def _submit(self, errand: Errand) -> Any:
        person = self.people[errand.requester]
        payload = {"id": errand.id, "request": errand.request, "mail": errand.mail}
        workflow = "errand" if errand.agent == "clerk" else "errand-drone"
        actor = user_actor(person.pk, auth="session")
        return verbs.submit(workflow, verbs.Submission(payload), person=person, actor=actor).run.pk

    def _vote(
        self, opened: Sequence[ApprovalRequest], ids: Mapping[Any, str], errands: Mapping[str, Errand], since: float
    ) -> list[Json]:
        """Approvers decide every second request; the log of what was asked and voted."""
        found = []
        for index, request in enumerate(opened):
            errand = errands[ids[request.run_id]]
            votes = []
            for person in ("cara", "tess") if request.policy.name == "two" else ("cara",):
                verdict = "approve" if index % 2 == 0 else "reject"
                began = time.time()
                if self._decide(person, request, verdict):
                    votes.append({"person": person, "verdict": verdict, "at": time.time(), "since": began})
                if verdict == "reject":
                    break
            found.append({
                "id": str(request.pk), "policy": request.policy.name, "run": str(request.run_id), "opened_at": since,
                "bound": [errand.requester, "otto"], "shown": dict(errand.proposal), "votes": votes,
            })  # fmt: skip
        return found

    def _decide(self, person: str, request: ApprovalRequest, verdict: str) -> bool:
        seen = questions.get(request.question).live(request.subject).digest
        try:
            gates.decide(
                request.pk, person=self.people[person], auth="session", verdict=verdict, reason="as I see it",
                seen_digest=seen, proved_at=clock.now(),
            )  # fmt: skip
        except AegisError:
            return False
        return True

    def _judge(
        self, errands: Sequence[Errand], runs: Mapping[str, Any], approvals: Sequence[Json], arrived: Sequence[Json], at: float
    ) -> Found:
        attempts = [self._attempt(errand, str(runs[errand.id]), at) for errand in errands]
        # All of the drill share one handler, which is not told the capability; each type of resource has one.
        capability = {one["spec"]["resource"]: one["metadata"]["name"] for one in DOCUMENTS if one["kind"] == "Capability"}
        entries = [
            {**one, "run": one["key"].partition("/")[0], "capability": capability[one["resource"]["type"]]} for one in arrived
        ]
        found = judge_log(DOCUMENTS, attempts, approvals, entries, people=GROUPS, grace=0.0)
        done, asked = {entry["run"] for entry in entries}, {approval["run"] for approval in approvals}
        lines = _lines(runs.values())
        observed = {
            attempt["id"]: "asked" if attempt["run"] in asked else "done" if attempt["run"] in done
            else "denied" if "denied" in lines.get(attempt["run"], ()) else "lost"
            for attempt in attempts
        }  # fmt: skip
        honest = [errand.id for errand in errands if not errand.twist]
        may = legitimate([one for one in attempts if one["id"] in honest], beginning(DOCUMENTS, GROUPS))
        free = sum(kind == "free" for kind in may.values())
        unjudged = sorted(set(honest) - may.keys())
        return Found(
            attempts=len(errands),
            hijacked=len(errands) - len(honest),
            effects=len(entries),
            violations=[f"{one.code} {one.attempt or one.key}: {one.detail}" for one in found],
            unrecorded=[one["id"] for one in attempts if one["run"] not in lines],
            denied=[*denied_legitimate(may, observed), *unjudged],
            free=free,
            over_asked=gated_share(may, observed) * free,
            legitimate=len(honest),
            asked=sum(observed[name] == "asked" for name in honest),
            twists=Counter(errand.twist for errand in errands if errand.twist),
        )

    def _attempt(self, errand: Errand, run: str, at: float) -> Json:
        return {
            "id": errand.id, "principal": {"kind": "agent", "name": errand.agent}, "requester": errand.requester,
            "workflow": "errand" if errand.agent == "clerk" else "errand-drone", "run": run, **errand.proposal,
            "proposed_at": at, "record": errand.record, "provenance": errand.provenance,
            "facts": {"requester": {"id": str(self.people[errand.requester].pk)}},
        }  # fmt: skip


def _lines(runs: Iterable[Any]) -> dict[str, set[str]]:
    """Run -> outcomes of the lines that answer its attempt: a verdict, or a message that broke its contract."""
    found: dict[str, set[str]] = {}
    rows = Event.objects.filter(run_id__in=list(runs), type__in=("verdict.given", "contract.violated"))
    for run, outcome in rows.values_list("run_id", "outcome"):
        found.setdefault(str(run), set()).add(outcome)
    return found


def is_well(found: Found) -> bool:
    """No effect that the oracle forbids, every attempt on record, no honest work denied, nobody asked without need."""
    return not (found.violations or found.unrecorded or found.denied or found.over_asked)
