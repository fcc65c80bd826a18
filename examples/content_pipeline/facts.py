"""What a store of facts says to a claim: right, wrong, or nothing at all. Pure.

Silence is never taken for assent: a claim that no fact speaks about is unknown, and a person looks at it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aegis.core.errors import Fault, Invalid
from examples.common.documents import checker_of

from .claims import UNITS, Claim, stem, stems


class FactsRefused(Invalid):
    """A store that cannot be used; each fault names its fact."""

    code, title = "facts_refused", "The store of facts cannot be used"


@dataclass(frozen=True, slots=True)
class Fact:
    """A quantity (`value` in the first unit of `dimension`), or a statement that holds or does not."""

    id: str
    names: tuple[str, ...]
    words: frozenset[str]
    source: str
    says: str
    dimension: str = ""
    value: Decimal = Decimal(0)
    holds: bool = False

    def is_named_in(self, sentence: str) -> bool:
        return any(re.search(rf"\b{re.escape(name)}\b", sentence, re.IGNORECASE) for name in self.names)

    def is_about(self, subject: str) -> bool:
        return subject.lower() in {name.lower() for name in self.names}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a fact says to a claim."""

    is_supported: bool
    fact: Fact


@dataclass(frozen=True, slots=True)
class Store:
    name: str
    facts: tuple[Fact, ...]


def load(document: Any) -> Store:
    """Read a store of facts (facts@1).

    Raises:
        FactsRefused: it breaks its contract, repeats an id, or uses a unit that nobody knows.
    """
    faults = checker_of("content_pipeline", "facts@1").faults(document)
    if not faults:
        seen: set[str] = set()
        for number, one in enumerate(document["facts"]):
            if one["id"] in seen:
                faults.append(
                    Fault(f"/facts/{number}/id", f"{one['id']} is the id of an earlier fact", "give every fact its own")
                )
            if "unit" in one and one["unit"] not in UNITS:
                faults.append(
                    Fault(f"/facts/{number}/unit", f"{one['id']}: {one['unit']} is no unit", f"one of {', '.join(UNITS)}")
                )
            seen.add(one["id"])
    if faults:
        raise FactsRefused(f"The store of facts cannot be used: {faults[0]}", faults=faults)
    return Store(document["name"], tuple(_fact(one) for one in document["facts"]))


def judge(claim: Claim, store: Store) -> Verdict | None:
    """The verdict of the fact that speaks most about the claim; None: the store knows nothing."""
    # A sentence that names a product speaks of that one; only where it names none is it about the text's own.
    about = [fact for fact in store.facts if fact.is_named_in(claim.sentence)]
    about = about or [fact for fact in store.facts if fact.is_about(claim.subject)]
    words = stems(claim.sentence)
    weighed = [(_weight(fact, claim, words), fact) for fact in about]
    most, fact = max(weighed, key=lambda one: one[0], default=(0, None))
    if not most or fact is None:
        return None
    if claim.kind == "quantity":
        return Verdict(Decimal(claim.value) * UNITS[claim.unit][1] == fact.value, fact)
    return Verdict(fact.holds, fact)


def _weight(fact: Fact, claim: Claim, words: set[str]) -> int:
    """How many of its words the sentence has; 0: it says nothing to this claim."""
    shared = len(fact.words & words)
    if claim.kind == "quantity":
        return shared if fact.dimension == UNITS[claim.unit][0] else 0
    return shared if not fact.dimension and shared == len(fact.words) else 0


def _fact(one: Any) -> Fact:
    names = (one["subject"], *one.get("aliases", ()))
    words = frozenset(stem(word) for word in one["words"])
    if "holds" in one:
        return Fact(one["id"], names, words, one["source"], one["says"], holds=one["holds"])
    dimension, factor = UNITS[one["unit"]]
    says = f"{one['subject']}: {one['value']} {one['unit']}"
    return Fact(one["id"], names, words, one["source"], says, dimension, Decimal(one["value"]) * factor)
