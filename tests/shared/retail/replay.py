"""Customers' calls through the whole of AEGIS: submitted by the customer, proposed by the assistant, judged, carried out.

Each task has an account record of its own, so that every task begins where the books stand. Calls of one task follow one
another; the first calls of all tasks go together, then the second ones, and so on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.models import Group

from aegis.core import canonical, clock, manifests
from aegis.core.actors import SYSTEM, user_actor
from aegis.identity import grants, people
from aegis.identity.models import User
from approvals import changes, gates, questions
from approvals.models import ApprovalRequest
from audit import journal
from audit.models import Event
from orchestration.agents.protocol import AgentRequest, Done, python_agent
from orchestration.engine import verbs
from orchestration.engine.driver import Driver
from orchestration.engine.models import Run
from orchestration.records import store
from orchestration.records.models import Record
from orchestration.workflows.models import Workflow
from tests.shared.retail import shop
from tests.shared.retail.books import Call, Shop, Task

Json = Any

WORKFLOW: Final = "shop-call"
CAPABILITIES: Final = {
    "cancel_pending_order": "account.cancel",
    "return_delivered_order_items": "account.return",
    "exchange_delivered_order_items": "account.exchange",
    "modify_pending_order_items": "account.change-items",
    "modify_pending_order_payment": "account.change-payment",
    "modify_pending_order_address": "account.change-address",
}
INVENTED: Final = "yes, I am sure that he wants it"


@python_agent("shop.assistant")
def assist(request: AgentRequest) -> Done:
    """Proposes the call. Where the customer said nothing it makes up that he did."""
    call = request.input["call"]
    parameters = {**call["arguments"], "confirmation": call["confirmation"] or INVENTED}
    if call["refund_cents"] is not None:
        parameters["refund_cents"] = call["refund_cents"]
    resource = {"type": "account", "id": call["account"]}
    return Done({"action": {"capability": CAPABILITIES[call["tool"]], "resource": resource, "parameters": parameters}})


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that was submitted: by whom, as what, and the run it became."""

    call: Call
    person: User
    payload: Mapping[str, Json]
    run: UUID

    @property
    def stream(self) -> str:
        return f"run:{self.run}"


@dataclass(slots=True)
class House:
    """An installation with the shop's policy, its customers, and an account for each task."""

    books: Shop
    tasks: Sequence[Task]
    customers: dict[str, User] = field(default_factory=dict)

    def found(self) -> None:
        for group in ("Customers", "Shop leads", "Owners"):
            people.create_group(group, actor=SYSTEM, reason="test")
        people.create_person("otto", name="Otto", groups=["Owners"], actor=SYSTEM, reason="test")
        people.create_person("lea", name="Lea", groups=["Shop leads"], actor=SYSTEM, reason="test")
        changes.bootstrap([(one.key, one.document) for one in manifests.read_paths([Path(__file__).parent])])
        for verb in ("view", "start"):
            grants.grant(
                Group.objects.get(name="Customers"), Workflow.objects.get(name=WORKFLOW), verb, actor=SYSTEM, reason="test"
            )
        self._open_accounts()

    def account(self, task: Task) -> Json:
        stored = store.read("account", _key(task))
        assert stored is not None
        return stored.body

    def call(
        self, task: Task, call: Call, *, as_: User | None = None, account: str = "", confirmed: bool = True, key: str = ""
    ) -> Sent:
        """Submit a call, as the customer and on his account if no other is named. Its refund is what that account says."""
        person = as_ or self.customers[task.customer]
        refund = shop.refund_cents(self.account(task), call.tool, call.arguments)
        payload = {
            "id": call.id,
            "account": account or _key(task),
            "request": task.request,
            "tool": call.tool,
            "arguments": dict(call.arguments),
            "confirmation": shop.confirmation(call.tool, call.arguments, refund) if confirmed else "",
            "refund_cents": refund,
        }
        return self._submit(call, person, payload, key or call.id)

    def again(self, sent: Sent) -> tuple[Sent, bool]:
        """The same call once more under its key, and whether it made a run of its own."""
        submitted = _submit(sent.payload, sent.person, sent.call.id)
        return Sent(sent.call, sent.person, sent.payload, submitted.run.pk), submitted.is_new

    def stranger_to(self, task: Task) -> User:
        """Another customer, a different one for each task."""
        others = [name for name in sorted(self.customers) if name != task.customer]
        return self.customers[others[sum(map(ord, task.id)) % len(others)]]

    def account_of(self, person: User) -> str:
        """The key of an account of this customer."""
        return next(_key(task) for task in self.tasks if task.customer == person.username)

    def waves(self) -> Iterator[list[tuple[Task, Call]]]:
        """The first calls of all tasks, then the second ones, and so on."""
        for number in range(max(len(task.calls) for task in self.tasks)):
            yield [(task, task.calls[number]) for task in self.tasks if number < len(task.calls)]

    def _submit(self, call: Call, person: User, payload: Json, key: str) -> Sent:
        return Sent(call, person, payload, _submit(payload, person, key).run.pk)

    def _open_accounts(self) -> None:
        """Customers as people, and their accounts as they stand before anything happens."""
        names = sorted({task.customer for task in self.tasks})
        # By rows: to join 270 people one by one raises the epoch as often, and no test looks at how they came.
        made = [User(username=name, first_name=name) for name in names]
        for person in made:
            person.set_unusable_password()
        User.objects.bulk_create(made)
        Group.objects.get(name="Customers").user_set.set(made)
        self.customers = {person.username: person for person in made}
        bodies = {_key(task): self.books.account(task.customer, str(self.customers[task.customer].pk)) for task in self.tasks}
        Record.objects.bulk_create(
            Record(type="account", key=key, version=1, body=canonical.dump(body).decode(), updated_at=clock.now())
            for key, body in bodies.items()
        )


def drive(sent: Iterable[Sent]) -> dict[UUID, Run]:
    """Move the runs until they rest."""
    ids = [one.run for one in sent]
    if ids:
        Driver(among=ids).drive()
    return Run.objects.in_bulk(ids)


def approve_open() -> int:
    """Lea agrees to every open request; how many there were."""
    lea = User.objects.get(username="lea")
    requests = list(ApprovalRequest.objects.filter(status="open"))
    for request in requests:
        seen = questions.get(request.question).live(request.subject).digest
        gates.decide(
            request.pk, person=lea, auth="test", verdict="approve", reason="as agreed", seen_digest=seen, proved_at=clock.now()
        )
    return len(requests)


def answer(sent: Sent) -> tuple[str, str, str, Json]:
    """What the customer is told: status, outcome, why it failed, and what the effect left behind."""
    run = Run.objects.get(pk=sent.run)
    state = json.loads(run.state)
    done = Event.objects.filter(stream=sent.stream, type="effect.done").values_list("seq", flat=True).first()
    output = canonical.parse(journal.payload(sent.stream, done, "output") or b"null") if done else None
    return run.status, state["outcome"], state.get("code", ""), output


def events(sent: Iterable[Sent], *types: str) -> list[Event]:
    return list(Event.objects.filter(run_id__in=[one.run for one in sent], type__in=types).order_by("id"))


def _submit(payload: Json, person: User, key: str) -> verbs.Submitted:
    return verbs.submit(WORKFLOW, verbs.Submission(payload, key), person=person, actor=user_actor(person.pk, auth="session"))


def _key(task: Task) -> str:
    return f"{task.customer}/{task.id}"
