"""A reference workflow in an installation of its own: its manifests, its people, and what a test does to a run of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aegis.core import canonical, clock, manifests
from aegis.core.actors import SYSTEM, user_actor
from aegis.identity import grants, people
from aegis.identity.models import User
from aegis.portal.demo.examples import ROOT
from approvals import gates, questions
from approvals.models import ApprovalRequest
from audit import journal
from audit.models import Event
from orchestration.engine import reviews, verbs
from orchestration.engine.driver import Driver
from orchestration.engine.models import ReviewItem, Run
from orchestration.records import store
from orchestration.workflows.models import Workflow
from tests.support import copies
from tests.support.configuration import configured


def documents(*folders: str) -> list[Any]:
    """The manifests of reference workflows as change control takes them, beside those that every installation needs."""
    paths: list[Path] = [ROOT / folder / "manifests" for folder in ("support_intake", *folders)]
    return [(one.key, one.document) for one in manifests.read_paths(paths)]


def found(folder: str) -> None:
    """The first configuration, with a group "Intake channels" that may start the workflow. Needs ada, who owns the agents."""

    def channels() -> None:
        group = people.create_group("Intake channels", actor=SYSTEM, reason="test")
        for verb in ("view", "start"):
            grants.grant(group, Workflow.objects.get(name=folder.replace("_", "-")), verb, actor=SYSTEM, reason="test")

    copies.made("an operations desk", lambda: people.create_group("Operations desk", actor=SYSTEM, reason="test"))
    configured(documents(folder))
    copies.made(("intake channels of", folder), channels)


def submit(workflow: str, person: User, payload: dict[str, Any]) -> Run:
    """Submit and drive until it rests."""
    actor = user_actor(person.pk, auth="test")
    return drive(verbs.submit(workflow, verbs.Submission(payload, payload["id"]), person=person, actor=actor).run)


def drive(run: Run) -> Run:
    Driver(among=[run.pk]).drive()
    run.refresh_from_db()
    return run


def outcome(run: Run) -> tuple[str, str]:
    return run.status, json.loads(run.state)["outcome"]


def output(run: Run, step: str) -> Any:
    """The last output of a step, from the journal."""
    stream = f"run:{run.pk}"
    seq = (
        Event.objects.filter(stream=stream, type="step.completed", step=step).order_by("-seq").values_list("seq", flat=True)[0]
    )
    return canonical.parse(journal.payload(stream, seq, "output") or b"null")


def record(kind: str, key: str) -> Any:
    standing = store.read(kind, key)
    return standing[1] if standing else None


def decide(person: User, verdict: str, reason: str = "as agreed") -> Any:
    """Decide the one request that is open."""
    request = ApprovalRequest.objects.get(status="open")
    digest = questions.get(request.question).live(request.subject).digest
    return gates.decide(
        request.pk, person=person, auth="test", verdict=verdict, reason=reason, seen_digest=digest, proved_at=clock.now()
    )


def complete(person: User, **answer: Any) -> ReviewItem:
    """Complete the one review item that is open."""
    item = ReviewItem.objects.get(status="open")
    reviews.claim(item.pk, person=person, auth="test")
    reviews.complete(item.pk, person=person, auth="test", reason="I looked into it", **answer)
    return item
