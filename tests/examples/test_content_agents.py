"""The agents of content-pipeline: what they compute, and when they do not know."""

from __future__ import annotations

import hashlib
import json

import pytest

from aegis.core.errors import Invalid
from examples.common import documents
from examples.content_pipeline import agents, claims, drafting, facts
from examples.content_pipeline.style import rules
from orchestration.agents.protocol import Abstain, AgentRequest, Done

EXAMPLE = "content_pipeline"
BRIEF = {
    "id": "A-1",
    "category": "how-to",
    "product": "Kettle K2",
    "title": "How to descale the Kettle K2",
    "audience": "everybody with hard water",
    "call_to_action": "Do it every month",
    "points": [{"text": "fill the kettle with water and vinegar"}, {"text": "wait for an hour"}, {"text": "rinse it twice"}],
}


def brief(**change):
    return {**BRIEF, **change}


def points(*texts, weight=2):
    return [{"text": text, "weight": weight} for text in texts]


def ask(agent, input_, **settings):
    return agent(AgentRequest("run", "step", 1, 1, "key", input_, settings))


def done(agent, contract, input_, **settings):
    """The output, held to its contract as the engine does."""
    reply = ask(agent, input_, **settings)
    assert isinstance(reply, Done), reply
    assert documents.checker_of(EXAMPLE, contract).faults(reply.output) == []
    return reply.output


def read(kind):
    return documents.read(EXAMPLE, kind, "fernbrook")[0]


# --- drafting ---


def test_a_guide_is_written_as_steps_of_the_points_and_nothing_else():
    text = done(agents.draft, "article-draft@1", {"brief": BRIEF})["text"]

    assert text == (
        "# How to descale the Kettle K2\n\nFor everybody with hard water.\n\n"
        "1. Fill the kettle with water and vinegar.\n2. Wait for an hour.\n3. Rinse it twice.\n\nDo it every month.\n"
    )


def test_the_draft_is_proposed_to_be_filed_under_the_brief_and_never_published():
    proposal = done(agents.draft, "article-draft@1", {"brief": BRIEF})["file"]

    assert (proposal["capability"], proposal["resource"]) == ("article.draft", {"type": "article", "id": "A-1"})
    assert proposal["parameters"]["status"] == "draft"


def test_what_weighs_more_comes_first_and_what_is_said_twice_is_said_once():
    news = brief(
        category="product-news", points=[*points("It is blue", "It is quiet", "is it blue"), *points("It boils", weight=3)]
    )

    made = done(agents.draft, "article-draft@1", {"brief": news})

    assert "It boils. It is blue. It is quiet." in made["text"]
    assert made["left_out"] == ["Is it blue."]


def test_light_points_are_left_out_where_the_template_has_no_room():
    long = " ".join(["word"] * 60)
    offer = brief(
        category="offer",
        points=[*points("Must be said", weight=3), *(point for n in range(4) for point in points(f"{long} {n}"))],
    )

    made = done(agents.draft, "article-draft@1", {"brief": offer})

    assert "Must be said" in made["text"]
    assert len(made["left_out"]) == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"category": "press-release"}, "no template for the category press-release"),
        ({"points": points("one")}, "makes 1 points"),
        ({"points": points("same", "Same.")}, "makes 1 points"),
        ({"category": "offer", "points": points(" ".join(["word"] * 250), weight=3)}, "does not fit"),
    ],
)
def test_a_brief_that_says_too_little_or_too_much_is_not_drafted(change, why):
    reply = ask(agents.draft, {"brief": brief(**change)})

    assert isinstance(reply, Abstain)
    assert why in reply.reason


def test_a_sentence_without_its_words_is_left_out_and_words_are_never_filled_in_twice():
    bare = {name: value for name, value in BRIEF.items() if name not in ("audience", "call_to_action")}

    assert "For " not in done(agents.draft, "article-draft@1", {"brief": bare})["text"]
    assert "{product}" in done(agents.draft, "article-draft@1", {"brief": brief(call_to_action="Ask {product}")})["text"]


# --- editing ---


def test_the_editor_mends_what_is_mechanical_and_says_what():
    output = done(agents.edit, "edited@1", {"text": "# A title\n\nUtilize  it in order to win 10 percent."})

    assert output["text"] == "# A title\n\nUse it to win 10%."
    assert {one["rule"] for one in output["mended"]} == {"fernbrook.plain-words", "fernbrook.one-space", "fernbrook.percent"}


def test_the_checker_says_what_a_person_must_mend():
    output = done(agents.check_style, "style-findings@1", {"text": "A miracle! The ultimate kettle, since 7/31/2026."})

    assert [(one["rule"].removeprefix("fernbrook."), one["severity"]) for one in output["findings"]] == [
        ("promises", "error"),
        ("shouting", "warning"),
        ("superlatives", "warning"),
        ("dates", "error"),
    ]


