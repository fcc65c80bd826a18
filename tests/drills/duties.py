"""Conflicts of duties played on the product: a real run waits at a gate, and somebody votes on one of eight paths.

The people of a case are always the same rows, and one more who edits after x: x bears the bond, f and g are free approvers,
o is in no group of the stage. What a case wants of them (groups, delegations, a superuser) is set up before its vote and taken
back after it.

The product asks nobody in whose place he votes: it takes his own right first. So a vote that was accepted is judged as it was
recorded, with the delegator that its row names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.contrib.auth.models import Group
from django.test import Client
from rest_framework.test import APIClient

from aegis.core import clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.errors import AegisError
from aegis.identity import api_keys, cli, grants, people
from aegis.identity.models import User
from approvals import delegations, editing, gates
from approvals.models import ApprovalRequest, Decision, Delegation
from audit.models import DenialCount, Event
from orchestration.agents.protocol import Abstain, AgentRequest, Done, Reply, python_agent
from orchestration.engine import reviews, verbs
from orchestration.engine.driver import Driver
from orchestration.engine.models import ReviewItem
from orchestration.workflows.models import Workflow
from tests.engine.house import OPEN, bootstrap, document
from tests.oracles.separation_oracle import Case, Vote, may_count

NAMES: Final = ("x", "f", "g", "o", "second", "owner", "starter", "late", "passer1", "passer2", "passer3")
EDITS: Final = {"editor": ("x",), "editor_of_earlier_revision": ("x", "late")}  # who edits the proposal, in order
ANSWERED: Final = "review_answerer"
ENDED: Final = "after his delegation ended"


@python_agent("duties.clerk")
def clerk(request: AgentRequest) -> Reply:
    """Proposes a note of its own for each request, unless a person is to write it in its stead."""
    asked = request.input["input"]
    return Abstain("somebody else knows") if asked["edited"] else Done({"note": note(asked["id"])})


def note(name: str) -> dict[str, Any]:
    return {"capability": "note.write", "resource": {"type": "note", "id": name}, "parameters": {"text": "hello"}}


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a case. `recorded`: the vote as the product counted it, None if it was refused."""

    case: Case
    recorded: Vote | None
    is_on_record: bool

    @property
    def passes(self) -> bool:
        """Was a vote counted that the oracle does not let count?"""
        return self.recorded is not None and not may_count(self.case.scene, self.recorded).counts

    @property
    def is_denied(self) -> bool:
        """Was a vote refused that counts?"""
        return self.recorded is None and self.case.expected.counts


