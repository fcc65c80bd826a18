"""The classifier: equal to scikit-learn, reproducible, closed to damaged files, free of heavy imports."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import examples.support_intake as package
from examples.support_intake.classifier import classify_text, decision, find_model
from examples.support_intake.features import WORD_PATTERN, char_terms, normalise, word_terms
from examples.support_intake.labelled import Labelled, TrainingRefused, parse_labelled
from examples.support_intake.modelfile import read_model
from examples.support_intake.policy import PolicyRefused, parse_policy
from examples.support_intake.triage import NotUnderstood, triage

HERE = Path(package.__file__).parent
SHIPPED = HERE / "model"
ODD_TEXTS = [
    "",
    " ",
    "a",
    "\u00a0\u2003card\u2028card",
    "CARD Card card card",
    "İstanbul ﬁnance ½ ａｂｃ",
    "don\u2019t",
    "x" * 5000,
    "1234 56 7",
    "\U0001f4b3 card \U0001f4b3",
]


@pytest.fixture(scope="module")
def rows() -> Labelled:
    return parse_labelled((HERE / "samples.csv").read_bytes())


@pytest.fixture(scope="module")
def small() -> Labelled:
    """Four intents of the shipped samples: enough to train on in a fraction of a second."""
    everything = parse_labelled((HERE / "samples.csv").read_bytes())
    chosen = {"card_activation", "charged_twice", "exchange_rate", "close_account"}
    return everything.subset([at for at, intent in enumerate(everything.intents) if intent in chosen])


@pytest.fixture(scope="module")
def trained(small: Labelled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from examples.support_intake.train import export, train

    folder = tmp_path_factory.mktemp("trained") / "model"
    pipeline, learned = train(small)
    export(pipeline, learned, folder, policy=(HERE / "policy.csv").read_bytes())
    return folder


# --- equal to scikit-learn


def test_pure_python_gives_the_decision_values_of_the_scikit_learn_pipeline(rows: Labelled, tmp_path: Path) -> None:
    from examples.support_intake.train import decision_values, export, make_pipeline

    seen = rows.subset([at for at in range(len(rows.texts)) if at % 3])
    unseen = [text for at, text in enumerate(rows.texts) if at % 3 == 0]
    pipeline = make_pipeline().fit(list(seen.texts), list(seen.intents))
    export(pipeline, {"temperature": 5.0, "suggested_threshold": 0.5}, tmp_path)
    model = read_model(tmp_path)

    texts = unseen + ODD_TEXTS
    expected = decision_values(pipeline, texts)
    furthest = max(
        abs(ours - theirs)
        for text, row in zip(texts, expected, strict=True)
        for ours, theirs in zip(decision(model, text), row, strict=True)
    )
    assert furthest < 1e-6
    assert [classify_text(model, text).intent for text in unseen] == list(pipeline.predict(unseen))


def test_two_intents_are_enough_and_still_equal(rows: Labelled, tmp_path: Path) -> None:
    from examples.support_intake.train import decision_values, export, train

    two = rows.subset([at for at, intent in enumerate(rows.intents) if intent in {"pin_blocked", "use_abroad"}])
    pipeline, learned = train(two)
    export(pipeline, learned, tmp_path)

    expected = decision_values(pipeline, ["my pin is blocked"])[0]
    assert decision(read_model(tmp_path), "my pin is blocked") == pytest.approx(list(expected), abs=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_terms_are_those_of_scikit_learn_on_any_text(text: str) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    word = TfidfVectorizer(preprocessor=normalise, token_pattern=WORD_PATTERN, ngram_range=(1, 2)).build_analyzer()
    char = TfidfVectorizer(preprocessor=normalise, analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()

    assert sorted(word_terms(normalise(text), 1, 2)) == sorted(word(text))
    assert sorted(char_terms(normalise(text), 2, 4)) == sorted(char(text))


def test_case_quotes_and_digits_carry_no_intent() -> None:
    assert normalise("I DIDN\u2019T pay 1,250.50 on 14/03") == "i didn't pay 0,0.0 on 0/0"


def test_no_digit_of_a_customer_enters_the_vocabulary() -> None:
    header = json.loads((SHIPPED / "model.json").read_text())

    digits = {char for block in header["blocks"] for term in block["vocabulary"] for char in term if char.isdigit()}
    assert digits <= {"0"}


# --- confidence


def test_probabilities_are_ranked_and_sum_to_one() -> None:
    prediction = classify_text(find_model("support-intake"), "my card was stolen on the bus")

    chances = [chance for _, chance in prediction.ranked]
    assert math.fsum(chances) == pytest.approx(1.0)
    assert chances == sorted(chances, reverse=True)
    assert prediction.intent == "card_lost_or_stolen"
    assert prediction.confidence == chances[0] > 0.9
    assert prediction.margin > 0


def test_a_higher_temperature_never_changes_the_order_only_the_confidence() -> None:
    text = "close the account, the exchange rate is bad"
    model = find_model("support-intake")
    before = classify_text(model, text)
    after = classify_text(replace(model, temperature=model.temperature * 3), text)

    assert [intent for intent, _ in after.ranked] == [intent for intent, _ in before.ranked]
    assert after.confidence > before.confidence
    assert after.margin == before.margin


def test_the_suggested_threshold_leaves_about_a_fifth_of_unseen_rows_below() -> None:
    learned = read_model(SHIPPED).trained

    assert 0.15 <= learned["unseen_share_below_threshold"] <= 0.20
    assert learned["unseen_accuracy_above_threshold"] > learned["unseen_accuracy"] + 0.05


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("?!", "too short"),
        ("12 34 56", "too short"),
        ("card", "single word"),
        ("qwertz uiopü asdfgh", "no word"),
        ("blorp fnargle wibble transfer", "1 of 4 words"),
        ("Was ist mit meiner Überweisung passiert, das Geld fehlt", "1 of 9 words"),
        ("card " * 2000, "longer than"),
    ],
)
def test_what_cannot_be_understood_is_said_so_with_the_reason(text: str, reason: str) -> None:
    found = triage(find_model("support-intake"), text)

    assert isinstance(found, NotUnderstood)
    assert reason in found.reason


# --- training


def test_the_same_input_gives_the_same_bytes_in_another_process(small: Labelled, trained: Path, tmp_path: Path) -> None:
    source = tmp_path / "small.csv"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "intent"])
        writer.writerows((f"r{at}", *pair) for at, pair in enumerate(zip(small.texts, small.intents, strict=True)))
    command = [
        sys.executable,
        "-m",
        "examples.support_intake.train",
        "--input",
        source,
        "--policy",
        HERE / "policy.csv",
        "--out",
    ]
    for seed in ("0", "1"):
        environment = {"PYTHONHASHSEED": seed, "PATH": ""}
        subprocess.run([*command, tmp_path / seed], check=True, capture_output=True, cwd=HERE.parents[1], env=environment)

    for name in ("model.json", "weights.bin", "policy.csv"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
    assert (tmp_path / "0" / "weights.bin").read_bytes() == (trained / "weights.bin").read_bytes()


def test_the_shipped_model_was_trained_on_the_shipped_samples_and_policy() -> None:
    model = read_model(SHIPPED)

    assert model.trained["input_sha256"] == hashlib.sha256((HERE / "samples.csv").read_bytes()).hexdigest()
    assert (SHIPPED / "policy.csv").read_bytes() == (HERE / "policy.csv").read_bytes()
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 1_500_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,text\n1,a\n", "first row"),
        (b"\xff\xfe", "UTF-8"),
        (b"id,text,intent\n1,,x\n", "row 2, text"),
        (b"id,text,intent\n1,a,in tent\n", "row 2, intent"),
        (b"id,text,intent\n" + b"1,a,x\n" * 9, "two intents"),
        (b"id,text,intent\n" + b"1,a,x\n" * 9 + b"1,a,y\n" * 4, "'y' has 4 rows"),
    ],
)
def test_unusable_training_input_is_refused_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(TrainingRefused, match=message):
        parse_labelled(content)


def test_training_refuses_a_policy_without_a_row_for_an_intent(small: Labelled, tmp_path: Path) -> None:
    from examples.support_intake.train import export, make_pipeline

    policy = b"intent,queue,tier,urgency,legal_review,auto_reply_allowed\ncharged_twice,payments,L2,P2,no,no\n"
    with pytest.raises(TrainingRefused, match="card_activation"):
        export(make_pipeline().fit(list(small.texts), list(small.intents)), {}, tmp_path / "out", policy=policy)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("x,Q,L1,P1,no,no", "queue"),
        ("x,q,L9,P1,no,no", "tier"),
        ("x,q,L1,P5,no,no", "urgency"),
        ("x,q,L1,P1,maybe,no", "legal_review"),
        ("x,q,L1,P1,no", "auto_reply_allowed"),
        ("charged_twice,q,L1,P1,no,no", "intent"),
    ],
)
def test_a_wrong_policy_row_is_refused_with_row_and_column(row: str, column: str) -> None:
    head = "intent,queue,tier,urgency,legal_review,auto_reply_allowed\ncharged_twice,payments,L2,P2,no,no\n"
    with pytest.raises(PolicyRefused) as refused:
        parse_policy((head + row + "\n").encode())

    assert [fault.where for fault in refused.value.faults] == [f"row 3, {column}"]


# --- lean and fast


def test_classifying_imports_neither_scikit_learn_nor_numpy_nor_django() -> None:
    script = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"sklearn", "numpy", "scipy", "joblib", "pandas", "django"}:
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
from examples.support_intake import agents
from orchestration.agents.protocol import AgentRequest, registered
request = AgentRequest("r", "s", 1, 1, "k", {"id": "1", "text": "how do I activate my card", "customer": "c", "channel": "app"})
print(registered("support.classify")(request).output["intent"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=HERE.parents[1], check=False)

    assert (done.stdout, done.stderr) == ("card_activation\n", "")


def test_a_sentence_takes_milliseconds_and_the_longest_text_stays_below_a_second(rows: Labelled) -> None:
    model = find_model("support-intake")
    started = time.perf_counter()
    for text in rows.texts[:200]:
        triage(model, text)
    assert (time.perf_counter() - started) / 200 < 0.02  # measured 0.0002; room for a busy machine

    started = time.perf_counter()
    triage(model, "".join(chr(97 + (at * at) % 26) if at % 7 else " " for at in range(8000)))
    assert time.perf_counter() - started < 1
