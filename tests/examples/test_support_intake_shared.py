"""The promises on requests written by others: one fold in five, and personal data. Skipped where the data is absent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from examples.support_intake.labelled import parse_labelled
from examples.support_intake.personal_data import find_personal_data

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
KINDS = {
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
    "CREDIT_CARD": "card",
    "US_SSN": "national_id",
    "PHONE_NUMBER": "phone",
    "IP_ADDRESS": "ip_address",
}

pytestmark = [pytest.mark.shared_data, pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data here")]


def test_a_fold_of_real_requests_keeps_the_promises() -> None:
    from sklearn.model_selection import StratifiedKFold

    from examples.support_intake.evaluate import evaluate_fold
    from examples.support_intake.train import SEED

    rows = parse_labelled((SHARED / "support_triage" / "support_requests_train.csv").read_bytes())
    policy = (SHARED / "support_triage" / "routing_policy.csv").read_bytes()
    seen, unseen = next(StratifiedKFold(5, shuffle=True, random_state=SEED).split(rows.texts, rows.intents))

    _, tally = evaluate_fold(rows.subset(seen.tolist()), rows.subset(unseen.tolist()), policy)

    figures = tally.figures()
    assert figures["share_to_people"] <= 0.20
    assert figures["queue_accuracy"] >= 0.97
    assert figures["p1_recall"] >= 0.95
    assert figures["p1_precision"] >= 0.90
    assert figures["ms_per_request"] < 20  # measured 0.5; room for a busy machine


def test_structured_personal_data_in_sentences_of_others_is_found() -> None:
    lines = (SHARED / "pii" / "pii_sentences.jsonl").read_text(encoding="utf-8").splitlines()
    sentences = [json.loads(line) for line in lines]
    due: dict[str, int] = {}
    hit: dict[str, int] = {}
    wrong = 0
    for sentence in sentences:
        findings = find_personal_data(sentence["text"])
        for span in sentence["spans"]:
            kind = KINDS.get(span["type"])
            if kind:
                due[kind] = due.get(kind, 0) + 1
                hit[kind] = hit.get(kind, 0) + any(
                    item.kind == kind and item.start < span["end"] and span["start"] < item.end for item in findings
                )
        wrong += any(
            not any(span["start"] < item.end and item.start < span["end"] for span in sentence["spans"]) for item in findings
        )

    assert {kind: round(hit[kind] / due[kind], 2) for kind in due if kind != "phone"} == dict.fromkeys(
        set(KINDS.values()) - {"phone"}, 1.0
    )
    assert hit["phone"] / due["phone"] >= 0.95
    assert wrong <= len(sentences) // 100
