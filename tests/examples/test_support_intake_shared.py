"""The promises on requests written by others: one fold in five. Skipped where the data is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.support_intake.labelled import parse_labelled

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

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
