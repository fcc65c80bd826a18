"""Releases: a workflow version with what it pins by digest, made when a run needs one and never changed.

Both verbs are on the path of every run. `release_for` costs two queries (the digests that stand now; the release row), whatever
the size of the workflow, and as many again for each workflow that it runs: it never trusts a cache about *which* documents
stand, only about what a digest means. `load` costs none once a process has seen the release.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Generic, TypeVar

from django.db.models import Q, Value

from aegis.core import canonical, clock
from aegis.core.canonical import Json
from aegis.core.errors import Conflict, IntegrityBroken, Unavailable
from approvals.models import DocumentVersion
from orchestration.agents.models import Agent
from orchestration.contracts.checker import compile_schema
from orchestration.contracts.models import Contract
from orchestration.routing import tables
from orchestration.routing.models import RoutingTable
from orchestration.workflows import parse
from orchestration.workflows.definition import AgentVersion, Definition
from orchestration.workflows.models import Workflow, WorkflowRelease
from orchestration.workflows.references import pinned
from orchestration.workflows.release import Release, agent_version

MAX_CACHED: Final = 256

_MODELS: Final = {"Contract": Contract, "RoutingTable": RoutingTable, "Agent": Agent}

K = TypeVar("K")
V = TypeVar("V")


class NotReleasable(Unavailable):
    """Something the workflow names is gone. Publishing refuses that, so it was removed behind change control's back."""

    code, title = "not_releasable", "The workflow cannot start runs now"


class VersionRetired(Conflict):
    """The version that stands was retired, and no other one was published since."""

    code, title = "version_retired", "No new run starts on this version"


class _Cache(Generic[K, V]):
    """A small map shared by the threads of a process; the oldest entry goes first. Values are immutable."""

    def __init__(self) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > MAX_CACHED:
                self._entries.popitem(last=False)


_definitions: _Cache[str, tuple[Definition, Json]] = _Cache()  # by digest of the workflow document
_releases: _Cache[tuple[uuid.UUID, str], Release] = _Cache()  # by release id and path of a body


def release_for(workflow: Workflow, *, run_by: tuple[str, ...] = ()) -> WorkflowRelease:
    """The release a run submitted now is bound to; made if these exact documents were never released together.

    Args:
        run_by: names of the workflows through whose `run` steps this one is wanted.

    Raises:
        VersionRetired: no new run starts on the version that stands.
        NotReleasable: a contract, table, agent or workflow that it names does not stand, or it comes to run itself.
    """
    if workflow.version in workflow.retired_versions:
        raise VersionRetired(f"Version {workflow.version} of {workflow.name} is retired; runs start again with the next one")
    if workflow.name in run_by:
        raise NotReleasable(f"Workflow {workflow.name} runs itself, through {', '.join(run_by)}")
    definition, document = _read(workflow)
    body = canonical.dump({"workflow": document, "pins": _standing_pins(definition, (*run_by, workflow.name))})
    release, _ = WorkflowRelease.objects.get_or_create(
        digest=canonical.digest(body),
        defaults={
            "workflow": workflow,
            "version": workflow.version,
            "document": body.decode(),
            "created_at": clock.now(),
        },
    )
    return release


def load(release_id: uuid.UUID, path: str = "") -> Release:
    """A release, compiled. Cached for the life of the process: a release never changes.

    Args:
        path: of the body that a child run walks; "" = the workflow itself.

    Raises:
        WorkflowRelease.DoesNotExist: no such release.
        IntegrityBroken: the release or something it pins is missing or is not what its digest says; it has no such body.
    """
    found = _releases.get((release_id, path))
    if found is None:
        if path:
            found = _body(load(release_id), path)
        else:
            found = _compiled(WorkflowRelease.objects.select_related("workflow").get(pk=release_id))
        _releases.put((release_id, path), found)
    return found


def _body(release: Release, path: str) -> Release:
    try:
        return replace(release, definition=release.definition.body(path))
    except KeyError:
        raise IntegrityBroken(f"Release {release.id} of {release.workflow} has no block {path}") from None


def standing(workflow: Workflow) -> Definition:
    """The definition as it stands; parsed once per process."""
    return _read(workflow)[0]


def _read(workflow: Workflow) -> tuple[Definition, Json]:
    found = _definitions.get(workflow.digest)
    if found is None:
        document = canonical.parse(workflow.document)
        found = (parse.load(document), document)
        _definitions.put(workflow.digest, found)
    return found


