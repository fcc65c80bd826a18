"""Train the classifier and write it as plain numbers.

    python -m examples.support_intake.train --input requests.csv --policy policy.csv --out FOLDER

Needs scikit-learn (extra `examples`); nothing else in this package does. The same input gives the same bytes.
Confidence is fitted on rows that the fitted part did not see (cross-validation inside the training rows):
the temperature makes the probabilities honest, and the suggested threshold leaves SHARE_TO_PEOPLE of them below it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.svm import LinearSVC

from .features import NORMALISER, WORD_PATTERN, normalise
from .labelled import Labelled, TrainingRefused, parse_labelled
from .modelfile import FORMAT, HEADER, POLICY, WEIGHTS
from .policy import parse_policy

SHARE_TO_PEOPLE: Final = 0.20  # of rows unseen in training; the final model has learned from more and sends fewer
SEED: Final = 20_240_501
MANY_ROWS: Final = 4_000  # from here three inner folds say enough and save time

Matrix = Any  # numpy arrays; scikit-learn carries no types


def make_pipeline() -> Pipeline:
    """The untrained scikit-learn pipeline that inference reproduces."""
    word = TfidfVectorizer(preprocessor=normalise, token_pattern=WORD_PATTERN, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    char = TfidfVectorizer(preprocessor=normalise, analyzer="char_wb", ngram_range=(2, 4), min_df=3, sublinear_tf=True)
    return Pipeline(
        [
            ("features", FeatureUnion([("word", word), ("char_wb", char)])),
            ("linear", LinearSVC(C=1.0, tol=1e-3, random_state=SEED)),
        ]
    )


def decision_values(pipeline: Pipeline, texts: Sequence[str]) -> Matrix:
    """One column per label, for two labels as well (scikit-learn gives one column there)."""
    values = pipeline.decision_function(list(texts))
    return np.stack([-values, values], axis=1) if values.ndim == 1 else values


def train(rows: Labelled) -> tuple[Pipeline, dict[str, Any]]:
    """Fit on all rows. Returns the pipeline and the fields of the header that were learned about it."""
    truth = np.array(rows.intents)
    values = _unseen_decision_values(rows)
    labels = np.unique(truth)
    column = np.searchsorted(labels, truth)
    temperature = _fit_temperature(values, column)
    chances = _softmax(values * temperature)
    confidence = chances.max(axis=1)
    # Whole percent, rounded down: `confidence >= t` and `confidence_pct >= 100 t` then are the same question.
    threshold = math.floor(float(np.quantile(confidence, SHARE_TO_PEOPLE)) * 100) / 100
    right = labels[chances.argmax(axis=1)] == truth
    above = confidence >= threshold
    pipeline = make_pipeline().fit(list(rows.texts), truth)
    return pipeline, {
        "temperature": temperature,
        "suggested_threshold": threshold,
        "trained": {
            "rows": len(rows.texts),
            "unseen_accuracy": round(float(right.mean()), 4),
            "unseen_share_below_threshold": round(float(1 - above.mean()), 4),
            "unseen_accuracy_above_threshold": round(float(right[above].mean()), 4),
            "unseen_log_loss": round(_log_loss(values * temperature, column), 4),
        },
    }


def export(pipeline: Pipeline, learned: dict[str, Any], out: Path, *, policy: bytes | None = None) -> str:
    """Write model.json, weights.bin and policy.csv; return the sha256 of model.json, the name of this version.

    The header is replaced last: a crash in between leaves a header whose digests do not match, which is refused.
    """
    labels = [str(label) for label in pipeline.named_steps["linear"].classes_]
    if policy is not None:
        missing = sorted(set(labels) - set(parse_policy(policy)))
        if missing:
            raise TrainingRefused(f"the policy has no row for {', '.join(missing)}")
    blocks, weights = _plain_numbers(pipeline)
    header = {
        "format": FORMAT,
        "normaliser": NORMALISER,
        "labels": labels,
        **learned,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "policy_sha256": None if policy is None else hashlib.sha256(policy).hexdigest(),
        "blocks": blocks,
    }
    content = (json.dumps(header, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()
    out.mkdir(parents=True, exist_ok=True)
    if policy is not None:
        _replace(out / POLICY, policy)
    _replace(out / WEIGHTS, weights)
    _replace(out / HEADER, content)
    return hashlib.sha256(content).hexdigest()


def _plain_numbers(pipeline: Pipeline) -> tuple[list[dict[str, Any]], bytes]:
    linear = pipeline.named_steps["linear"]
    coefficients, intercept = linear.coef_, linear.intercept_
    if len(linear.classes_) == 2:
        coefficients, intercept = np.vstack([-coefficients, coefficients]), np.concatenate([-intercept, intercept])
    blocks: list[dict[str, Any]] = []
    parts = [intercept]
    start = 0
    for analyser, vectorizer in pipeline.named_steps["features"].transformer_list:
        terms = [str(term) for term in vectorizer.get_feature_names_out()]
        blocks.append({"analyser": analyser, "ngram": list(vectorizer.ngram_range), "vocabulary": terms})
        rows = coefficients[:, start : start + len(terms)].T * vectorizer.idf_[:, None]
        parts += [vectorizer.idf_, rows.reshape(-1)]
        start += len(terms)
    return blocks, np.concatenate(parts).astype("<f4").tobytes()


def _unseen_decision_values(rows: Labelled) -> Matrix:
    """Decision values of every row from a model that did not see it."""
    truth = np.array(rows.intents)
    values = np.zeros((len(truth), len(set(rows.intents))))
    folds = StratifiedKFold(3 if len(truth) >= MANY_ROWS else 5, shuffle=True, random_state=SEED)
    for seen, unseen in folds.split(truth, truth):
        part = rows.subset(seen.tolist())
        pipeline = make_pipeline().fit(list(part.texts), np.array(part.intents))
        values[unseen] = decision_values(pipeline, rows.subset(unseen.tolist()).texts)
    return values


def _fit_temperature(values: Matrix, column: Matrix) -> float:
    """The factor on decision values with the lowest log loss: golden section over 0.05..150, the loss has one valley."""
    ratio = (math.sqrt(5) - 1) / 2
    low, high = -3.0, 5.0  # natural logarithms
    for _ in range(30):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if _log_loss(values * math.exp(left), column) < _log_loss(values * math.exp(right), column):
            high = right
        else:
            low = left
    return round(math.exp((low + high) / 2), 4)


def _softmax(values: Matrix) -> Matrix:
    odds = np.exp(values - values.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _log_loss(values: Matrix, column: Matrix) -> float:
    chances = _softmax(values)[np.arange(len(column)), column]
    return float(-np.log(np.maximum(chances, 1e-12)).mean())


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Train the support intake classifier.")
    parser.add_argument("--input", type=Path, required=True, help="CSV with id,text,intent")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--policy", type=Path, help="CSV intent,queue,tier,urgency,legal_review,auto_reply_allowed")
    options = parser.parse_args(arguments)
    content = options.input.read_bytes()
    policy = options.policy.read_bytes() if options.policy else None
    pipeline, learned = train(parse_labelled(content))
    learned["trained"]["input_sha256"] = hashlib.sha256(content).hexdigest()
    digest = export(pipeline, learned, options.out, policy=policy)
    print(json.dumps({"sha256": digest, **learned}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
