"""The one function that masks: which contract a payload stands under, and what of it a reader may not see.

A payload's contract is the one its run is pinned to: the release says the schemas of its input and of each step's output. What
has no contract (what an agent was asked, a proposal, a record, a reason) is searched for the values that the contracts hide in
the same run, for fields of the same name, and for what expressions made of them (`contracts.taint`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import AegisError
from aegis.core.visibility import Viewer, remembered
from approvals.models import DocumentVersion
from audit.masking import Stored
from audit.models import Event, Payload
from orchestration.authority import live
from orchestration.authority.revealing import hidden_from
from orchestration.contracts import marks
from orchestration.contracts.checker import Checker
from orchestration.contracts.marks import Marked
from orchestration.contracts.taint import Taint
from orchestration.engine.messages.models import SentMessage
from orchestration.engine.models import Run
from orchestration.workflows import releases
from orchestration.workflows.definition import WaitStep
from orchestration.workflows.release import Release

#: Whose contracts close a run to searches: its own, and those of runs that hand it values or get some from it.
_KIN: Final = ("", "parent__", "parent__parent__", "parent__children__", "children__", "children__children__")
_SEARCHED: Final = "audit.searched"
#: A message is sent before a run gets it, so its payload stands in a stream of its own, on an event that names no run.
_SENT: Final = "message.sent"
_MESSAGES: Final = "message:"
#: Payloads that stand under a contract, and so tell which values are hidden.
_TELLING: Final = ("input", "output", "message", "proposal")


@dataclass(frozen=True, slots=True)
class Hidden:
    """What is hidden from one reader.

    Attributes:
        kinds: types whose right is missing.
        contracts: (name, digest) -> schema, of every contract version with a field of these types.
        capabilities: name -> schema of parameters with such a field.
    """

    kinds: frozenset[str]
    contracts: Mapping[tuple[str, str], Marked]
    capabilities: Mapping[str, Marked]

    @property
    def is_empty(self) -> bool:
        return not self.contracts and not self.capabilities


@dataclass(frozen=True, slots=True)
class Place:
    """The event a payload belongs to.

    Attributes:
        run_id: of a message, the run that got it.
        message: its name, if it is one.
    """

    type: str
    step: str
    capability: str
    run_id: UUID | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Veil:
    """What one reader does not see of one run. `release` None: it cannot be read, so nothing is shown."""

    hidden: Hidden
    release: Release | None
    contracts: Mapping[str, Marked]
    taint: Taint

    def body(self, place: Place, name: str, body: str) -> str:
        try:
            value = _read(body)
        except AegisError:
            return canonical.dump(self.taint.text(body)).decode()
        return canonical.dump(self.payload(place, name, value)).decode()

    def payload(self, place: Place, name: str, value: Json) -> Json:
        if self.release is None:
            return self.taint.mark
        contracts = contracts_of(self.release, place, name)
        is_broken = name == "message" or len(contracts) > 1
        if hiding := [self.contracts[contract] for contract in contracts if contract in self.contracts]:
            for marked in hiding:
                value = marks.mask(marked, value, self.hidden.kinds, is_broken=is_broken)
        elif name in ("proposal", "message") and place.capability in self.hidden.capabilities:
            value = _masked_proposal(self.hidden, place.capability, value)
        for key in self._derived(place, name, value):
            value = {**value, key: self.taint.mark} if key else self.taint.mark
        return self.taint.value(value, by_name=not contracts)

    def _derived(self, place: Place, name: str, value: Json) -> list[str]:
        """Keys whose value an expression made of a hidden field; "" for the value as a whole."""
        assert self.release is not None
        step = step_of(self.release, place.step)
        made = {"request": "input", "output": "values", "facts": "facts"}.get(name, "")
        expressions = getattr(step, made, None) if made else None
        if isinstance(expressions, Mapping) and isinstance(value, Mapping):
            return [key for key, text in expressions.items() if key in value and self._is_made(text, value[key])]
        asked = getattr(step, "proposal", "") if name == "proposal" else ""
        return [""] if isinstance(asked, str) and asked and self._is_made(asked, value) else []

    def _is_made(self, expression: str, value: Json) -> bool:
        return not isinstance(value, Mapping | list) and self.taint.mentions(expression)


class ContractMasker:
    """Implements `audit.masking.Masker`."""

    def payloads(self, viewer: Viewer, rows: Sequence[Stored]) -> list[str]:
        hidden = hidden_of(viewer)
        if hidden.is_empty:
            return [row.body for row in rows]
        places = _places({row.stream for row in rows}, {(row.stream, row.seq) for row in rows})
        veils = _veils(viewer, hidden, {place.run_id for place in places.values() if place.run_id})
        found = []
        for row in rows:
            place = places.get((row.stream, row.seq))
            veil = veils.get(place.run_id) if place and place.run_id else None
            if veil and place:
                found.append(veil.body(place, row.name, row.body))
            else:
                found.append(_of_no_run(hidden, place.type if place else "", row.body))
        return found

    def values(self, viewer: Viewer, about: Sequence[tuple[UUID | None, Json]]) -> list[Json]:
        hidden = hidden_of(viewer)
        if hidden.is_empty:
            return [value for _, value in about]
        veils = _veils(viewer, hidden, {run_id for run_id, _ in about if run_id})
        return [
            veils[run_id].taint.value(value, by_name=True) if run_id and run_id in veils else value for run_id, value in about
        ]

    def is_hiding(self, viewer: Viewer) -> bool:
        return not hidden_of(viewer).is_empty

    def unsearchable(self, viewer: Viewer) -> Q | None:
        hidden = hidden_of(viewer)
        if hidden.is_empty:
            return None
        found = Q(pk__in=[])
        for name, digest in hidden.contracts:
            # The pin as the release document spells it: canonical JSON.
            pin = f'"Contract/{name}":"{digest}"'
            for kin in _KIN:
                found |= Q(**{f"{kin}release__document__contains": pin})
        runs = Q(type__in=(_SEARCHED, _SENT)) | Q(run_id__in=Run.objects.filter(found).values("pk"))
        asked = Event.objects.filter(capability__in=sorted(hidden.capabilities), run_id__isnull=False)
        return runs | Q(run_id__in=asked.values("run_id")) if hidden.capabilities else runs


def hidden_of(viewer: Viewer) -> Hidden:
    """What is hidden from a reader. Two queries where no contract hides anything, four where one does."""
    return remembered(("hidden", viewer.pk), lambda: _hidden_of(viewer))


def contracts_of(release: Release, place: Place, name: str) -> tuple[str, ...]:
    """The contracts that a payload of an event may stand under: none, one, or those of every step that waits for a message."""
    if name == "input" and place.type == "run.submitted":
        return (release.definition.input,)
    if name not in ("output", "message") or place.type.startswith("effect."):
        return ()
    steps = _waiting_for(release, place.message) if place.message else [step_of(release, place.step)]
    found = dict.fromkeys(getattr(step, "output", "") for step in steps)
    return tuple(contract for contract in found if isinstance(contract, str) and contract in release.contracts)


def _waiting_for(release: Release, message: str) -> list[WaitStep]:
    steps = [step for scope in release.definition.scopes() for step in scope.steps]
    return [step for step in steps if isinstance(step, WaitStep) and step.message == message]


def step_of(release: Release, step_id: str) -> Any:
    """The step as the pinned definition has it; None where it has none of that name."""
    scopes = release.definition.scopes()
    return next((step for scope in scopes for step in scope.steps if step.common.id == step_id), None)


def _hidden_of(viewer: Viewer) -> Hidden:
    rows = DocumentVersion.objects.filter(kind="Contract", document__contains=marks.SENSITIVE)
    contracts = {(row[0], row[1]): _marked(*row) for row in rows.values_list("name", "digest", "document")}
    matrix = live.current().matrix
    acting = [one for one in matrix.capabilities.values() if _has_marks(one.parameters)]
    capabilities = {one.name: Marked(one.parameters.schema, one.resource) for one in acting}
    asked = {kind for marked in (*contracts.values(), *capabilities.values()) for kind in marks.types_of(marked)}
    kinds = hidden_from(viewer, asked)
    return Hidden(kinds, _with(contracts, kinds), _with(capabilities, kinds))


def _with(found: Mapping[Any, Marked], kinds: Collection[str]) -> dict[Any, Marked]:
    return {key: marked for key, marked in found.items() if not marks.types_of(marked).isdisjoint(kinds)}


@lru_cache(maxsize=512)
def _marked(name: str, digest: str, text: str) -> Marked:
    return Marked(canonical.parse(text, max_bytes=len(text.encode()))["spec"]["schema"], name.partition("@")[0])


@lru_cache(maxsize=4096)
def _has_marks(checker: Checker) -> bool:
    return marks.SENSITIVE.encode() in canonical.dump(checker.schema)


def _places(streams: Collection[str], wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], Place]:
    """The events of some payloads. One query."""
    rows = Event.objects.filter(stream__in=streams, seq__in={seq for _, seq in wanted})
    found = rows.values_list("stream", "seq", "type", "step", "capability", "run_id")
    places = {(row[0], row[1]): Place(*row[2:]) for row in found if (row[0], row[1]) in wanted}
    return places | _message_places([stream for stream, _ in places if stream.startswith(_MESSAGES)])


def _message_places(streams: Iterable[str]) -> dict[tuple[str, int], Place]:
    """Where the payloads of messages stand: at the run that got them, if one did. One query, none without messages."""
    ids = [UUID(stream.removeprefix(_MESSAGES)) for stream in streams]
    if not ids:
        return {}
    rows = SentMessage.objects.filter(pk__in=ids)
    return {(row.stream, 1): Place(_SENT, "", "", row.run_id, row.name) for row in rows}


def _veils(viewer: Viewer, hidden: Hidden, run_ids: Collection[UUID]) -> dict[UUID, Veil]:
    """The veils of those runs that have one. A few queries for the runs not asked for in this look yet."""
    known: dict[UUID, Veil | None] = remembered(("veils", viewer.pk), dict)
    if missing := [run_id for run_id in run_ids if run_id not in known]:
        known.update(dict.fromkeys(missing))
        known.update(_drawn(hidden, missing))
    return {run_id: veil for run_id in run_ids if (veil := known.get(run_id))}


def _drawn(hidden: Hidden, run_ids: Collection[UUID]) -> dict[UUID, Veil]:
    """Veils of runs and of their families: what a parent hides is looked for in its children, and the other way round."""
    root_of = _families(run_ids)
    release_of = dict(Run.objects.filter(pk__in=root_of).values_list("pk", "release_id"))
    read = {release_id: _loaded(release_id) for release_id in set(release_of.values())}
    pinned = {run_id: _pinned(hidden, read[release_id]) for run_id, release_id in release_of.items()}
    acting = Event.objects.filter(run_id__in=release_of, capability__in=sorted(hidden.capabilities))
    touched = set(acting.values_list("run_id", flat=True)) if hidden.capabilities else set()
    hiding = {root_of[pk] for pk, release_id in release_of.items() if pinned[pk] or pk in touched or read[release_id] is None}
    veiled = [run_id for run_id in release_of if root_of[run_id] in hiding]
    taken: dict[UUID, list[Json]] = {root: [] for root in hiding}
    for run_id, place, name, body in _telling(veiled):
        taken[root_of[run_id]] += _taken(hidden, pinned[run_id], read[release_of[run_id]], place, name, body)
    taints = {root: _taint(hidden, [pinned[pk] for pk in veiled if root_of[pk] == root], taken[root]) for root in hiding}
    return {pk: Veil(hidden, read[release_of[pk]], pinned[pk], taints[root_of[pk]]) for pk in veiled}


def _taint(hidden: Hidden, pinned: Sequence[Mapping[str, Marked]], taken: Sequence[Json]) -> Taint:
    """What is looked for in one family of runs."""
    schemas = [*(marked for one in pinned for marked in one.values()), *hidden.capabilities.values()]
    fields = {name: kind for marked in schemas for name, kind in marks.sensitive_fields(marked)}
    names = {name: kind for name, kind in fields.items() if name and kind in hidden.kinds}
    return Taint(taken, names, min(names.values(), default=min(hidden.kinds)))


def _families(run_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Every run of the families of some runs -> its outermost run. A query per generation."""
    parent_of: dict[UUID, UUID | None] = {}
    level = set(run_ids)
    while level:
        parent_of.update(Run.objects.filter(pk__in=level).values_list("pk", "parent_id"))
        level = {parent for parent in parent_of.values() if parent and parent not in parent_of}
    found = {run_id: run_id for run_id, parent in parent_of.items() if parent is None}
    level = set(found)
    while level:
        below = dict(Run.objects.filter(parent_id__in=level).values_list("pk", "parent_id"))
        found.update({child: found[parent] for child, parent in below.items()})
        level = set(below)
    return found


