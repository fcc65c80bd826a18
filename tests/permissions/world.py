"""The house of the matrix: four sets of everything, one for each relation, with canaries in every text; and eleven principals.

A set belongs to team A (`own`), team B (`other`), both, or no team that anybody here is in (`none`); `deleted` is no set at
all. Names carry the mark of their set, every other text the mark of kind and set: "cnry-run-own". Whoever may not see that run
of team A must not read it anywhere, whatever address he asks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import Group

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.identity import grants, people
from aegis.identity.models import Area, User
from aegis.portal.models import SavedView
from approvals import delegations
from approvals.alerts.models import Alert
from approvals.models import ApprovalPolicy, ApprovalRequest
from audit import following
from audit.metrics import projection as metrics
from audit.models import Event
from orchestration.agents.models import Agent, AgentCredential
from orchestration.agents.protocol import Abstain, Done
from orchestration.authority.models import Capability, FloorLock, Role
from orchestration.contracts.models import Contract
from orchestration.engine import verbs
from orchestration.engine.guards import verbs as guards
from orchestration.engine.models import ReviewItem, ReviewQueue, Run
from orchestration.routing.models import RoutingTable
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow, WorkflowRelease
from tests.alerts.found import fire, silence
from tests.engine import house
from tests.oracles.visibility_oracle import PRINCIPALS
from tests.support.following import caught_up

SETS = ("own", "other", "both", "none")
GONE = "zqdeleted"  # the name of what is not there
DECIDERS = {"own": ["Deciders A"], "other": ["Deciders B"], "both": ["Deciders A", "Deciders B"], "none": ["Deciders none"]}
#: Kind of the oracle -> the model whose rows hold the grants.
GRANTED: dict[str, type[Any]] = {"workflow": Workflow, "agent": Agent, "queue": ReviewQueue, "policy": ApprovalPolicy}
#: Kinds of governed documents by model name, for the pages of `portal.governed`.
GOVERNED: dict[str, type[Any]] = {
    "agent": Agent, "workflow": Workflow, "routingtable": RoutingTable, "approvalpolicy": ApprovalPolicy, "contract": Contract,
    "capability": Capability, "role": Role, "floorlock": FloorLock, "reviewqueue": ReviewQueue, "alert": Alert,
}  # fmt: skip
#: Model name -> kind in canaries, where they differ.
CANARY_OF = {"routingtable": "table", "approvalpolicy": "policy", "floorlock": "lock", "reviewqueue": "queue"}


def token(kind: str, relation: str) -> str:
    """The canary in every text of a kind of a set."""
    return f"cnry-{kind}-{relation}"


def named(what: str, relation: str) -> str:
    """The name of a document of a set; it carries the mark of the set alone, for other documents name it."""
    return f"{what}-{mark(relation)}"


def mark(relation: str) -> str:
    return f"zq{relation}"


@dataclass(slots=True)
class Set:
    """What stands there under one relation: ids, by what addresses ask for."""

    runs: dict[str, Run] = field(default_factory=dict)  # gate, review, dead
    request: UUID | None = None
    items: dict[str, UUID] = field(default_factory=dict)
    halt: UUID | None = None
    view: UUID | None = None
    credential: str = ""
    releases: list[str] = field(default_factory=list)
    rows: dict[str, UUID] = field(default_factory=dict)  # model name -> id of the document's row
    event: tuple[str, int] = ("", 0)
    episode: UUID | None = None
    silence: UUID | None = None
    digest: str = ""


@dataclass(slots=True)
class World:
    sets: dict[str, Set]
    people: dict[str, User]
    delegation: UUID
    group: int
    stand_in: User  # may decide about everything; whom requests are given to

    def person(self, principal: str) -> User | None:
        return self.people.get(principal)

    def ids(self) -> dict[str, tuple[str, str]]:
        """Id of what stands in the sets -> kind of its canary, and relation."""
        found: dict[str, tuple[str, str]] = {}
        for relation, one in self.sets.items():
            found |= {str(run.pk): ("run", relation) for run in one.runs.values()}
            found |= {str(item): ("item", relation) for item in one.items.values()}
            found |= {str(one.request): ("request", relation), str(one.halt): ("halt", relation)}
            found |= {str(one.view): ("view", relation)}
            found |= {str(one.episode): ("alert", relation), str(one.silence): ("alert", relation)}
            found |= {str(key): (CANARY_OF.get(model, model), relation) for model, key in one.rows.items()}
        return found


def build() -> World:
    """Everything, inside the caller's transaction. Rows that nobody here ever asks about (ida, dot) make the
    scenery. Dot acts for ida, who owns the agents, so she is bound where kay may decide."""
    people_ = _people()
    ida, dot = people_["ida"], people_["dot"]
    house.bootstrap([document for relation in SETS for document in _documents(relation)])
    _grant(people_)
    sets = {relation: _furnished(relation, people_) for relation in SETS}
    now = clock.now()
    row = delegations.delegate(
        to=dot.pk,
        starts_at=now,
        ends_at=now + timedelta(days=1),
        actor=house.actor_for(ida),
        reason=token("delegation", "none"),
    )
    group = Group.objects.get(name="Viewers A").pk
    caught_up()
    following.catch_up(metrics.NAME)  # its page names what was counted
    return World(sets, {name: people_[name] for name in PRINCIPALS if name in people_}, row.pk, group, people_["kay"])


def _people() -> dict[str, User]:
    groups = {
        "ida": ["Owners"], "dot": ["Deciders A", "Deciders B", "Deciders none", "Owners"],
        "bo": ["Deciders B", "Deciders none"], "kay": ["Deciders A", "Deciders B", "Deciders none"],
        "not_staff": ["Visitors"], "staff": ["Visitors"], "viewer": ["Viewers A"], "operator": ["Operators A"],
        "approver": ["Deciders A"], "requester_and_approver": ["Starters A", "Deciders A"], "auditor": ["Auditors"],
        "security_admin": ["Admins"], "superuser": ["Visitors"], "walter": ["Elsewhere"],
    }  # fmt: skip
    made = {}
    for name, of_person in groups.items():
        for group in of_person:
            people.create_group(group, actor=SYSTEM, reason="matrix")
        shown = token("person", "own") if name == "walter" else name
        made[name] = people.create_person(
            name, name=shown, password="correct horse battery staple", groups=of_person, actor=SYSTEM, reason="matrix"
        )
    User.objects.filter(pk=made["staff"].pk).update(is_staff=True)
    User.objects.filter(pk=made["superuser"].pk).update(is_superuser=True, is_staff=True)
    for person in made.values():
        person.refresh_from_db()
    return made


def _grant(made: dict[str, User]) -> None:
    """To the groups, what `PRINCIPALS` says: verbs on the sets of team A, rights on areas, rights everywhere."""
    for principal, who in PRINCIPALS.items():
        if principal not in made:
            continue
        group = Group.objects.filter(user=made[principal]).exclude(name__startswith="Deciders").first()
        if group is None:
            continue
        for area in Area.objects.all():
            for verb in who.everywhere | (who.areas or {}).get(area.name, frozenset()):
                grants.grant(group, area, verb, actor=SYSTEM, reason="matrix")
        for verb in who.verbs:
            _grant_on_sets(group, verb)
    for area in Area.objects.all():  # the scenery: somebody keeps the house
        grants.grant(Group.objects.get(name="Owners"), area, "edit", actor=SYSTEM, reason="matrix")


def _grant_on_sets(group: Group, verb: str) -> None:
    for model in GRANTED.values():
        known = {code.split("_")[0] for code, _ in model._meta.permissions}
        if verb not in known:
            continue
        for relation in ("own", "both"):
            for row in model.objects.filter(name__contains=mark(relation)):
                grants.grant(group, row, verb, actor=SYSTEM, reason="matrix")


def _documents(relation: str) -> list[dict[str, Any]]:
    text = {"type": "string"}
    capability = {"resource": "note", "risk": "low", "safety": "idempotent", "handler": "record.create",
                  "parameters": {"type": "object", "additionalProperties": False,
                                 "properties": {"text": {**text, "description": token("capability", relation)}}}}  # fmt: skip
    policy = {"stages": [{"groups": DECIDERS[relation], "quorum": 1}], "deadline": "1h", "reason": "always"}
    request = {"type": "object", "additionalProperties": False, "required": ["id"], "description": token("contract", relation),
               "properties": {"id": {**text, "maxLength": 60}, "text": text}}  # fmt: skip
    answer = {"type": "object", "additionalProperties": True, "description": token("contract", relation)}
    steps = [{"id": "write", "agent": named("clerk", relation), "output": f"{named('answer', relation)}@1",
              "retry": {"attempts": 1}},
             {"id": "keep", "act": "steps.write.output.note"}]  # fmt: skip
    flow = {"input": f"{named('request', relation)}@1", "business_key": "input.id",
            "fallback": {"queue": named("people", relation)}}  # fmt: skip
    wait = [{"id": "hear", "wait": {"message": "payment", "key": "input.id", "output": f"{named('answer', relation)}@1",
                                    "within": "2d"}}]  # fmt: skip
    table = {"inputs": {"whose": "string"}, "outputs": {"why": "string"},
             "rules": [{"id": "all", "when": "whose != ''", "then": {"case": "go", "why": token("table", relation)}}],
             "default": {"case": "stop", "why": "none"},
             "tests": [{"name": "all", "given": {"whose": "x"}, "expect": {"case": "go"}}]}  # fmt: skip
    cell = _capability(relation)
    spare = f"spare{relation}.write"
    gated = {"capability": cell, "effect": "gate", "policy": named("gate", relation)}
    lock = {"capability": spare, "policy": named("gate", relation), "kind": "law", "basis": token("lock", relation),
            "owner": "Owners"}  # fmt: skip
    agent = {"owner": "ida", "roles": [named("clerk", relation)], "connector": {"python": "test.scripted"}, "settings": {}}

    def doc(kind: str, name: str, spec: Any, shown: str, **more: Any) -> dict[str, Any]:
        return house.document(kind, name, spec, title=token(shown, relation), **more)

    return [
        doc("ReviewQueue", named("people", relation), {"groups": ["Owners"], "service_time": "4h", "owner": "Owners"}, "queue"),
        doc("ApprovalPolicy", named("gate", relation), policy, "policy"),
        doc("Contract", f"{named('request', relation)}@1", {"schema": request}, "contract"),
        doc("Contract", f"{named('answer', relation)}@1", {"schema": answer}, "contract"),
        doc("Capability", cell, {**capability, "resource": f"note{relation}"}, "capability"),
        doc("Capability", spare, {**capability, "resource": f"spare{relation}"}, "capability"),
        doc("Role", named("clerk", relation), {"people": False, "grants": [gated]}, "role"),
        doc("FloorLock", named("lock", relation), lock, "lock"),
        doc("RoutingTable", named("table", relation), table, "table"),
        doc("Agent", named("clerk", relation), agent, "agent"),
        doc("Workflow", named("notes", relation), {**flow, "steps": steps}, "workflow", owner="Owners"),
        doc("Workflow", named("idle", relation), {**flow, "steps": wait}, "workflow", owner="Owners"),
        doc("Alert", named("odd", relation), {"absence": {"of": {"measure": "runs"}}}, "alert"),
    ]


def _capability(relation: str) -> str:
    return f"note{relation}.write"


def _furnished(relation: str, made: dict[str, User]) -> Set:
    found = Set()
    requester = made["requester_and_approver" if relation in ("own", "both") else "ida"]
    notes = Workflow.objects.get(name=named("notes", relation))
    note = {"capability": _capability(relation), "resource": {"type": f"note{relation}", "id": f"N-{relation}"},
            "parameters": {"text": token("request", relation)}, "justification": token("request", relation)}  # fmt: skip
    replies: dict[str, Any] = {
        "gate": Done({"note": note}, confidence=0.9, rationale=token("request", relation)),
        "review": Abstain(token("item", relation)),
        "dead": Done(["broken"], confidence=0.9),  # type: ignore[arg-type]  # what an agent may do
    }
    for name, reply in replies.items():
        house.answers["write"] = reply
        payload = {"id": f"{name}-{mark(relation)}", "text": token("run", relation)}
        run = verbs.submit(notes.name, verbs.Submission(payload, None), person=requester, actor=house.actor_for(requester)).run
        house.drive(run)
        found.runs[name] = run
        if item := ReviewItem.objects.filter(run=run).first():
            found.items[name] = item.pk
    house.answers.clear()
    request = ApprovalRequest.objects.get(run_id=found.runs["gate"].pk)
    found.request, found.digest = request.pk, request.digest
    found.halt = guards.halt("workflow", named("idle", relation), actor=SYSTEM, reason=token("halt", relation)).halt.pk
    guards.open_breaker("agent", named("clerk", relation), actor=SYSTEM, reason=token("breaker", relation))
    alert = Alert.objects.get(name=named("odd", relation))
    found.episode = fire(alert, named("clerk", relation), words=token("alert", relation)).pk
    found.silence = silence(alert, made["ida"], token("alert", relation))
    found.view = _view(relation, made["ida"]).pk
    found.releases = _releases(notes)
    agent = Agent.objects.get(name=named("clerk", relation))
    found.credential = _credential(agent, clock.now()).prefix
    found.rows = {
        name: model._default_manager.filter(name__contains=relation).exclude(name__contains="idle").order_by("name")[0].pk
        for name, model in GOVERNED.items()
    }
    event = Event.objects.filter(stream=found.runs["gate"].stream).exclude(line__contains='"payload":[]').order_by("seq")[0]
    found.event = (event.stream, event.seq)
    return found


def _view(relation: str, owner: User) -> SavedView:
    """Of ida: shared with a group of team A or of team B, or hers alone. The row only: what the record says is the audit’s."""
    groups = {"own": "Viewers A", "both": "Viewers A", "other": "Deciders B"}
    group = Group.objects.get(name=groups[relation]) if relation in groups else None
    return SavedView.objects.create(owner=owner, page="runs", name=token("view", relation), query="status=failed", group=group)


def _releases(row: Workflow) -> list[str]:
    """Two, so that they can be compared."""
    first = releases.release_for(row)
    copied = WorkflowRelease.objects.get(pk=first.pk)
    copied.pk, copied.digest = uuid4(), hashlib.sha256(row.name.encode()).hexdigest()
    copied.save(force_insert=True)
    return [str(first.pk), str(copied.pk)]


def _credential(agent: Agent, now: datetime) -> AgentCredential:
    return AgentCredential.objects.create(
        agent=agent, prefix=f"cr{agent.name[-6:]}"[:8], salt="0" * 64, secret_digest="0" * 64, issued_by_id=None,
        created_at=now, expires_at=now + timedelta(days=3),
    )  # fmt: skip
