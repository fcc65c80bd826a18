"""What `make up` puts into a new installation: configuration, the mailbox that submits, the sample items. Safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from aegis.core import canonical, manifests
from aegis.core.actors import Actor, user_actor
from aegis.core.errors import Fault, NotFound
from aegis.identity import grants, people
from aegis.identity.models import User
from aegis.portal import demo_people
from aegis.portal.demo.sheet import Row
from approvals import changes
from approvals.models import ChangeSet
from orchestration.engine import verbs
from orchestration.workflows import releases
from orchestration.workflows.models import Workflow

EXAMPLE = settings.BASE_DIR / "examples" / "support_intake"
WORKFLOW = "support-intake"
MAILBOX = "support-mailbox"
CHANNELS = "Intake channels"
OPERATORS = "Support operators"
BATCH = 200

BY_COMMAND = Actor(kind="system", auth="cli")
REASON = "demo"


def configuration() -> bool:
    """Apply the reference workflow, with the people it names, if nothing was ever applied. True if this call did it."""
    if ChangeSet.objects.filter(status=ChangeSet.Status.APPLIED).exists():
        return False
    demo_people.ensure(settings.DATA_DIR)
    changes.bootstrap([(found.key, found.document) for found in manifests.read_paths([EXAMPLE / "manifests"])])
    return True


def mailbox() -> User:
    """The account that customers' requests come in by: it may start the workflow, and nobody can sign in with it.

    Raises:
        NotFound: this installation was configured without the reference workflow.
    """
    workflow = _workflow()
    group = people.create_group(CHANNELS, actor=BY_COMMAND, reason=REASON)
    person = User.objects.filter(username=MAILBOX).first()
    if person is None:
        person = people.create_person(
            MAILBOX, name="Support mailbox", groups=[CHANNELS], is_demo=True, actor=BY_COMMAND, reason=REASON
        )
    operators = people.create_group(OPERATORS, actor=BY_COMMAND, reason=REASON)
    for who, verbs_ in ((group, ("view", "start")), (operators, ("view", "start", "operate"))):
        for verb in verbs_:
            grants.grant(who, workflow, verb, actor=BY_COMMAND, reason=REASON)
    return person


def faults_of(rows: Sequence[Row]) -> list[Fault]:
    """What speaks against requests by the workflow's input contract, by line: asked of all before the first is submitted."""
    release = releases.load(releases.release_for(_workflow()).pk)
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


def _workflow() -> Workflow:
    found = Workflow.objects.filter(name=WORKFLOW).first()
    if found is None:
        raise NotFound(f"This installation has no workflow {WORKFLOW}; it was configured without the demo")
    assert isinstance(found, Workflow)
    return found