def _telling(run_ids: Collection[UUID]) -> Iterable[tuple[UUID, Place, str, str]]:
    """The payloads under contracts of some runs, their requests, review items and messages. Three queries."""
    if not run_ids:
        return
    rows = Event.objects.filter(run_id__in=run_ids).values_list("stream", "seq", "type", "step", "capability", "run_id")
    places = {(row[0], row[1]): Place(*row[2:]) for row in rows}
    # The first event of a message names no run; the one that delivered it does.
    places |= _message_places({stream for stream, _ in places if stream.startswith(_MESSAGES)})
    bodies = Payload.objects.filter(stream__in={stream for stream, _ in places}, name__in=_TELLING, erased_at__isnull=True)
    for stream, seq, name, body in bodies.values_list("stream", "seq", "name", "body"):
        place = places.get((stream, seq))
        if place is not None and place.run_id is not None:
            yield place.run_id, place, name, body


def _taken(
    hidden: Hidden, contracts: Mapping[str, Marked], release: Release | None, place: Place, name: str, body: str
) -> list[Json]:
    """The hidden values in one payload."""
    if release is None:
        return []
    try:
        value = _read(body)
    except AegisError:
        return []
    standing = contracts_of(release, place, name)
    is_broken = name == "message" or len(standing) > 1
    found: list[Json] = []
    for marked in [contracts[contract] for contract in standing if contract in contracts]:
        found += marks.hidden_values(marked, value, hidden.kinds, is_broken=is_broken)
    asked = hidden.capabilities.get(place.capability)
    if asked and isinstance(value, Mapping) and "parameters" in value:
        found += marks.hidden_values(asked, value["parameters"], hidden.kinds)
    return found


