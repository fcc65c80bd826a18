"""The rules beside the model: personal data, entities, legal wording, urgency."""

from __future__ import annotations

import itertools
import time

import pytest

from examples.common.personal_data import find_personal_data, iban_holds, luhn_holds, mask, redact
from examples.support_intake.classifier import Prediction
from examples.support_intake.entities import MOST, find_entities
from examples.support_intake.legal import REASONS, find_legal_reasons
from examples.support_intake.policy import parse_policy
from examples.support_intake.urgency import judge_urgency

POLICY = parse_policy(
    b"intent,queue,tier,urgency,legal_review,auto_reply_allowed\n"
    b"theft,fraud,SPECIALIST,P1,no,no\nfailure,cards,L2,P2,no,no\nrequest,cards,L1,P3,no,no\nquestion,cards,L1,P4,no,yes\n"
)


def found(text: str) -> list[tuple[str, str]]:
    return [(item.kind, text[item.start : item.end]) for item in find_personal_data(text)]


# --- personal data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to Ann.Lee+bank@mail.example.co.uk.", [("email", "Ann.Lee+bank@mail.example.co.uk")]),
        ("to DE89 3704 0044 0532 0130 00 please", [("iban", "DE89 3704 0044 0532 0130 00")]),
        ("to gb82west12345698765432", [("iban", "gb82west12345698765432")]),
        ("NO93 8601 1117 947", [("iban", "NO93 8601 1117 947")]),
        ("card 4111 1111 1111 1111 09/27 declined", [("card", "4111 1111 1111 1111")]),
        ("card 4111 1111 1111 1111 123", [("card", "4111 1111 1111 1111")]),
        ("5555-5555-5555-4444,", [("card", "5555-5555-5555-4444")]),
        ("amex 378282246310005", [("card", "378282246310005")]),
        ("from 192.168.10.254 today", [("ip_address", "192.168.10.254")]),
        ("address 2001:db8::8a2e:370:7334 blocked", [("ip_address", "2001:db8::8a2e:370:7334")]),
        ("my SSN: 460-89-9847", [("national_id", "460-89-9847")]),
        ("NI number QQ 12 34 56 C, real one AB 12 34 56 C", [("national_id", "AB 12 34 56 C")]),
        ("passport number is X4820917.", [("national_id", "X4820917")]),
        ("born on 3 March 1988", [("date_of_birth", "3 March 1988")]),
        ("DOB: 12/07/1988", [("date_of_birth", "12/07/1988")]),
        ("+44 7700 900123", [("phone", "+44 7700 900123")]),
        ("call me at (0)69 1234 567", [("phone", "(0)69 1234 567")]),
        ("it is 020 7946 0018", [("phone", "020 7946 0018")]),
        ("dial 202-555-0142x12", [("phone", "202-555-0142x12")]),
        ("I live at 14 Mill Lane, OX4 1AA", [("address", "14 Mill Lane"), ("postcode", "OX4 1AA")]),
        ("new flat in Lindenstraße 12a", [("address", "Lindenstraße 12a")]),
        ("My name is Ada van Dijk and I wait", [("name", "Ada van Dijk")]),
        ("Regards, Marta Lindqvist", [("name", "Marta Lindqvist")]),
    ],
)
def test_personal_data_is_found_with_its_kind_and_exact_place(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "how do I activate my card",
        "the card ends with 4417",
        "card 4111 1111 1111 1112 is wrong in its last digit",
        "DE89 3704 0044 0532 0130 01 has a wrong check digit",
        "ticket 123456789012 is twelve digits long",
        "0000 0000 0000 0000",
        "I paid 1,250.00 on 14 March at 12:30:45",
        "version 1.2.3.4567",
        "000-12-3456 and 666-12-3456 are never given out",
        "two cards, 3 days, 500 euros",
        "",
    ],
)
def test_what_only_looks_like_personal_data_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_checksums_hold_for_published_examples_and_no_neighbour() -> None:
    assert luhn_holds("79927398713")
    assert not any(luhn_holds(f"7992739871{digit}") for digit in "0124567 89".replace(" ", ""))
    assert iban_holds("GB82 WEST 1234 5698 7654 32")
    assert not iban_holds("GB82 WEST 1234 5698 7654 23")


def test_findings_never_overlap_and_come_in_order() -> None:
    text = "Mr John Smith, 4111 1111 1111 1111, phone 4111 1111 1111 1111, j@example.com, 12 Main Street"
    places = [(item.start, item.end) for item in find_personal_data(text)]

    assert places == sorted(places)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(places))


def test_redacted_text_holds_no_finding_and_keeps_the_rest() -> None:
    text = "Mail ann@example.com or call +44 7700 900123 about card 4111 1111 1111 1111."

    assert redact(text) == "Mail [email] or call [phone] about card [card]."


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("card", "4111 1111 1111 1234", "************1234"),
        ("iban", "GB82WEST12345698765432", "******************5432"),
        ("email", "a@example.com", "a@example.com"),
    ],
)
def test_numbers_that_move_money_are_shown_by_their_end_only(kind: str, value: str, shown: str) -> None:
    assert mask(kind, value) == shown


