"""The model on disk: `model.json` (header) and `weights.bin` (little-endian float32), never pickle. Standard library only.

`weights.bin` holds, without padding: the intercept of each label; then for each block its idf values and its weights,
one row of labels per term, already multiplied by the term's idf. The name of a model version is the sha256 of
`model.json`; that file names the sha256 of the weights and of the policy, so one digest pins all three.

A model folder may come from anywhere: sizes are bounded before reading, every field is checked, nothing is executed.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aegis.core.errors import Fault, Invalid

from .features import ANALYSERS, NORMALISER
from .policy import INTENT_PATTERN, MAX_BYTES, Line, parse_policy

FORMAT: Final = "aegis-support-intake/1"
HEADER, WEIGHTS, POLICY = "model.json", "weights.bin", "policy.csv"
MAX_HEADER_BYTES: Final = 16_000_000
MAX_WEIGHT_BYTES: Final = 128_000_000
MAX_LABELS: Final = 1_000
MAX_TERMS: Final = 500_000
MAX_TERM_LENGTH: Final = 200
MAX_NGRAM: Final = 8


class ModelRefused(Invalid):
    """A model folder is damaged, hostile or not the one asked for. `faults[0].where` names the field."""

    code, title = "model_refused", "The model cannot be used"


@dataclass(frozen=True, slots=True)
class Block:
    """One analyser with its terms. `rows` has len(vocabulary) rows of one float per label."""

    analyser: str
    shortest: int
    longest: int
    vocabulary: Mapping[str, int]
    idf: array[float]
    rows: memoryview


@dataclass(frozen=True, slots=True)
class Model:
    """A checked model. `sha256` is the digest of its header and so of all of it."""

    sha256: str
    labels: tuple[str, ...]
    temperature: float
    suggested_threshold: float
    intercept: array[float]
    blocks: tuple[Block, ...]
    policy: Mapping[str, Line]
    trained: Mapping[str, Any]


def read_model(folder: Path, *, sha256: str | None = None) -> Model:
    """Read and check a model folder. Cost: about 30 ms per million weights.

    Raises:
        ModelRefused: any check fails, or the header's digest is not `sha256`.
    """
    header_bytes = _read(folder / HEADER, MAX_HEADER_BYTES)
    digest = hashlib.sha256(header_bytes).hexdigest()
    if sha256 is not None and digest != sha256:
        raise _refused("sha256", f"the header has digest {digest}, expected {sha256}")
    header = _parse(header_bytes)
    if header.get("format") != FORMAT:
        raise _refused("format", f"must be {FORMAT!r}")
    if header.get("normaliser") != NORMALISER:
        raise _refused("normaliser", f"must be {NORMALISER!r}; train the model again")
    labels = _labels(header)
    vocabularies = _vocabularies(header)
    weights = _weights(folder, header, labels=len(labels), terms=sum(len(terms) for *_, terms in vocabularies))
    policy = _policy(folder, header)
    missing = [label for label in labels if policy and label not in policy]
    if missing:
        raise _refused("policy_sha256", f"the policy has no row for {missing[0]!r}")
    trained = header.get("trained", {})
    if not isinstance(trained, dict):
        raise _refused("trained", "must be an object")
    return Model(
        sha256=digest,
        labels=labels,
        temperature=_number(header, "temperature", low=1e-3, high=1e3),
        suggested_threshold=_number(header, "suggested_threshold", low=0.0, high=1.0),
        intercept=weights[: len(labels)],
        blocks=_blocks(vocabularies, weights, labels=len(labels)),
        policy=policy,
        trained=trained,
    )


def _refused(where: str, what: str) -> ModelRefused:
    return ModelRefused(f"model field {where}: {what}", faults=[Fault(where, what)])


def _read(path: Path, limit: int) -> bytes:
    """Read at most `limit` bytes; a file that grows while it is read is refused as well."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as broken:
        raise _refused(path.name, f"cannot be read ({type(broken).__name__})") from broken
    if len(content) > limit:
        raise _refused(path.name, f"is larger than {limit} bytes")
    return content


