"""What the index keeps of one event. Pure but for the catalogue: the same event always makes the same row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from uuid import UUID

from aegis.core.canonical import Json
from audit import catalogue, chain, outcomes
from audit.catalogue import EventType
from audit.index.words import MAX_WORDS, id_word, leaf_word, words_of
from audit.models import Event

#: Columns whose values are counted.
DIMENSIONS = ("actor", "agent", "capability", "type", "outcome", "gate", "risk")
_PLACE = re.compile(r"\{[a-z0-9_.]+\}")
_STREAMS = {"request": "apr", "review": "rev"}
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of `Indexed`, in the order of its columns."""

    position: int
    event_id: int
    at: datetime
    type: str
    actor: str
    scope: str
    scope_id: str
    run_id: UUID | None
    agent: str
    capability: str
    outcome: str
    gate: str
    risk: str
    is_bad: bool
    open: str
    whole: str


def entry(position: int, event: Event, payloads: Mapping[str, str]) -> Entry:
    """
    Args:
        payloads: name -> body, of those that were not erased.
    """
    content = chain.read_line(event.line)
    kind = _type_of(content)
    data = content["data"]
    opened = list(dict.fromkeys(_open_words(event, content, kind)))[:MAX_WORDS]
    typed = (word for name in sorted(payloads) if _is_searched(kind, name) for word in words_of(_read(payloads[name])))
    whole = [*opened, *islice(_fresh(typed, set(opened)), max(0, MAX_WORDS - len(opened)))]
    return Entry(
        position=position,
        event_id=event.pk,
        at=event.at,
        type=event.type,
        actor=actor_key(event.actor_kind, event.actor_ref, event.agent),
        scope=event.scope,
        scope_id=event.scope_id,
        run_id=event.run_id,
        agent=event.agent,
        capability=event.capability,
        outcome=event.outcome,
        gate=_text(data.get("policy"))[:120],
        risk=_text(data.get("risk"))[:16],
        is_bad=outcomes.mark(kind, event.outcome).tone == "red",
        open=" ".join(opened),
        whole=" ".join(whole),
    )


def actor_key(kind: str, ref: str, agent: str) -> str:
    """How the index names who did it: agents by their name, for the same one has many versions and ids never change hands."""
    if kind == "agent" and agent:
        return f"agent:{agent}"
    return f"{kind}:{ref}" if ref else kind


def _open_words(event: Event, content: Mapping[str, Json], kind: EventType | None) -> Iterator[str]:
    """Words of the line: everybody who sees the event may search them."""
    yield leaf_word(event.leaf)
    if event.run_id:
        yield id_word("run", event.run_id)
        if event.scope == "workflow":  # whoever sees the events of a policy only must not learn keys by asking
            yield id_word("key", event.run_id)
    prefix, _, ref = event.stream.partition(":")
    if prefix in _STREAMS and (word := id_word(_STREAMS[prefix], ref)):
        yield word
    elif prefix != "run":
        yield from words_of(event.stream)
    sentence = kind.sentence_for(content["data"]) if kind else ""
    shown = outcomes.mark(kind, event.outcome).word
    for text in (event.type, _without_places(sentence), event.step, event.agent, event.capability, event.outcome, shown):
        yield from _named_words(text)
    if content["matrix"]:
        yield from ("matrix", str(content["matrix"]))
    if event.actor_kind == "system":
        yield from ("system", "aegis")
    for ref in (content["actor"]["ref"], content["on_behalf"]):
        if word := id_word("u", ref):
            yield word
    for value in content["data"].values():
        yield from _value_words(value)


@lru_cache(4_096)
def _named_words(text: str) -> tuple[str, ...]:
    """Words of a sentence of the catalogue or a name of configuration: a few hundred texts, again and again."""
    return tuple(words_of(text))


@lru_cache(4_096)
def _without_places(sentence: str) -> str:
    return _PLACE.sub(" ", sentence)


def _value_words(value: Json) -> Iterator[str]:
    """A value of the line: ids as ids, hashes not at all (pieces of them would match by chance), the rest by its words."""
    if isinstance(value, str):
        if word := id_word("u", value):
            yield word
        elif not (len(value) >= 32 and value.isalnum() and all(char in "0123456789abcdef" for char in value)):
            yield from words_of(value)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        yield str(abs(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from words_of(key)
            yield from _value_words(item)
    elif isinstance(value, list):
        for item in value:
            yield from _value_words(item)


def _is_searched(kind: EventType | None, name: str) -> bool:
    return kind is None or kind.searchable is None or name in kind.searchable


def _read(body: str) -> str:
    """A payload as text. Canonical JSON writes letters as they are; what it escapes are signs, which no word holds."""
    return _ESCAPE.sub(" ", body) if body[:1] in ('"', "{", "[") else body


def _fresh(words: Iterable[str], seen: set[str]) -> Iterator[str]:
    for word in words:
        if word not in seen:
            seen.add(word)
            yield word


def _type_of(content: Mapping[str, Json]) -> EventType | None:
    try:
        return catalogue.get(content["type"], content["type_version"])
    except catalogue.UnknownEventType:
        return None


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
