"""The first people and configuration of a fault test: for a stack as a program, for tests of one process as a function.

python -m tests.support.founding FOLDER    migrates, founds, prints {"tokens": {person: API token}} as JSON
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

MANIFESTS = Path(__file__).resolve().parents[1] / "faults" / "manifests"
WORKFLOW = "fault-run"

#: Who there is, and in which group: rita asks, lea and leo decide, otto owns the agent, cora edits configuration.
PEOPLE = {"rita": "Fault desk", "lea": "Fault leads", "leo": "Fault leads", "otto": "Fault owners", "cora": "Fault config"}
_AREAS = ("access", "agents", "workflows", "routing", "contracts", "approvals", "queues")


def found(folder: Path = MANIFESTS) -> None:
    """Groups, people, rights, and the documents of `folder` as the first configuration. Copied where tests begin equally."""
    from tests.support import copies

    copies.made(("found", str(folder)), lambda: _found(folder))


def _found(folder: Path) -> None:
    from aegis.core import manifests
    from aegis.core.actors import SYSTEM
    from aegis.identity import grants, people
    from aegis.identity.areas import area
    from approvals import changes
    from orchestration.workflows.models import Workflow

    groups = {name: people.create_group(name, actor=SYSTEM, reason="test") for name in dict.fromkeys(PEOPLE.values())}
    for person, group in PEOPLE.items():
        people.create_person(person, name=person.capitalize(), groups=[group], actor=SYSTEM, reason="test")
    for name in _AREAS:
        for verb in ("view", "edit"):
            grants.grant(groups["Fault config"], area(name), verb, actor=SYSTEM, reason="test")
    changes.bootstrap([(manifest.key, manifest.document) for manifest in manifests.read_paths([folder])])
    workflow = Workflow.objects.get(name=WORKFLOW)
    for verb in ("view", "start", "operate"):
        grants.grant(groups["Fault desk"], workflow, verb, actor=SYSTEM, reason="test")


def tokens() -> dict[str, str]:
    """An API key for each person; the tokens are in the answer only."""
    from aegis.core import clock
    from aegis.core.actors import user_actor
    from aegis.identity import api_keys
    from aegis.identity.models import User

    made = {}
    for person in User.objects.filter(username__in=PEOPLE):
        key = api_keys.create(
            person.pk,
            "faults",
            expires_at=clock.now() + timedelta(days=1),
            actor=user_actor(person.pk, auth="session"),
            reason="test",
        )
        made[person.username] = key.token
    return made


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    found(Path(sys.argv[1]))
    sys.stdout.write(json.dumps({"tokens": tokens()}))


if __name__ == "__main__":
    main()
