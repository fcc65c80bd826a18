"""Labelled requests in folds: each row judged by a model that has not seen it, inside AEGIS and outside."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from sklearn.model_selection import StratifiedKFold, train_test_split

from aegis.core import manifests
from examples.support_intake.evaluate import judge
from examples.support_intake.labelled import Labelled, parse_labelled
from examples.support_intake.modelfile import read_model
from examples.support_intake.policy import Line, parse_policy
from examples.support_intake.routing import routing_table
from examples.support_intake.train import SEED, export, train
from tests.support.stack import ROOT, Stack

SECONDS = 1800.0  # for one fold's command, on a busy machine
MANIFESTS = ROOT / "examples" / "support_intake" / "manifests"


@dataclass
class Figures:
    """Counts over judged rows. `kept` are those that no person has to look at before there is a ticket."""

    rows: int = 0
    lost: int = 0
    kept: int = 0
    queue_right: int = 0
    p1_due: int = 0
    p1_found: int = 0
    waiting: int = 0
    seconds: float = 0.0

    def __iadd__(self, other: Figures) -> Figures:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        return self

    def shares(self) -> dict[str, float]:
        """In percent."""
        return {
            "to people": 100 * (self.rows - self.kept) / max(self.rows, 1),
            "queue right": 100 * self.queue_right / max(self.kept, 1),
            "P1 found": 100 * self.p1_found / max(self.p1_due, 1),
        }


@dataclass(frozen=True, slots=True)
class Requests:
    """The rows of the shared file and the policy they were labelled under."""

    ids: Sequence[str]
    labelled: Labelled
    policy_bytes: bytes
    policy: Mapping[str, Line]


@dataclass(frozen=True, slots=True)
class Fold:
    """A split of row numbers, by name ("fold-1"): also the name of its model."""

    name: str
    seen: Sequence[int]
    unseen: Sequence[int]


@dataclass
class Judged:
    """A fold's figures, inside AEGIS and outside."""

    fold: Fold
    threshold: float
    inside: Figures
    outside: Figures = field(default_factory=Figures)


def read(folder: Path) -> Requests:
    content = (folder / "support_requests_train.csv").read_bytes()
    policy = (folder / "routing_policy.csv").read_bytes()
    ids = [row["id"] for row in csv.DictReader(io.StringIO(content.decode()))]
    return Requests(ids, parse_labelled(content), policy, parse_policy(policy))


def five(requests: Requests) -> Iterator[Fold]:
    """Every row is unseen in one of them."""
    splits = StratifiedKFold(5, shuffle=True, random_state=SEED).split(requests.ids, requests.labelled.intents)
    for number, (seen, unseen) in enumerate(splits, start=1):
        yield Fold(f"fold-{number}", seen.tolist(), unseen.tolist())


def sample(requests: Requests, size: int) -> Fold:
    """`size` rows, the same at every run, with a model of all the others."""
    numbers = list(range(len(requests.ids)))
    seen, unseen = train_test_split(numbers, test_size=size, stratify=requests.labelled.intents, random_state=SEED)
    return Fold("sample", seen, unseen)


def through_aegis(house: Stack, requests: Requests, fold: Fold) -> Judged:
    """Train; set AEGIS to that model and its threshold through change control; put the rows through the demo command."""
    models = Path(house.env["AEGIS_MODELS_DIR"])
    pipeline, learned = train(requests.labelled.subset(list(fold.seen)))
    digest = export(pipeline, learned, models / fold.name, policy=requests.policy_bytes)
    model = read_model(models / fold.name, sha256=digest)

    configuration = house.folder / f"{fold.name}.yaml"
    configuration.write_text(manifests.dump(_documents(requests, fold.name, digest, model.suggested_threshold)))
    house.run("manage.py", "aegis", "apply", str(configuration), "--as", "ada", "--reason", f"model of {fold.name}")
    rows = house.folder / f"{fold.name}.csv"
    _write(rows, requests, fold.unseen)
    told = house.run("manage.py", "aegis", "demo", "support-intake", "--input", str(rows), seconds=SECONDS).stdout

    inside = _inside(house, requests, fold)
    inside.seconds = float(re.match(r"[\d,]+ requests in ([\d.]+) s", told)[1])  # type: ignore[index]
    tally = judge(model, requests.labelled.subset(list(fold.unseen)))
    outside = Figures(
        rows=tally.rows, kept=tally.kept, queue_right=tally.queue_right, p1_due=tally.p1, p1_found=tally.p1_found,
        seconds=tally.classifying_seconds,
    )  # fmt: skip
    return Judged(fold, model.suggested_threshold, inside, outside)


def _inside(house: Stack, requests: Requests, fold: Fold) -> Figures:
    outcomes = json.loads(house.run("-m", "tests.shared.outcomes").stdout)
    figures = Figures(rows=len(fold.unseen))
    for number in fold.unseen:
        outcome = outcomes.get(requests.ids[number])
        due = requests.policy[requests.labelled.intents[number]]
        if outcome is None or outcome["status"] not in ("completed", "waiting_decision", "waiting_review"):
            figures.lost += 1
            continue
        if outcome["code"]:
            continue
        figures.kept += 1
        figures.waiting += outcome["status"] == "waiting_decision"
        figures.queue_right += outcome["queue"] == due.queue
        figures.p1_due += due.urgency == "P1"
        figures.p1_found += due.urgency == "P1" == outcome["urgency"]
    return figures


def _documents(requests: Requests, model: str, digest: str, threshold: float) -> list[dict[str, Any]]:
    """Agent, table and workflow as they must stand for this model."""
    agent = _manifest("classifier.yaml")
    agent["spec"]["settings"] = {"model": model, "sha256": digest}
    workflow = _manifest("workflow.yaml")
    step = next(step for step in workflow["spec"]["steps"] if step["id"] == "classify")
    step["confidence_below"]["value"] = threshold
    return [agent, routing_table(requests.policy), workflow]


def _manifest(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((MANIFESTS / name).read_text(encoding="utf-8"))
    return document


def _write(path: Path, requests: Requests, numbers: Sequence[int]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows([requests.ids[number], requests.labelled.texts[number]] for number in numbers)
