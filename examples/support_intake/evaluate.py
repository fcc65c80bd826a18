"""How good is the classifier on requests it has not seen?

    python -m examples.support_intake.evaluate --input requests.csv --policy policy.csv [--folds 5]

Each fold trains on the other rows, writes the model, reads it back with the code that serves requests, and judges the
held-out rows. The threshold is the `suggested_threshold` of that model: known before a judged row is looked at.
Abstentions and confidences below it go to people; the other figures speak of the rest.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from sklearn.model_selection import StratifiedKFold

from .labelled import Labelled, parse_labelled
from .modelfile import Model, read_model
from .train import SEED, export, train
from .triage import NotUnderstood, triage


@dataclass
class Tally:
    """Counts over judged rows; times in seconds."""

    rows: int = 0
    to_people: int = 0
    abstained: int = 0
    intent_right_of_all: int = 0
    intent_right: int = 0
    queue_right: int = 0
    urgency_right: int = 0
    p1: int = 0
    p1_found: int = 0
    p1_said: int = 0
    training_seconds: float = 0.0
    classifying_seconds: float = 0.0

    def __iadd__(self, other: Tally) -> Tally:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self

    @property
    def kept(self) -> int:
        return self.rows - self.to_people

    def figures(self) -> dict[str, float]:
        """Shares in 0..1, except where the name says otherwise."""
        kept, p1 = max(self.kept, 1), max(self.p1, 1)
        return {
            "share_to_people": self.to_people / max(self.rows, 1),
            "share_abstained": self.abstained / max(self.rows, 1),
            "intent_accuracy_of_all": self.intent_right_of_all / max(self.rows, 1),
            "intent_accuracy": self.intent_right / kept,
            "queue_accuracy": self.queue_right / kept,
            "urgency_accuracy": self.urgency_right / kept,
            "p1_recall": self.p1_found / p1,
            "p1_precision": self.p1_found / max(self.p1_said, 1),
            "training_seconds": self.training_seconds,
            "ms_per_request": 1000 * self.classifying_seconds / max(self.rows, 1),
        }


def judge(model: Model, rows: Labelled) -> Tally:
    """Classify labelled rows the model has not seen and count."""
    tally = Tally(rows=len(rows.texts))
    for text, truth in zip(rows.texts, rows.intents, strict=True):
        started = time.perf_counter()
        found = triage(model, text)
        tally.classifying_seconds += time.perf_counter() - started
        if isinstance(found, NotUnderstood):
            tally.abstained += 1
            tally.to_people += 1
            continue
        prediction = found.prediction
        tally.intent_right_of_all += prediction.intent == truth
        if prediction.confidence < model.suggested_threshold:
            tally.to_people += 1
            continue
        said, due = model.policy[prediction.intent], model.policy[truth]
        tally.intent_right += prediction.intent == truth
        tally.queue_right += said.queue == due.queue
        tally.urgency_right += found.urgency.level == due.urgency
        tally.p1 += due.urgency == "P1"
        tally.p1_said += found.urgency.level == "P1"
        tally.p1_found += due.urgency == "P1" == found.urgency.level
    return tally


def evaluate_fold(seen: Labelled, unseen: Labelled, policy: bytes) -> tuple[Model, Tally]:
    """Train on `seen`, write, read back, judge on `unseen`."""
    started = time.perf_counter()
    pipeline, learned = train(seen)
    training_seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        digest = export(pipeline, learned, Path(folder), policy=policy)
        model = read_model(Path(folder), sha256=digest)
    tally = judge(model, unseen)
    tally.training_seconds = training_seconds
    return model, tally


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Cross-validate the support intake classifier.")
    parser.add_argument("--input", type=Path, required=True, help="CSV with id,text,intent")
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args(arguments)
    rows = parse_labelled(options.input.read_bytes())
    total = Tally()
    folds = StratifiedKFold(options.folds, shuffle=True, random_state=SEED).split(rows.texts, rows.intents)
    for number, (seen, unseen) in enumerate(folds, start=1):
        model, tally = evaluate_fold(rows.subset(seen.tolist()), rows.subset(unseen.tolist()), options.policy.read_bytes())
        total += tally
        shown = "  ".join(f"{name} {value:.4f}" for name, value in tally.figures().items())
        print(f"fold {number}: threshold {model.suggested_threshold:.2f} temperature {model.temperature}  {shown}", flush=True)
    total.training_seconds /= options.folds
    print(f"\nAll {total.rows} rows, each judged by a model that did not see it:")
    for name, value in total.figures().items():
        print(f"  {name:24} {value:8.4f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
