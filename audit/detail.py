"""Everything there is to say about one event: facts, payloads, what led to it, its neighbours, its place in the chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.urls import reverse

from aegis.core.visibility import Viewer
from audit import chain, changed, history, masking, merkle, names, telling, things
from audit.changed import Changed
from audit.models import Checkpoint, Event, Leaf, Payload
from audit.telling import Told
from audit.things import Thing
from audit.tiles import StoredNodes

MAX_CAUSES = 6
SHOWN_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Shown:
    """One payload. `text` is None if it was erased: its place, name and commitment stay."""

    name: str
    commitment: str
    size: int
    text: str | None
    is_cut: bool
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Link:
    """A step of what led to an event; without an address where the reader may not look."""

    text: str
    note: str
    icon: str
    url: str = ""
    is_here: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """Where the event stands in the tree, and what proves it to whoever holds the checkpoint.

    Attributes:
        leaf_index: None if it is not sealed yet.
        checkpoint: size of the newest signed tree; 0 if none was signed.
        path: hex hashes of the inclusion proof; empty if the checkpoint does not cover it.
    """

    leaf_index: int | None = None
    checkpoint: int = 0
    path: tuple[str, ...] = ()

    @property
    def is_covered(self) -> bool:
        return self.leaf_index is not None and self.leaf_index < self.checkpoint


@dataclass(frozen=True, slots=True)
class Detail:
    told: Told
    payloads: tuple[Shown, ...]
    changed: Changed | None
    causes: tuple[Link, ...]
    before: str
    after: str
    thing: str
    thing_url: str
    all_of_stream: str
    all_of_run: str
    previous: str
    line: str
    url: str
    proof: Proof
    histories: tuple[Thing, ...]
    changes: history.Beside

    @property
    def leaf(self) -> str:
        return self.told.event.leaf


def show(event: Event, user: Viewer) -> Detail:
    """A constant number of queries, plus one per step of its causes (at most six)."""
    (told,) = telling.tell([event], user)
    read = _read(told, user)
    proof = _proof(event)
    neighbours = Event.objects.visible_to(user).filter(
        Q(stream=event.stream, seq=event.seq - 1) | Q(stream=event.stream, seq=event.seq + 1)
    )
    keys = things.of_event(event)
    seqs = set(neighbours.values_list("seq", flat=True))
    here = reverse("audit:list")
    return Detail(
        told=told,
        payloads=_payloads(told, read),
        changed=changed.by(told.content, read, user),
        causes=(*_causes(told, user), Link(told.sentence, told.place, told.mark.icon, is_here=True)),
        before=url_of(event.stream, event.seq - 1) if event.seq - 1 in seqs else "",
        after=url_of(event.stream, event.seq + 1) if event.seq + 1 in seqs else "",
        thing=names.stream_label(event.stream),
        thing_url=names.url_of(event.stream),
        all_of_stream=f"{here}?stream={event.stream}",
        all_of_run=f"{here}?run={event.run_id}" if event.run_id else "",
        previous=told.content["prev"] if event.seq > 1 else "",
        line=event.line,
        url=url_of(event.stream, event.seq),
        proof=proof,
        histories=tuple(things.told(key) for key in keys),
        changes=history.beside(event, keys, proof.leaf_index, user),
    )


def url_of(stream: str, seq: int) -> str:
    return reverse("audit:event", args=[stream, seq])


def _proof(event: Event) -> Proof:
    leaf = Leaf.objects.filter(event=event).values_list("leaf_index", flat=True).first()
    newest = Checkpoint.objects.order_by("-size").values_list("size", flat=True).first() or 0
    if leaf is None or leaf >= newest:
        return Proof(leaf, newest)
    try:
        path = merkle.inclusion_proof(leaf, newest, StoredNodes())
    except LookupError:  # the tree is damaged; verification says so
        return Proof(leaf, 0)
    return Proof(leaf, newest, tuple(node.hex() for node in path))


def _read(told: Told, user: Viewer) -> list[tuple[Payload, str]]:
    """The payloads of the event as `user` may see them."""
    if not told.content["payload"]:
        return []
    rows = Payload.objects.filter(stream=told.event.stream, seq=told.event.seq)
    return masking.bodies(user, rows.order_by("name"))


def _payloads(told: Told, read: list[tuple[Payload, str]]) -> tuple[Shown, ...]:
    committed = {entry["name"]: entry["c"] for entry in told.content["payload"]}
    return tuple(_shown(row, body, committed.get(row.name, "")) for row, body in read)


def _shown(row: Payload, body: str, commitment: str) -> Shown:
    if row.erased_at is not None:
        return Shown(row.name, commitment, 0, None, False, row.erased_at)
    text = telling.as_text(body)
    return Shown(row.name, commitment, len(body.encode()), text[:SHOWN_CHARS], len(text) > SHOWN_CHARS, None)


def _causes(told: Told, user: Viewer) -> list[Link]:
    """Back from cause to cause, oldest first, as far as lines name them and the reader may see."""
    links: list[Link] = []
    cause = told.content["cause"]
    while cause and len(links) < MAX_CAUSES:
        stream, _, seq = cause.rpartition("/")
        if not stream or not seq.isdigit():
            links.append(_other(cause))
            break
        event = Event.objects.visible_to(user).filter(stream=stream, seq=int(seq)).first()
        if event is None:
            links.append(Link("An event you may not see", names.stream_label(stream), "lock"))
            break
        (earlier,) = telling.tell([event], user)
        links.append(Link(earlier.sentence, earlier.place, earlier.mark.icon, url_of(stream, event.seq)))
        cause = chain.read_line(event.line)["cause"]
    return links[::-1]


def _other(cause: str) -> Link:
    kind, _, ref = cause.partition(":")
    match kind:
        case "inbox":
            return Link("A message to the run", f"number {ref} in its inbox", "queue")
        case "change":
            return Link("A change of configuration", f"change set {ref[:8]}", "policy")
        case _:
            return Link(cause, "", "flag")