@dataclass(slots=True)
class Duties:
    """The house of the drill, founded on the database of the test."""

    people: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    played: int = 0

    def found(self) -> None:
        for group in ("Approvers", "Doubles", "Others", "Everybody"):
            people.create_group(group, actor=SYSTEM, reason="test")
        for name in NAMES:
            made = people.create_person(name, name=name.capitalize(), groups=["Everybody"], actor=SYSTEM, reason="test")
            self.people[name] = made
            key = api_keys.create(made.pk, "drill", expires_at=clock.now() + timedelta(days=1), actor=_by(made), reason="test")
            self.tokens[name] = key.token
        for group in ("Approvers", "Doubles"):
            Group.objects.get(name=group).user_set.set([self.people["f"], self.people["g"]])
        bootstrap(_documents())
        for workflow in Workflow.objects.all():
            for verb in ("view", "start"):
                grants.grant(Group.objects.get(name="Everybody"), workflow, verb, actor=SYSTEM, reason="test")

    def play(self, case: Case) -> Played:
        self._set_groups(case)
        request = self._ask(case)
        if case.scene.voted:
            _decide(self.of(next(iter(case.scene.voted))), request, "session")
        self._set_up(case)
        person = self.of(str(case.vote.person))
        person.refresh_from_db()
        before = _said()
        PATHS[case.vote.path](self, person, request)
        return self._told(case, request, person, is_on_record=_said() != before)

    def of(self, name: str) -> User:
        """The person that a name of the case ("x-123456") stands for."""
        return self.people[name.partition("-")[0]]

    def _set_groups(self, case: Case) -> None:
        passers = [self.people[f"passer{number + 1}"] for number, _ in enumerate(_passers(case))]
        for group, members in case.scene.groups.items():
            named = [self.of(name) for name in members if not name.startswith("passer")]
            Group.objects.get(name=group).user_set.set(
                [*named, *([*passers, self.people["late"]] if members and group != "Others" else [])]
            )

    def _ask(self, case: Case) -> ApprovalRequest:
        """A run that waits at its gate, with the bond of the case."""
        self.played += 1
        owner = "x" if case.bond in ("agent_owner", "requester_and_owner") else "owner"
        requester = self.people["x" if case.bond in ("requester", "requester_and_owner") else "starter"]
        workflow = f"notes-{owner}-{len(case.scene.stages[0])}"
        payload = {"id": f"N-{self.played}", "edited": case.bond == ANSWERED}
        run = verbs.submit(workflow, verbs.Submission(payload), person=requester, actor=_by(requester)).run
        Driver(among=[run.pk]).drive()
        if case.bond == ANSWERED:
            item = ReviewItem.objects.get(run=run, status="open")
            reviews.complete(
                item.pk, person=self.people["x"], auth="session", output={"note": note(payload["id"])}, reason="as he said"
            )
            Driver(among=[run.pk]).drive()
        request = ApprovalRequest.objects.get(run_id=run.pk)
        for name in EDITS.get(case.bond, ()):
            text = {"text": f"{name} says hello"}
            editing.edit(
                request.pk, actor=_by(self.people[name]), parameters=text, reason="friendlier", seen_digest=request.digest
            )
            request.refresh_from_db()
        return request

    def _set_up(self, case: Case) -> None:
        # Who acts for somebody is known to the product by delegations alone.
        pairs = case.scene.delegations | {(whom, who) for who, whom in case.scene.acting_for}
        for giver, to in sorted(pairs):
            self._delegate(case.vote.path, self.of(giver), self.of(to))
        if case.chain == ENDED:
            self._delegate(case.vote.path, self.people["x"], self.people["f"])
            row = Delegation.objects.get(ended_at=None)
            delegations.end(row.pk, actor=_by(self.people["x"]), reason="back")
        User.objects.filter(pk__in=[self.of(name).pk for name in case.scene.superusers]).update(is_superuser=True)
        User.objects.filter(pk__in=[self.of(name).pk for name in case.scene.inactive]).update(is_active=False)

    def _delegate(self, path: str, giver: User, to: User) -> None:
        ends = clock.now() + timedelta(hours=1)
        if path == "delegation":
            body = {"to": str(to.pk), "ends_at": ends.isoformat(), "starts_at": clock.now().isoformat(), "reason": "away"}
            answer = self._api(giver).post("/api/v1/delegations", body, format="json")
            assert answer.status_code < 300, answer.content
        else:
            delegations.delegate(to=to.pk, starts_at=clock.now(), ends_at=ends, actor=_by(giver), reason="away")

    def _told(self, case: Case, request: ApprovalRequest, person: User, *, is_on_record: bool) -> Played:
        vote = Decision.objects.filter(request=request, person=person, verdict="approve").order_by("seq").last()
        is_new = vote is not None and str(case.vote.person) not in case.scene.voted
        recorded = None
        if vote is not None and is_new:
            names = {pk: name for name, pk in ((name, self.of(name).pk) for name in _names(case))}
            delegator = names.get(vote.delegation.delegator_id) if vote.delegation else None
            recorded = Vote(case.vote.person, case.vote.path, delegator)
        Delegation.objects.filter(ended_at=None).update(ended_at=clock.now())
        User.objects.filter(username__in=NAMES).update(is_superuser=False, is_active=True)
        return Played(case, recorded, is_on_record)

    def _api(self, person: User) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.tokens[person.username]}")
        return client

    def by_page(self, person: User, request: ApprovalRequest) -> None:
        client = _signed_in(person)
        form = {"verdict": "approve", "reason": "looks right", "seen_digest": request.digest}
        client.post(f"/approvals/{request.pk}/decide/", form)

    def by_bulk(self, person: User, request: ApprovalRequest) -> None:
        form = {
            "verdict": "approve",
            "reason": "looks right",
            "pick": [str(request.pk)],
            f"digest-{request.pk}": request.digest,
        }
        _signed_in(person).post("/approvals/together/", form)

    def by_api(self, person: User, request: ApprovalRequest) -> None:
        body = {"verdict": "approve", "reason": "looks right", "digest": request.digest}
        self._api(person).post(f"/api/v1/requests/{request.pk}/decisions", body, format="json")

    def by_command(self, person: User, request: ApprovalRequest) -> None:
        """What a command would do: the verb, as whom `--as` names. There is none that decides."""
        _decide(person, request, cli.AUTH)