def test_a_text_with_very_many_findings_is_not_listed_but_given_back():
    assert isinstance(ask(agents.check_style, {"text": "Wow! " * 201}), Abstain)


def test_a_house_style_that_nobody_wrote_is_a_failure_and_no_opinion():
    with pytest.raises(documents.DocumentRefused, match="no styles document winter"):
        ask(agents.edit, {"text": "Tea.", "style": "winter"})


@pytest.mark.parametrize("name", ["../fernbrook", "a/b", "", ".", "FERNBROOK", "x" * 65])
def test_a_name_is_no_path(name):
    with pytest.raises(documents.DocumentRefused):
        documents.read(EXAMPLE, "styles", name)


def test_an_agent_does_not_work_with_other_rules_than_the_pinned_ones(tmp_path, monkeypatch):
    folder = tmp_path / EXAMPLE / "styles"
    folder.mkdir(parents=True)
    mine = json.dumps(
        {"name": "fernbrook", "rules": [{"id": "tea", "severity": "error", "message": "no", "find": {"any_of": ["tea"]}}]}
    )
    (folder / "fernbrook.json").write_text(mine)
    monkeypatch.setenv(documents.FOLDERS_VARIABLE, str(tmp_path))
    digest = hashlib.sha256(mine.encode()).hexdigest()

    assert len(done(agents.check_style, "style-findings@1", {"text": "tea"}, sha256=digest)["findings"]) == 1
    with pytest.raises(documents.DocumentRefused, match="not the pinned document"):
        ask(agents.check_style, {"text": "tea"}, sha256="0" * 64)


def test_input_that_does_not_fit_names_its_place():
    with pytest.raises(Invalid) as refusal:
        ask(agents.check_claim, {"claim": {"id": "c1"}})

    assert [fault.where for fault in refusal.value.faults] == ["/claim/kind"]


# --- claims and facts ---


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The Kettle K2 holds 1.7 litres.", [("quantity", "1.7", "litres")]),
        ("It costs €59.90 and draws 2,200 W.", [("quantity", "59.90", "euro"), ("quantity", "2200", "w")]),
        ("It boils in 4 minutes, with 80% recycled steel.", [("quantity", "4", "minutes"), ("quantity", "80", "%")]),
        ("A 3-year warranty is included.", [("quantity", "3", "year")]),
        ("It is certified organic.", [("quality", "", "")]),
        ("It is the quietest of all.", [("quality", "", "")]),
        ("Oats keep cholesterol normal.", [("health", "", "")]),
        ("It prevents colds.", [("health", "", "")]),
        ("Fill the kettle, and wait.", []),
        ("Model 4711 has 3 buttons.", []),
    ],
)
def test_claims_are_taken_by_their_form(sentence, expected):
    assert [(one.kind, one.value, one.unit) for one in claims.extract(sentence, subject="Kettle K2")] == expected


def test_claims_are_numbered_over_the_text_and_headings_make_none():
    output = done(
        agents.extract_claims, "claims@1", {"text": "# 9 litres\n\nIt holds 1.7 litres. It is vegan.", "subject": "Kettle K2"}
    )

    assert [(one["id"], one["kind"]) for one in output["claims"]] == [("c1", "quantity"), ("c2", "quality")]


def claim(sentence, subject="Kettle K2"):
    [found] = claims.extract(sentence, subject=subject)
    return found


def verdict(sentence, subject="Kettle K2"):
    found = facts.judge(claim(sentence, subject), facts.load(read("facts")))
    return None if found is None else (found.is_supported, found.fact.id)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The kettle holds 1.7 litres.", (True, "k2-capacity")),
        ("The kettle holds 1,700 ml.", (True, "k2-capacity")),
        ("The kettle holds 2 litres.", (False, "k2-capacity")),
        ("A litre boils in 240 minutes.", (False, "k2-boiling")),
        ("It comes with a warranty of 36 months.", (True, "k2-warranty")),
        ("The Brewer B1 makes 8 cups.", (True, "b1-cups")),
        ("The Brewer B1 holds 1.7 litres.", None),  # the kettle's fact says nothing about another product
        ("It weighs 2 kg.", None),
        ("It is the first of its kind.", None),
    ],
)
def test_a_claim_is_judged_by_the_fact_that_speaks_of_it_or_not_at_all(sentence, expected):
    assert verdict(sentence) == expected


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("It is vegan.", (True, "oat-vegan")),
        ("It is gluten-free.", (False, "oat-gluten")),
        ("It helps to keep cholesterol normal.", (True, "oat-cholesterol")),
        ("It strengthens the immune system.", (False, "oat-immune")),
        ("It lowers blood pressure.", None),
    ],
)
def test_statements_hold_or_do_not_as_the_store_says(sentence, expected):
    assert verdict(sentence, "Oat Drink") == expected


