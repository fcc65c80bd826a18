"""What `make up` puts into a new installation: configuration, the accounts that submit, the sample items. Safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group

from aegis.core import canonical, manifests
from aegis.core.actors import Actor, user_actor
from aegis.core.errors import Fault, NotFound
from aegis.identity import grants, people
from aegis.identity.models import User
from aegis.portal import demo_people
from aegis.portal.demo.examples import EXAMPLES, ROOT, Example, read_samples
from aegis.portal.demo.sheet import Row
from approvals import changes
from approvals.models import ChangeSet
from orchestration.engine import verbs
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow

ALERTS = ROOT / "alerts"
EXAMPLE = settings.BASE_DIR / "examples" / "support_intake"
WORKFLOW = "support-intake"
MAILBOX = "support-mailbox"
CHANNELS = "Intake channels"
OPERATORS = "Support operators"
BATCH = 200

BY_COMMAND = Actor(kind="system", auth="cli")
REASON = "demo"


def configuration() -> bool:
    """Apply the reference workflows, with the people they name, if nothing was ever applied. True if this call did it."""
    if ChangeSet.objects.filter(status=ChangeSet.Status.APPLIED).exists():
        return False
    demo_people.ensure(settings.DATA_DIR)
    folders = [EXAMPLE / "manifests", *(example.manifests for example in EXAMPLES), ALERTS]
    changes.bootstrap([(found.key, found.document) for found in manifests.read_paths(folders)])
    return True


def mailbox() -> User:
    """The account that customers' requests come in by: it may start the workflow, and nobody can sign in with it.

    Raises:
        NotFound: this installation was configured without the reference workflow.
    """
    return _channel(_workflow(WORKFLOW), MAILBOX, "Support mailbox", (OPERATORS,))


def samples_of(example: Example) -> int:
    """Submit an example's samples by its channel, each under a key made from its content. Returns how many runs are new.

    Raises:
        NotFound: this installation was configured without this workflow.
    """
    workflow = _workflow(example.workflow)
    person = _channel(workflow, example.channel, example.channel_name, example.operators)
    return submit_inputs(example.workflow, read_samples(example.samples), person=person)


def submit_inputs(workflow: str, inputs: Sequence[Mapping[str, Any]], *, person: User) -> int:
    batch = [verbs.Submission(dict(one), f"sample:{canonical.digest_of(dict(one))}") for one in inputs]
    actor = user_actor(person.pk, auth="cli")
    return sum(done.is_new for done in verbs.submit_many(workflow, batch, person=person, actor=actor))


def faults_of(rows: Sequence[Row]) -> list[Fault]:
    """What speaks against requests by the workflow's input contract, by line: asked of all before the first is submitted."""
    release = releases.load(releases.release_for(_workflow(WORKFLOW)).pk)
    checker = release.contracts[release.definition.input]
    return [
        Fault(f"line {row.line}, {fault.where.removeprefix('/')}", fault.what, fault.remedy)
        for row in rows
        for fault in checker.faults(row.request)
    ]


def submit(rows: Sequence[Row], *, person: User) -> int:
    """Submit requests in batches, each under a key made from its content: the same file twice is the same runs.

    Returns:
        How many runs are new.
    """
    actor = user_actor(person.pk, auth="cli")
    new = 0
    for start in range(0, len(rows), BATCH):
        batch = [verbs.Submission(row.request, key_of(row)) for row in rows[start : start + BATCH]]
        new += sum(done.is_new for done in verbs.submit_many(WORKFLOW, batch, person=person, actor=actor))
    return new


def key_of(row: Row) -> str:
    return f"csv:{canonical.digest_of(row.request)}"


def sample_items() -> Path:
    return EXAMPLE / "inbox.csv"


def _channel(workflow: Workflow, username: str, name: str, operators: Sequence[str]) -> User:
    """The account that work comes in by, with the rights of the groups around the workflow. Safe to repeat."""
    group = people.create_group(CHANNELS, actor=BY_COMMAND, reason=REASON)
    person = User.objects.filter(username=username).first()
    if person is None:
        person = people.create_person(username, name=name, groups=[CHANNELS], is_demo=True, actor=BY_COMMAND, reason=REASON)
    rights: dict[Group, tuple[str, ...]] = {group: ("view", "start")}
    rights |= {people.create_group(one, actor=BY_COMMAND, reason=REASON): ("view", "start", "operate") for one in operators}
    for who, verbs_ in rights.items():
        for verb in verbs_:
            grants.grant(who, workflow, verb, actor=BY_COMMAND, reason=REASON)
    return person


def _workflow(name: str) -> Workflow:
    found = Workflow.objects.filter(name=name).first()
    if found is None:
        raise NotFound(f"This installation has no workflow {name}; it was configured without the demo")
    assert isinstance(found, Workflow)
    return found