def _standing_pins(definition: Definition, run_by: tuple[str, ...]) -> dict[str, str]:
    """Digests of the pinned documents as they stand, in one query; of a workflow that is run, the digest of its release."""
    wanted = pinned(definition)
    queries = [
        model._default_manager.filter(name__in=[name for other, name in wanted if other == kind])
        .annotate(kind=Value(kind))
        .values_list("kind", "name", "digest")
        for kind, model in _MODELS.items()
        if any(other == kind for other, _ in wanted)
    ]
    rows = queries[0].union(*queries[1:], all=True) if len(queries) > 1 else queries[0]
    pins = {f"{kind}/{name}": digest for kind, name, digest in rows}
    names = [name for kind, name in wanted if kind == "Workflow"]
    for workflow in Workflow.objects.filter(name__in=names).order_by("name") if names else ():
        pins[f"Workflow/{workflow.name}"] = release_for(workflow, run_by=run_by).digest
    if missing := [f"{kind} {name}" for kind, name in wanted if f"{kind}/{name}" not in pins]:
        raise NotReleasable(f"Workflow {definition.name} needs {', '.join(missing)}, which is not there")
    return pins


def _compiled(row: WorkflowRelease) -> Release:
    if canonical.digest(row.document.encode()) != row.digest:
        raise IntegrityBroken(f"Release {row.pk} of {row.workflow.name} is not what its digest says")
    document = canonical.parse(row.document, max_bytes=4 * canonical.MAX_PAYLOAD_BYTES)
    pins: Mapping[str, str] = document["pins"]
    versions = _pinned_documents({pin: digest for pin, digest in pins.items() if not pin.startswith("Workflow/")})
    by_kind: dict[str, dict[str, Json]] = {kind: {} for kind in _MODELS}
    for pin, version in versions.items():
        kind, _, name = pin.partition("/")
        by_kind[kind][name] = version
    return Release(
        id=row.pk,
        workflow_id=row.workflow_id,
        workflow=row.workflow.name,
        version=row.version,
        digest=row.digest,
        definition=parse.load(document["workflow"]),
        pins=pins,
        contracts={name: compile_schema(version["spec"]["schema"]) for name, version in by_kind["Contract"].items()},
        tables={name: tables.load(version) for name, version in by_kind["RoutingTable"].items()},
        agents=_agent_versions(by_kind["Agent"], pins),
        workflows=_pinned_releases(row, pins),
    )


def _pinned_releases(row: WorkflowRelease, pins: Mapping[str, str]) -> dict[str, Release]:
    """Releases of the workflows that are run, by name."""
    wanted = {digest: pin.partition("/")[2] for pin, digest in pins.items() if pin.startswith("Workflow/")}
    if not wanted:
        return {}
    ids = WorkflowRelease.objects.filter(digest__in=wanted).values_list("digest", "id")
    found = {wanted[digest]: load(release_id) for digest, release_id in ids}
    if missing := sorted(set(wanted.values()) - found.keys()):
        raise IntegrityBroken(f"Release {row.pk} of {row.workflow.name} runs {', '.join(missing)}, of which it pins no release")
    return found


def _pinned_documents(pins: Mapping[str, str]) -> dict[str, Json]:
    """The documents behind the pins, each checked against its digest, in one query."""
    condition = Q(pk__in=[])
    for pin, digest in pins.items():
        kind, _, name = pin.partition("/")
        condition |= Q(kind=kind, name=name, digest=digest)
    found: dict[str, Json] = {}
    rows = DocumentVersion.objects.filter(condition).values_list("kind", "name", "number", "digest", "document")
    for kind, name, number, digest, text in rows:
        found[f"{kind}/{name}"] = _checked(kind, name, number, digest, text)
    if missing := sorted(pins.keys() - found.keys()):
        raise IntegrityBroken(f"Nothing is stored under the pin of {', '.join(missing)}")
    return found


def _checked(kind: str, name: str, number: int, digest: str, text: str) -> Json:
    if canonical.digest(text.encode()) != digest:
        raise IntegrityBroken(f"{kind} {name}, version {number}, is not what its digest says")
    return canonical.parse(text, max_bytes=4 * canonical.MAX_PAYLOAD_BYTES)


def _agent_versions(documents: Mapping[str, Json], pins: Mapping[str, str]) -> dict[str, AgentVersion]:
    """Agents as pinned. Identity and owner are the row's: they outlive versions. Roles are asked of the live matrix."""
    rows = Agent.objects.filter(name__in=documents.keys()).in_bulk(field_name="name")
    versions: dict[str, AgentVersion] = {}
    for name, document in documents.items():
        row, spec = rows.get(name), document["spec"]
        if row is None:
            raise IntegrityBroken(f"Agent {name} is pinned, but there is no such agent")
        versions[name] = agent_version(name, spec, ref=str(row.pk), digest=pins[f"Agent/{name}"], owner=str(row.owner_id))
    return versions
