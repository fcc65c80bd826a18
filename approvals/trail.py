"""What change control leaves behind: the stored form of a change set, and its events in the streams `config:<Kind>`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from aegis.core import canonical
from aegis.core.actors import SYSTEM, Actor
from aegis.core.canonical import Json
from aegis.core.kinds import Key, get_kind
from approvals.models import ChangeSet
from approvals.previews import Item
from audit import journal
from audit.drafts import Context, Draft
from audit.models import Event

Scope = tuple[str, str]

# Whose rule of visibility governs the events of a kind's area; areas without a scope of their own are read by auditors.
_SCOPES = {"workflows": "workflow", "agents": "agent", "approvals": "policy", "queues": "queue", "access": "access"}
_BY_ROW = {"workflow", "agent", "policy", "queue"}


def stored_documents(items: Sequence[Item]) -> str:
    """The documents with the digests of what they replace, as kept on the change set."""
    return canonical.dump(
        [
            {
                "kind": item.key.kind,
                "name": item.key.name,
                "base_digest": None if item.change.old is None else canonical.digest_of(item.change.old),
                "document": item.change.new,
            }
            for item in items
        ]
    ).decode()


def documents_of(change_set: ChangeSet) -> list[tuple[Key, str | None, Json | None]]:
    """(key, digest of the base, new document), in order of application."""
    stored = canonical.parse(change_set.documents, max_bytes=2**30)
    return [(Key(item["kind"], item["name"]), item["base_digest"], item["document"]) for item in stored]


def diff_payload(items: Sequence[Item]) -> bytes:
    """The sentences of a set, cut at a length that fits a payload."""
    sentences = [sentence for item in items for sentence in item.sentences]
    kept: list[str] = []
    room = canonical.MAX_PAYLOAD_BYTES // 2
    for number, sentence in enumerate(sentences):
        room -= len(sentence.encode()) * 2
        if room < 0:
            kept.append(f"… and {len(sentences) - number} more sentences")
            break
        kept.append(sentence)
    return canonical.dump(kept)


def scope_of(key: Key) -> Scope:
    """The audit scope of a document's events, and its row's id where the scope goes by row."""
    kind = get_kind(key.kind)
    scope = _SCOPES.get(kind.area, "system")
    row = kind.row(key.name) if scope in _BY_ROW else None
    return scope, str(row.pk) if row is not None else ""


def record_bootstrap(change_set: ChangeSet, items: Sequence[Item], now: datetime) -> None:
    draft = Draft("system.bootstrapped", SYSTEM, data={"documents": len(items)}, cause=_cause(change_set))
    journal.append(Context(stream="system", scope="system"), [draft], now)


def record_proposed(change_set: ChangeSet, items: Sequence[Item], actor: Actor, reason: str, now: datetime) -> None:
    drafts = [
        (
            item.key,
            Draft(
                "config.proposed",
                actor,
                data={**_data(change_set, item), "request": str(change_set.pk)},
                payloads=_payloads(item, reason),
                cause=_cause(change_set),
                outcome="proposed",
            ),
        )
        for item in items
    ]
    _append(drafts, {}, now)


def record_applied(
    change_set: ChangeSet,
    items: Sequence[Item],
    numbers: Mapping[Key, int],
    scopes: Mapping[Key, Scope],
    actor: Actor,
    reason: str,
    now: datetime,
    cause: str,
) -> None:
    """One event per document.

    Args:
        numbers: of the versions written.
        scopes: of documents whose rows are gone by now.
    """
    drafts = []
    for item in items:
        data = _data(change_set, item)
        if item.key in numbers:
            data["number"] = numbers[item.key]
        payloads = _payloads(item, reason)
        cause_or_set = cause or _cause(change_set)
        drafts.append((item.key, Draft("config.applied", actor, data, payloads, cause=cause_or_set, outcome="applied")))
    _append(drafts, scopes, now)


def applied(kind: str) -> dict[str, str]:
    """Name of each document of a kind that stands -> its digest, as the events tell; reads all of them."""
    found: dict[str, str] = {}
    lines = Event.objects.filter(stream=f"config:{kind}", type="config.applied").order_by("seq").values_list("line", flat=True)
    for line in lines:
        data = canonical.parse(line)["data"]
        found.pop(data["name"], None)
        if "digest" in data:
            found[data["name"]] = data["digest"]
    return found


def unrecorded(kinds: Iterable[str]) -> list[Key]:
    """Documents that stand and were not applied like that, or were applied and are gone: changed past change control."""
    found = []
    for kind in sorted(kinds):
        told = applied(kind)
        stands = {
            name: canonical.digest_of(document) for name in get_kind(kind).names() if (document := get_kind(kind).dump(name))
        }
        found += [Key(kind, name) for name in sorted({*told, *stands}) if told.get(name) != stands.get(name)]
    return found


def record_rejected(change_set: ChangeSet, outcome: str, cause: str, now: datetime) -> None:
    drafts = [(key, Draft("config.rejected", SYSTEM, data, cause=cause, outcome=outcome)) for key, data in _stored(change_set)]
    _append(drafts, {}, now)


def record_stale(change_set: ChangeSet, code: str, faults: list[str], now: datetime) -> None:
    payloads = {"faults": canonical.dump(faults[:100])} if faults else {}
    drafts = [
        (key, Draft("config.stale", SYSTEM, {**data, "code": code}, payloads, cause=_cause(change_set), outcome="stale"))
        for key, data in _stored(change_set)
    ]
    _append(drafts, {}, now)


def stale_because(change_set: ChangeSet) -> list[str]:
    """The faults recorded when the change set went stale; empty if its base moved, or they were erased."""
    documents = documents_of(change_set)
    if not documents or change_set.settled_at is None:
        return []
    stream = f"config:{documents[0][0].kind}"
    at_once = Event.objects.filter(stream=stream, type="config.stale", at=change_set.settled_at).order_by("seq")
    for event in at_once:  # several sets may go stale at one moment
        if canonical.parse(event.line)["data"]["change"] == str(change_set.pk):
            body = journal.payload(stream, event.seq, "faults")
            return [str(fault) for fault in canonical.parse(body)] if body else []
    return []


def record_withdrawn(change_set: ChangeSet, actor: Actor, reason: str, now: datetime) -> None:
    payloads = {"reason": canonical.dump(reason)}
    drafts = [
        (key, Draft("config.withdrawn", actor, data, payloads, cause=_cause(change_set), outcome="withdrawn"))
        for key, data in _stored(change_set)
    ]
    _append(drafts, {}, now)


def _append(drafts: Iterable[tuple[Key, Draft]], scopes: Mapping[Key, Scope], now: datetime) -> None:
    """Streams are locked by name, as everywhere; documents of one kind keep their order."""
    for key, draft in sorted(drafts, key=lambda pair: pair[0].kind):
        scope, scope_id = scopes.get(key) or scope_of(key)
        journal.append(Context(stream=f"config:{key.kind}", scope=scope, scope_id=scope_id), [draft], now)


def _stored(change_set: ChangeSet) -> list[tuple[Key, dict[str, Json]]]:
    result: list[tuple[Key, dict[str, Json]]] = []
    for key, base, document in documents_of(change_set):
        action = "remove" if document is None else "add" if base is None else "change"
        digest = None if document is None else canonical.digest_of(document)
        result.append((key, _about(change_set, key, action, base, digest)))
    return result


def _data(change_set: ChangeSet, item: Item) -> dict[str, Json]:
    old, new = item.change.old, item.change.new
    base = None if old is None else canonical.digest_of(old)
    return _about(change_set, item.key, item.action, base, None if new is None else canonical.digest_of(new))


def _about(change_set: ChangeSet, key: Key, action: str, base: str | None, digest: str | None) -> dict[str, Json]:
    data: dict[str, Json] = {"change": str(change_set.pk), "kind": key.kind, "name": key.name, "action": action}
    return data | ({"base": base} if base else {}) | ({"digest": digest} if digest else {})


def _payloads(item: Item, reason: str) -> dict[str, bytes]:
    payloads = {"diff": diff_payload([item]), "reason": canonical.dump(reason)}
    if item.change.new is not None:
        payloads["document"] = canonical.dump(item.change.new)
    return payloads


def _cause(change_set: ChangeSet) -> str:
    return f"change:{change_set.pk}"