def _parse(content: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key is repeated")
        return found

    def no_constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        header = json.loads(content.decode("utf-8"), object_pairs_hook=once, parse_constant=no_constant)
    except (ValueError, RecursionError) as broken:
        raise _refused(HEADER, f"is not acceptable JSON ({broken})") from broken
    if not isinstance(header, dict):
        raise _refused(HEADER, "must be an object")
    return header


def _number(header: Mapping[str, Any], field: str, *, low: float, high: float) -> float:
    value = header.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _refused(field, f"must be a number from {low} to {high}")
    return float(value)


def _labels(header: Mapping[str, Any]) -> tuple[str, ...]:
    labels = header.get("labels")
    if not isinstance(labels, list) or not 2 <= len(labels) <= MAX_LABELS:
        raise _refused("labels", f"must be a list of 2 to {MAX_LABELS} names")
    if not all(isinstance(label, str) and INTENT_PATTERN.fullmatch(label) for label in labels):
        raise _refused("labels", f"each must match {INTENT_PATTERN.pattern}")
    if len(set(labels)) != len(labels):
        raise _refused("labels", "a name is repeated")
    return tuple(labels)


def _vocabularies(header: Mapping[str, Any]) -> list[tuple[str, int, int, dict[str, int]]]:
    blocks = header.get("blocks")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= len(ANALYSERS):
        raise _refused("blocks", f"must be a list of 1 to {len(ANALYSERS)} objects")
    found = [_vocabulary(f"blocks/{number}", block) for number, block in enumerate(blocks)]
    if len({analyser for analyser, *_ in found}) != len(found):
        raise _refused("blocks", "an analyser is repeated")
    if sum(len(terms) for *_, terms in found) > MAX_TERMS:
        raise _refused("blocks", f"more than {MAX_TERMS} terms")
    return found


def _vocabulary(where: str, block: Any) -> tuple[str, int, int, dict[str, int]]:
    if not isinstance(block, dict):
        raise _refused(where, "must be an object")
    analyser, ngram, terms = block.get("analyser"), block.get("ngram"), block.get("vocabulary")
    if not isinstance(analyser, str) or analyser not in ANALYSERS:
        raise _refused(f"{where}/analyser", f"must be one of {sorted(ANALYSERS)}")
    if (
        not isinstance(ngram, list)
        or len(ngram) != 2
        or not all(type(size) is int for size in ngram)
        or not 1 <= ngram[0] <= ngram[1] <= MAX_NGRAM
    ):
        raise _refused(f"{where}/ngram", f"must be two integers from 1 to {MAX_NGRAM}, the smaller first")
    if not isinstance(terms, list) or not 1 <= len(terms) <= MAX_TERMS:
        raise _refused(f"{where}/vocabulary", f"must be a list of 1 to {MAX_TERMS} terms")
    if not all(isinstance(term, str) and 1 <= len(term) <= MAX_TERM_LENGTH for term in terms):
        raise _refused(f"{where}/vocabulary", f"each term must be text of 1 to {MAX_TERM_LENGTH} characters")
    positions = {term: position for position, term in enumerate(terms)}
    if len(positions) != len(terms):
        raise _refused(f"{where}/vocabulary", "a term is repeated")
    return analyser, ngram[0], ngram[1], positions


def _weights(folder: Path, header: Mapping[str, Any], *, labels: int, terms: int) -> array[float]:
    expected = 4 * (labels + terms + terms * labels)
    if expected > MAX_WEIGHT_BYTES:
        raise _refused("blocks", f"labels x terms need more than {MAX_WEIGHT_BYTES} bytes of weights")
    content = _read(folder / WEIGHTS, expected)
    if len(content) != expected:
        raise _refused(WEIGHTS, f"has {len(content)} bytes, labels and terms need {expected}")
    if hashlib.sha256(content).hexdigest() != header.get("weights_sha256"):
        raise _refused("weights_sha256", f"is not the digest of {WEIGHTS}")
    weights = array("f")
    weights.frombytes(content)
    if sys.byteorder == "big":
        weights.byteswap()
    if not all(map(math.isfinite, weights)):
        raise _refused(WEIGHTS, "holds a number that is not finite")
    return weights


def _blocks(
    vocabularies: list[tuple[str, int, int, dict[str, int]]], weights: array[float], *, labels: int
) -> tuple[Block, ...]:
    blocks: list[Block] = []
    at = labels
    for number, (analyser, shortest, longest, terms) in enumerate(vocabularies):
        idf = weights[at : at + len(terms)]
        at += len(terms)
        rows = memoryview(weights)[at : at + len(terms) * labels]
        at += len(terms) * labels
        if min(idf) <= 0:
            raise _refused(f"blocks/{number}", "an idf value is not above 0")
        blocks.append(Block(analyser, shortest, longest, terms, idf, rows))
    return tuple(blocks)


def _policy(folder: Path, header: Mapping[str, Any]) -> Mapping[str, Line]:
    expected = header.get("policy_sha256")
    if expected is None:
        return {}
    content = _read(folder / POLICY, MAX_BYTES)
    if hashlib.sha256(content).hexdigest() != expected:
        raise _refused("policy_sha256", f"is not the digest of {POLICY}")
    return parse_policy(content)
