from __future__ import annotations

import pytest

from audit import catalogue
from audit.catalogue import EventType, Part


def test_a_sentence_is_made_by_plain_look_up() -> None:
    kind = EventType("thing.done", "{actor} did {data.what} for {subject}", "agents", fields=("what",))

    assert catalogue.sentence(kind, {"actor": "Zoe", "subject": "INV-7"}, {"what": "it"}) == "Zoe did it for INV-7"


def test_values_are_marked_so_that_pages_can_escape_and_emphasise_them() -> None:
    kind = EventType("thing.done", "{actor} did it", "agents")

    assert catalogue.parts(kind, {"actor": "<b>"}, {}) == [Part("<b>", is_value=True), Part(" did it")]


@pytest.mark.parametrize("hostile", ["{actor.__class__}", "{0}", "{data.secret}", "%(actor)s", "{{", "}"])
def test_a_hostile_value_stays_text(hostile: str) -> None:
    kind = EventType("thing.done", "{actor} did {data.what}", "agents", fields=("what", "secret"))

    assert catalogue.sentence(kind, {"actor": "Zoe"}, {"what": hostile, "secret": "s3cret"}) == f"Zoe did {hostile}"


@pytest.mark.parametrize(
    "sentence",
    ["{actor.__class__} did", "{nobody} did", "{data.unknown} did", "{actor!r} did", "{actor:>9} did", "{} did", "{0} did"],
)
def test_a_sentence_with_an_unknown_place_cannot_be_declared(sentence: str) -> None:
    with pytest.raises(ValueError, match="sentence"):
        EventType("thing.done", sentence, "agents")


def test_missing_empty_and_long_values_read_well() -> None:
    kind = EventType("thing.done", "{agent} saw {data.many}", "agents", fields=("many?",))

    assert catalogue.sentence(kind, {}, {}) == "? saw ?"
    assert catalogue.sentence(kind, {"agent": "a"}, {"many": ["x", 2]}) == "a saw x, 2"
    assert catalogue.sentence(kind, {"agent": "a"}, {"many": {"deep": 1}}) == "a saw …"
    assert len(catalogue.sentence(kind, {"agent": "a"}, {"many": "x" * 500})) < 100
    assert catalogue.sentence(kind, {"agent": "a"}, {"many": False}) == "a saw no"


def test_one_name_and_version_means_one_thing() -> None:
    catalogue.register(EventType("thing.declared", "{actor} declared", "agents"))
    catalogue.register(EventType("thing.declared", "{actor} declared", "agents"))

    with pytest.raises(ValueError, match="registered twice, differently"):
        catalogue.register(EventType("thing.declared", "{actor} said something else", "agents"))


def test_a_new_meaning_is_a_new_version_and_the_old_one_stays() -> None:
    catalogue.register(EventType("thing.moved", "{actor} moved it", "agents"))
    catalogue.register(EventType("thing.moved", "{actor} moved it to {data.to}", "agents", fields=("to",), version=2))

    assert catalogue.get("thing.moved").version == 2
    assert catalogue.get("thing.moved", 1).sentence == "{actor} moved it"


@pytest.mark.parametrize("name", ["Thing.done", "thing", "thing.done.twice", "thing.Done", "thing .done"])
def test_names_are_noun_and_verb(name: str) -> None:
    with pytest.raises(ValueError, match=r"noun.verb_past"):
        EventType(name, "{actor}", "agents")


def test_every_registered_type_has_a_lane_and_a_sentence_that_renders() -> None:
    for kind in catalogue.all_types():
        assert kind.lane in catalogue.LANES
        assert catalogue.sentence(kind, {}, {})