def _of_no_run(hidden: Hidden, type_: str, body: str) -> str:
    """A payload that belongs to no run.

    A message that nobody has got yet is known to no contract, so it is masked as a whole. A search on record loses its words:
    what somebody with the right looked for may be what is masked for others.
    """
    mark = marks.masked_text(min(hidden.kinds))
    if type_ == _SENT:
        return canonical.dump(mark).decode()
    return canonical.dump({**_read(body), "text": mark}).decode() if type_ == _SEARCHED else body


def _masked_proposal(hidden: Hidden, capability: str, value: Json) -> Json:
    if not isinstance(value, Mapping) or "parameters" not in value:
        return value
    return {**value, "parameters": marks.mask(hidden.capabilities[capability], value["parameters"], hidden.kinds)}


def _pinned(hidden: Hidden, release: Release | None) -> dict[str, Marked]:
    """The contracts with hidden fields that a release is pinned to, by name."""
    if release is None:
        return {}
    digests = {name.partition("/")[2]: digest for name, digest in release.pins.items() if name.startswith("Contract/")}
    return {name: hidden.contracts[(name, digest)] for name, digest in digests.items() if (name, digest) in hidden.contracts}


def _loaded(release_id: UUID) -> Release | None:
    try:
        return releases.load(release_id)
    except Exception:  # a release that cannot be read must not open what it hides, nor take the page of its runs with it
        return None


def _read(body: str) -> Json:
    return canonical.parse(body, max_bytes=max(len(body) * 4, 1))