def test_the_checker_tells_what_is_known_and_where_it_stands():
    said = done(agents.extract_claims, "claims@1", {"text": "It holds 2 litres.", "subject": "Kettle K2"})["claims"][0]

    output = done(agents.check_claim, "claim-verdict@1", {"claim": said})

    assert output["verdict"] == "refuted"
    assert (output["known"], output["source"]) == ("Kettle K2: 1.7 litre", "Data sheet K2, revision 4")


def test_the_checker_abstains_where_the_store_knows_nothing():
    said = done(agents.extract_claims, "claims@1", {"text": "It weighs 2 kg.", "subject": "Kettle K2"})["claims"][0]

    reply = ask(agents.check_claim, {"claim": said})

    assert isinstance(reply, Abstain)
    assert "knows nothing" in reply.reason


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ({"id": "x", "subject": "K2", "words": ["a"], "source": "s", "value": "1", "unit": "furlong"}, "/facts/0/unit"),
        ({"id": "x", "subject": "K2", "words": ["a"], "source": "s", "value": "1"}, "/facts/0/unit"),
        ({"id": "x", "subject": "K2", "words": ["a"], "source": "s"}, "/facts/0"),
    ],
)
def test_a_store_with_a_fact_that_means_nothing_is_refused(bad, place):
    with pytest.raises(facts.FactsRefused) as refusal:
        facts.load({"name": "test", "facts": [bad]})

    assert place in [fault.where for fault in refusal.value.faults]


def test_what_the_house_ships_can_be_used():
    assert rules.load(read("styles")).rules
    assert facts.load(read("facts")).facts
    assert set(drafting.load(read("templates"))) == {"how-to", "product-news", "offer", "health"}


# --- personal data ---


def test_places_of_personal_data_are_told_and_never_the_data():
    text = "Ask Ms. Jane Roe, jane.roe@example.com, +44 20 7946 0958, IBAN DE89 3704 0044 0532 0130 00."

    output = done(agents.find_personal, "personal-data@1", {"text": text})

    assert [one["kind"] for one in output["found"]] == ["name", "email", "phone", "iban"]
    assert "jane" not in json.dumps(output).lower()


# --- assessing and putting forward ---

CLEAN = {"brief": BRIEF, "findings": [], "claims": [], "verdicts": [], "personal": []}
FINDING = {"rule": "r", "severity": "warning", "line": 2, "column": 1, "message": "We do not shout.", "suggestion": ""}
HEALTH = {"id": "c1", "kind": "health", "sentence": "It heals colds.", "subject": "Tea", "value": "", "unit": ""}
SUPPORTED = {"claim": "c1", "verdict": "supported", "sentence": "It heals colds.", "source": "Register"}


def assessed(**change):
    return done(agents.assess, "article-assessment@1", {**CLEAN, **change})


@pytest.mark.parametrize(
    ("change", "risk"),
    [
        ({}, "low"),
        ({"findings": [{**FINDING, "severity": "suggestion"}]}, "low"),
        ({"findings": [FINDING]}, "medium"),
        ({"claims": [{**HEALTH, "kind": "quality"}], "verdicts": [SUPPORTED]}, "low"),
        (
            {"claims": [{**HEALTH, "kind": "quality"}], "verdicts": [{"verdict": "supported"}]},
            "medium",
        ),  # a person's word, no source
        ({"claims": [HEALTH], "verdicts": [SUPPORTED]}, "high"),
        ({"brief": brief(category="health")}, "high"),
    ],
)
def test_risk_follows_from_what_was_found(change, risk):
    assert assessed(**change)["risk"] == risk


def test_a_claim_without_a_verdict_counts_as_refuted():
    assert assessed(claims=[HEALTH, {**HEALTH, "id": "c2"}], verdicts=[SUPPORTED])["refuted"] == 1


def test_an_assessment_says_why():
    found = assessed(
        findings=[FINDING, {**FINDING, "severity": "error", "message": "No."}],
        personal=[{"kind": "email", "start": 0, "end": 1}],
        claims=[HEALTH],
        verdicts=[{"verdict": "refuted", "sentence": "It heals colds.", "known": "It does not."}],
    )

    assert found["reasons"] == [
        "personal data (email)",
        "line 2: No.",
        "not so: It heals colds. It does not.",
        "line 2: We do not shout.",
        "health claims are regulated",
    ]


@pytest.mark.parametrize(("claims_", "capability"), [([], "article.publish"), ([HEALTH], "article.publish-health")])
def test_a_health_claim_is_another_right_whatever_the_category(claims_, capability):
    made = assessed(claims=claims_, verdicts=[SUPPORTED] if claims_ else [])

    output = done(agents.publish, "publication@1", {"brief": BRIEF, "text": "Tea.", "assessment": made})

    assert output["publish"]["capability"] == capability
    assert output["publish"]["parameters"]["regulated"] is bool(claims_)
