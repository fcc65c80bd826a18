"""Personal data in sentences that others wrote: what is found of each kind, and how much of what is found is some."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from examples.common.personal_data import Found, find_personal_data
from tests.conftest import SHARED
from tests.support.report import say

pytestmark = pytest.mark.shared_data

KINDS = {
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "CREDIT_CARD": "card",
    "US_SSN": "national_id",
    "US_DRIVER_LICENSE": "national_id",
    "PHONE_NUMBER": "phone",
    "IP_ADDRESS": "ip_address",
    "STREET_ADDRESS": "address",
    "ZIP_CODE": "postcode",
    "PERSON": "name",
}
# Kinds with a form of their own are found, all but a few; names and addresses of the world only where words announce them, and
# what is found of those is right all the more.
RECALL = {"email": 1.0, "iban": 1.0, "card": 1.0, "national_id": 1.0, "ip_address": 1.0, "phone": 0.95, "address": 0.5}
PRECISION = dict.fromkeys((*RECALL, "name"), 0.97)


def test_personal_data_in_sentences_of_others_is_found() -> None:
    due: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    said: Counter[str] = Counter()
    right: Counter[str] = Counter()
    lines = (SHARED / "pii" / "pii_sentences.jsonl").read_text(encoding="utf-8").splitlines()
    for sentence in map(json.loads, lines):
        findings = find_personal_data(sentence["text"])
        for span in sentence["spans"]:
            if kind := KINDS.get(span["type"]):
                due[kind] += 1
                hit[kind] += any(one.kind == kind and _meet(one, span) for one in findings)
        for one in findings:
            said[one.kind] += 1
            right[one.kind] += any(_meet(one, span) for span in sentence["spans"])

    say(f"pii: {len(lines)} sentences\n  kind            due  found  recall    said  right  precision")
    for kind in sorted(due.keys() | said.keys()):
        recall, precision = hit[kind] / max(due[kind], 1), right[kind] / max(said[kind], 1)
        say(f"  {kind:<13}{due[kind]:>6}{hit[kind]:>7}{recall:>8.1%}{said[kind]:>8}{right[kind]:>7}{precision:>11.1%}")
    assert {kind: hit[kind] / due[kind] for kind, least in RECALL.items() if hit[kind] < least * due[kind]} == {}
    assert {kind: right[kind] / said[kind] for kind, least in PRECISION.items() if right[kind] < least * said[kind]} == {}


def _meet(found: Found, span: dict[str, int]) -> bool:
    return found.start < span["end"] and span["start"] < found.end
