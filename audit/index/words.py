"""Words: what the index keeps of a text, and what somebody typed as a question to it. Pure.

One rule for both sides and both databases, so that they cannot differ: a word is a run of letters and digits, in lower case.
Things with an id are one word each, spelled with a sign that no typed word holds:

    §u<32 hex>    an id that the line names (a person, a change set)
    §run<32 hex>  the run an event belongs to; §apr<32 hex>, §rev<32 hex>: its request, its review item
    §key<32 hex>  the run again, where the event shows its business key
    §leaf<16 hex> the beginning of its hash
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

SIGN: Final = "§"
MAX_WORD_CHARS = 64
#: Distinct words kept of one event: its payloads may hold a megabyte of text, and PostgreSQL refuses a longer vector.
MAX_WORDS = 10_000

_WORD = re.compile(r"[^\W_]+")
_ASKED = re.compile(r"\S+")
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_OF_AN_ID: Final = 64  # characters; longer texts are looked at, not kept
_LABEL = re.compile(r"(run|apr|rev)-([0-9a-f]{6,12})")


@dataclass(frozen=True, slots=True)
class Term:
    """One thing asked for: any of `words`, or any word that begins with one of `prefixes`."""

    words: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


#: One word as typed -> ids of people who are called so.
PeopleCalled = Callable[[str], Iterable[str]]
#: The same for runs, by business key.
RunsCalled = Callable[[str], Iterable[UUID]]


def words_of(text: str) -> Iterator[str]:
    """The words of a text, in order, again where they occur again."""
    for found in _WORD.finditer(text.lower()):
        yield found[0][:MAX_WORD_CHARS]


def id_word(prefix: str, ref: str | UUID) -> str:
    """The word for a thing with an id; "" for what is no id."""
    if isinstance(ref, UUID):
        return f"{SIGN}{prefix}{ref.hex}"
    digits = _digits(ref) if len(ref) <= _MOST_OF_AN_ID else _digits.__wrapped__(ref)
    return f"{SIGN}{prefix}{digits}" if digits else ""


@lru_cache(16_384)
def _digits(ref: str) -> str:
    """Those of an id, "" of anything else. The same people, runs and words of configuration come again and again."""
    try:
        return UUID(ref).hex
    except ValueError:
        return ""


def leaf_word(leaf: str) -> str:
    return f"{SIGN}leaf{leaf[:16]}"


def terms(text: str, people: PeopleCalled, runs: RunsCalled) -> list[Term]:
    """What somebody typed, as terms that must all hold. The last word counts as a beginning: people search while they type.

    A word finds an event by its text, or by the id of a person or run that is called so: names are not in the index, for they
    change and are erased. A piece with signs inside ("INV-20390") is its words, unless it is a label, an id or a hash.
    """
    pieces = [piece for piece in _ASKED.findall(text) if _WORD.search(piece)]  # "cred %" ends with a beginning all the same
    found: list[Term] = []
    for index, piece in enumerate(pieces):
        if whole := _by_id(piece.lower()):
            found.append(whole)
            continue
        called = (*(id_word("u", ref) for ref in people(piece)), *(id_word("key", ref) for ref in runs(piece)))
        parts = list(words_of(piece))
        for number, word in enumerate(parts):
            is_last = index == len(pieces) - 1 and number == len(parts) - 1
            found.append(Term((*(() if is_last else (word,)), *called), (word,) if is_last else ()))
    return found


def _by_id(piece: str) -> Term | None:
    if _HASH.fullmatch(piece):
        return Term((leaf_word(piece),))
    if label := _LABEL.fullmatch(piece):
        return Term(prefixes=(SIGN + label[1] + label[2],))
    if piece.count("-") != 4 or not id_word("u", piece):
        return None
    return Term(tuple(id_word(prefix, piece) for prefix in ("u", "run", "apr", "rev")))


def run_digits(text: str) -> str:
    """The digits of a run's label; "" if the text is none."""
    label = _LABEL.fullmatch(text.lower())
    return label[2] if label and label[1] == "run" else ""


def fits(terms: Iterable[Term], words: Iterable[str]) -> bool:
    """Do all terms hold of these words? The meaning that both databases must agree with (tests/audit compares them)."""
    known = set(words)
    return all(not known.isdisjoint(term.words) or any(word.startswith(term.prefixes) for word in known) for term in terms)


def as_tsquery(terms: Iterable[Term]) -> str:
    """For PostgreSQL. Words hold letters, digits and `SIGN` only, so quotes are enough."""
    return " & ".join(f"({' | '.join([*_quoted(term.words), *_quoted(term.prefixes, ':*')])})" for term in terms)


def as_match(terms: Iterable[Term], column: str) -> str:
    """For SQLite FTS5."""
    asked = (f"({' OR '.join([*_doubled(term.words), *_doubled(term.prefixes, '*')])})" for term in terms)
    return f"{{{column}}} : ({' AND '.join(asked)})"


def _quoted(words: Iterable[str], after: str = "") -> list[str]:
    return [f"'{word}'{after}" for word in words]


def _doubled(words: Iterable[str], after: str = "") -> list[str]:
    return [f'"{word}"{after}' for word in words]