HOSTILE = [
    "1" * 8000,
    "1 " * 4000,
    "A" * 8000,
    "a@" * 4000,
    "1.1." * 2000,
    "0-" * 4000,
    "DE12" * 2000,
    "1 A " * 2000,
    "::" * 4000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:4] for text in HOSTILE])
def test_no_text_makes_the_rules_slow(text: str) -> None:
    started = time.perf_counter()
    find_entities(text)
    find_legal_reasons(text)

    assert time.perf_counter() - started < 1.0


# --- entities


def test_entities_carry_their_offsets_and_mask_sensitive_values() -> None:
    text = "On 14 March I paid €1,250.50 (order AB-2041) with card ending 4417 to DE89370400440532013000 yesterday"

    entities = {item.kind: item for item in find_entities(text) if item.value != "yesterday"}

    assert {kind: item.value for kind, item in entities.items()} == {
        "date": "14 March",
        "amount": "€1,250.50",
        "reference": "AB-2041",
        "card_last4": "4417",
        "iban": "*" * 18 + "3000",
    }
    assert text[entities["iban"].start : entities["iban"].end] == "DE89370400440532013000"
    assert all(text[item.start : item.end] == item.value for kind, item in entities.items() if kind != "iban")


@pytest.mark.parametrize("amount", ["$5", "£ 1.000,00", "42 pounds", "89.90 EUR", "1 250 euros", "400 euro"])
def test_amounts_are_recognised_in_several_spellings(amount: str) -> None:
    assert [(item.kind, item.value) for item in find_entities(f"they took {amount}, why?")] == [("amount", amount)]


def test_entities_are_bounded() -> None:
    assert len(find_entities("5 euros " * 500)) == MOST


# --- legal wording


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("My solicitor will be in touch", "legal_threat"),
        ("I am going to sue you", "legal_threat"),
        ("See you in court!", "legal_threat"),
        ("I\u2019ll take this to court", "legal_threat"),
        ("I will turn to the Ombudsman", "regulator"),
        ("reported to the Financial Conduct Authority", "regulator"),
        ("this is a subject access request", "data_rights"),
        ("please delete all of my personal data", "data_rights"),
        ("under GDPR", "data_rights"),
        ("this is discrimination", "discrimination"),
        ("refused because of my accent", "discrimination"),
        ("I will tell the newspapers", "press"),
        ("I went to the police", "police"),
        ("my mother passed away in May", "estate"),
        ("power of attorney attached", "estate"),
        ("I want to end my life", "vulnerable_person"),
        ("they blackmailed me", "financial_crime"),
    ],
)
def test_legal_wording_is_flagged_with_its_reason(text: str, code: str) -> None:
    assert code in [reason.code for reason in find_legal_reasons(text)]


@pytest.mark.parametrize(
    "text",
    [
        "I paid at the tennis court and my card was declined",
        "Sue is my wife, can she get a card",
        "my issue is not solved",
        "please pursue my refund",
        "the media player shop charged me twice",
        "how do I activate my card",
        "press the button twice",
    ],
)
def test_everyday_words_are_no_legal_wording(text: str) -> None:
    assert find_legal_reasons(text) == []


def test_reasons_come_once_each_in_a_fixed_order() -> None:
    text = "police, lawyer, lawyer, GDPR, ombudsman"

    codes = [reason.code for reason in find_legal_reasons(text)]
    assert codes == ["legal_threat", "regulator", "data_rights", "police"]
    assert codes == sorted(codes, key=REASONS.index)


# --- urgency


def predicted(*ranked: tuple[str, float]) -> Prediction:
    return Prediction(ranked=ranked, margin=1.0, known_words=5, words=5)


def test_urgency_is_that_of_the_policy_when_nothing_speaks_against_it() -> None:
    urgency = judge_urgency(predicted(("question", 0.9), ("request", 0.1)), "how does it work", POLICY)

    assert (urgency.level, urgency.signals) == ("P4", ())


def test_a_fifth_of_the_probability_on_p1_intents_is_enough_for_p1() -> None:
    doubtful = judge_urgency(predicted(("question", 0.8), ("theft", 0.2)), "my card", POLICY)
    clear = judge_urgency(predicted(("question", 0.81), ("theft", 0.19)), "my card", POLICY)

    assert (doubtful.level, doubtful.signals) == ("P1", ("p1_share",))
    assert clear.level == "P4"


@pytest.mark.parametrize(
    "text", ["it was STOLEN", "I got hacked", "a scammer called", "I didn\u2019t authorise it", "it wasn't me"]
)
def test_words_of_danger_raise_to_p1_whatever_the_intent(text: str) -> None:
    assert judge_urgency(predicted(("question", 1.0)), text, POLICY).level == "P1"


@pytest.mark.parametrize(("intent", "level"), [("theft", "P1"), ("failure", "P2"), ("request", "P2"), ("question", "P3")])
def test_a_hurried_tone_raises_one_level_and_never_to_p1(intent: str, level: str) -> None:
    assert judge_urgency(predicted((intent, 1.0)), "I need this RIGHT NOW", POLICY).level == level


def test_without_a_policy_the_middle_is_assumed() -> None:
    assert judge_urgency(predicted(("anything", 1.0)), "text", {}).level == "P3"