Path = Callable[[Duties, User, ApprovalRequest], None]
PATHS: Final[dict[str, Path]] = {
    "page": Duties.by_page,
    "bulk": Duties.by_bulk,
    "api": Duties.by_api,
    "delegation": Duties.by_api,
    "group": Duties.by_page,
    "second_role": Duties.by_api,
    "superuser": Duties.by_page,
    "command_line": Duties.by_command,
}


def _decide(person: User, request: ApprovalRequest, auth: str) -> None:
    try:
        gates.decide(request.pk, person=person, auth=auth, verdict="approve", reason="fine", seen_digest=request.digest)
    except AegisError:
        return


def _said() -> tuple[int, int]:
    """How many events there are, and repeats of a refusal that wait to become one."""
    return Event.objects.count(), sum(DenialCount.objects.values_list("repeats", flat=True))


def _signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person, backend="aegis.identity.backends.PersonBackend")
    return client


def _by(person: User) -> Any:
    return user_actor(person.pk, auth="session")


def _names(case: Case) -> set[str]:
    """Every name of the case but those who only pass by."""
    text = json.dumps([sorted(members) for members in case.scene.groups.values()])
    found = set(re.findall(r'"([a-z]+-\d+)"', text)) | {name for pair in case.scene.delegations for name in pair}
    return {name for name in found if not name.startswith("passer")}


def _passers(case: Case) -> list[str]:
    return sorted(name for name in case.scene.groups["Approvers"] if name.startswith("passer"))


def _documents() -> list[dict[str, Any]]:
    shape = {
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "edited"],
        "properties": {"id": {"type": "string", "maxLength": 40}, "edited": {"type": "boolean"}},
    }
    parameters = {"type": "object", "additionalProperties": False, "properties": {"text": {"type": "string"}}}
    capability = {
        "resource": "note",
        "risk": "low",
        "safety": "idempotent",
        "handler": "record.create",
        "parameters": parameters,
    }
    documents = [
        document("Contract", "ask@1", {"schema": shape}),
        document("Contract", "anything@1", {"schema": OPEN}),
        document("Capability", "note.write", capability),
        document("ReviewQueue", "desk", {"groups": ["Everybody"], "service_time": "4h", "owner": "Everybody"}),
        document("Role", "Everybody", {"people": True, "grants": [{"capability": "note.write", "effect": "allow"}]}),
    ]
    for groups in (["Approvers"], ["Approvers", "Doubles"]):
        size = len(groups)
        stages = [{"groups": groups, "quorum": 2}]
        grant = {"capability": "note.write", "effect": "gate", "policy": f"pair-{size}"}
        documents.append(document("ApprovalPolicy", f"pair-{size}", {"stages": stages, "deadline": "1h"}))
        documents.append(document("Role", f"clerk-{size}", {"people": False, "grants": [grant]}))
        for owner in ("x", "owner"):
            name = f"{owner}-{size}"
            agent = {"owner": owner, "roles": [f"clerk-{size}"], "connector": {"python": "duties.clerk"}}
            steps = [
                {"id": "write", "agent": f"clerk-{name}", "output": "anything@1", "abstain_queue": "desk"},
                {"id": "keep", "act": "steps.write.output.note"},
            ]
            workflow = {"input": "ask@1", "business_key": "input.id", "fallback": {"queue": "desk"}, "steps": steps}
            documents.append(document("Agent", f"clerk-{name}", agent))
            documents.append(document("Workflow", f"notes-{name}", workflow, title=f"Notes {name}", owner="Others"))
    return documents
