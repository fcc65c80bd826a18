"""Manifests are read strictly, every error names its place, and what is written reads back equal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core import manifests
from aegis.core.canonical import dump as canonical_bytes
from aegis.core.errors import AegisError, Fault, Invalid, Malformed, NotFound, TooLarge
from aegis.core.kinds import Key

HEAD = "apiVersion: aegis/v1\nkind: Case\nmetadata: {name: one}\nspec:\n"  # four lines


def spec_of(text: str) -> object:
    return manifests.read(HEAD + text, "f.yaml")[0].document["spec"]


def refusal(text: str, source: str = "f.yaml") -> str:
    with pytest.raises(AegisError) as error:
        manifests.read(text, source)
    assert error.value.faults, "an error without a fault names no place"
    return str(error.value.faults[0])


def test_a_document_has_its_key_and_plain_json_values() -> None:
    (manifest,) = manifests.read(HEAD + "  a: [1, -2.5, true, false, null, ~, text, '1', 24h]\n  b: {}\n", "f.yaml")

    assert manifest.key == Key("Case", "one")
    assert manifest.document["spec"] == {"a": [1, -2.5, True, False, None, None, "text", "1", "24h"], "b": {}}


def test_many_documents_in_one_file_and_empty_ones_are_no_documents() -> None:
    text = f"---\n---\n{HEAD}  a: 1\n---\n{HEAD.replace('one', 'two')}  a: 2\n---\n"

    assert [manifest.key.name for manifest in manifests.read(text, "f.yaml")] == ["one", "two"]


def test_a_date_stays_text() -> None:
    assert spec_of("  due: 2027-03-31") == {"due": "2027-03-31"}


@pytest.mark.parametrize(
    "scalar",
    [
        "yes",
        "No",
        "on",
        "OFF",
        "TRUE",
        "Null",
        "017",
        "0o17",
        "0x1F",
        "0b1",
        "1_000",
        "12:30",
        "+5",
        ".5",
        "5.",
        ".inf",
        "=",
        "<<",
    ],
)
def test_what_two_readers_read_differently_is_refused(scalar: str) -> None:
    assert refusal(f"{HEAD}  a: {scalar}").startswith("f.yaml:5:6: ")
    assert spec_of(f"  a: '{scalar}'") == {"a": scalar}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("  a: 1\n  b: 2\n  a: 3", "7:3"),
        ("  a: {b: 1, b: 2}", "5:13"),
        ("  a: &anchor 1", "5:6"),
        ("  a: *anchor", "5:6"),
        ("  a: !!python/object/apply:os.system [ls]", "5:6"),
        ("  a: !tag b", "5:6"),
        ("  1: a", "5:3"),
        ("  true: a", "5:3"),
        ("  ? [a]\n  : b", "5:5"),
        ("  a: 9007199254740992", "5:6"),
        ("  a: 1e999", "5:6"),
        ('  a: "\\0"', "5:6"),
        ('  a: "\\ud83d"', "5:9"),
        ("  é: 'x\x00'", "5:8"),
        ("  é: x\n  b: \x07", "6:6"),
        ("  a: [1,", "6:1"),
        ("  a: 'open", "5:11"),
        ("\ta: 1", "5:1"),
        ("  a: " + "[" * 100 + "]" * 100, "5:69"),
    ],
)
def test_every_refusal_names_line_and_column(text: str, place: str) -> None:
    assert refusal(HEAD + text).startswith(f"f.yaml:{place}: ")


def test_a_duplicate_key_is_named() -> None:
    assert refusal(HEAD + "  a: 1\n  b: 2\n  a: 3") == "f.yaml:7:3: the key 'a' appears twice (keep one of them)"


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = "  a: &a [x]\n" + "".join(
        f"  {chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )

    assert refusal(HEAD + bomb).startswith("f.yaml:5:6: anchors and aliases are not accepted")


def test_a_hundred_thousand_brackets_are_refused_without_recursion() -> None:
    assert "nested deeper than 64 levels" in refusal(HEAD + "  a: " + "[" * 100_000)


def test_directives_bytes_and_size_are_refused() -> None:
    assert "directives" in refusal("%YAML 1.1\n---\n" + HEAD)
    with pytest.raises(Malformed, match=r"f\.yaml:2:4: not UTF-8"):
        manifests.read(b"a: 1\nb: \xff", "f.yaml")
    with pytest.raises(TooLarge):
        manifests.read(b" " * (manifests.MAX_FILE_BYTES + 1), "f.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "f.yaml:1:1: apiVersion must be aegis/v1"),
        ("- a", "f.yaml:1:1: a document is an object"),
        ("text", "f.yaml:1:1: a document is an object"),
        ("apiVersion: aegis/v2\n", "f.yaml:1:13: apiVersion must be aegis/v1"),
        ("apiVersion: aegis/v1\nkind: 3\n", "f.yaml:2:7: kind must be text"),
        ("apiVersion: aegis/v1\nkind: K\nmetadata: []\n", "f.yaml:3:11: metadata must be an object"),
        ("apiVersion: aegis/v1\nkind: K\nmetadata:\n  name: 7\n", "f.yaml:4:9: metadata.name must be text"),
        ("apiVersion: aegis/v1\nkind: K\nmetadata:\n  title: x\n", "f.yaml:4:3: metadata.name must be text"),
    ],
)
def test_the_envelope_is_checked_with_its_place(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


def test_a_fault_found_later_is_located_in_the_file() -> None:
    (manifest,) = manifests.read(HEAD + "  stages:\n    - groups: [A]\n    - groups: []\n", "f.yaml")

    assert manifest.at("/spec/stages/1/groups") == "f.yaml:7:15"
    assert manifest.at("/spec/stages/1/quorum") == "f.yaml:7:7"  # not there: the nearest above
    assert manifest.at("/spec/fast 1:4") == "f.yaml:5:3"
    assert str(manifest.locate(Fault("/spec/stages/0", "is wrong"))) == "f.yaml:6:7: /spec/stages/0: is wrong"


def test_json_files_are_strict_json_with_places() -> None:
    good = (
        '{"apiVersion": "aegis/v1", "kind": "Case", "metadata": {"name": "one"},\n\t"spec": {"a": "\\ud83d\\ude00\\\\ud83d"}}'
    )

    (manifest,) = manifests.read(good, "f.json")

    assert manifest.document["spec"] == {"a": "😀\\ud83d"}
    assert manifest.at("/spec/a") == "f.json:2:16"
    assert refusal(good.replace('"spec"', "spec"), "f.json").startswith("f.json:2:2: ")
    assert refusal(good.replace('"kind": "Case"', '"kind": "Case", "kind": "C"'), "f.json").startswith("f.json:1:44: ")
    assert refusal(good.replace('"Case"', "-Infinity"), "f.json") == "f.json:1:36: -Infinity is not JSON"


def test_folders_are_read_in_order_and_a_document_stands_once(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.yml").write_text(HEAD.replace("one", "two") + "  a: 1")
    (tmp_path / "a.yaml").write_text(HEAD + "  a: 1")
    (tmp_path / "notes.txt").write_text("not: read")

    assert [manifest.key.name for manifest in manifests.read_paths([tmp_path])] == ["one", "two"]

    (tmp_path / "c.yaml").write_text(HEAD + "  a: 2")
    with pytest.raises(Invalid, match="stands already at"):
        manifests.read_paths([tmp_path])
    with pytest.raises(NotFound):
        manifests.read_paths([tmp_path / "absent.yaml"])


def test_what_is_written_is_always_the_same_and_meant_for_people() -> None:
    document = {
        "spec": {"z": ["x"], "a": "two\nlines\n"},
        "metadata": {"title": "T", "name": "one"},
        "kind": "Case",
        "apiVersion": "aegis/v1",
    }

    assert manifests.dump([document]) == (
        "---\napiVersion: aegis/v1\nkind: Case\nmetadata:\n  name: one\n  title: T\n"
        "spec:\n  a: |\n    two\n    lines\n  z:\n    - x\n"
    )


text_values = st.one_of(
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=30),
    st.sampled_from(
        ["yes", "1e5", "0o7", "12:30", "null", "~", "", " a", "a ", "a\n", "\na", "- a", "#", "a: b", "\t", "a\r\nb", "…", "<<"]
    ),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text_values,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text_values, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_whatever_is_written_reads_back_to_the_same_bytes(value: object) -> None:
    document = {"apiVersion": "aegis/v1", "kind": "Case", "metadata": {"name": "one"}, "spec": value}

    (manifest,) = manifests.read(manifests.dump([document]), "export.yaml")

    assert canonical_bytes(manifest.document) == canonical_bytes(document)


@given(st.one_of(st.binary(max_size=200), st.text("aA0:-[]{}&*!|>'\"%@` \n\t#?,\x00\ud800\\", max_size=60)))
def test_no_bytes_at_all_cause_anything_but_a_named_refusal(raw: bytes | str) -> None:
    try:
        manifests.read(raw, "f.yaml")
    except AegisError as error:
        places = [fault.where for fault in error.faults]
    else:
        places = []

    assert all(place.startswith("f.yaml:") for place in places)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("  when: input.amont > 1\n", (5, 15)),
        ("  {when: input.amont > 1}\n", (5, 16)),
        ("  when: 'input.amont > 1'\n", (5, 16)),
        ('  when: "input.amont > 1"\n', (5, 16)),
        ("  when: |\n    input.amont\n", (6, 11)),
    ],
)
def test_a_place_inside_a_text_is_a_place_in_the_file(text: str, place: tuple[int, int]) -> None:
    (manifest,) = manifests.read(HEAD + text, "f.yaml")

    assert manifest.place("/spec/when 1:7") == place


def test_a_place_in_a_later_line_of_a_block_is_found_and_one_in_a_folded_text_is_where_that_begins() -> None:
    (manifest,) = manifests.read(HEAD + "  a: |\n\n    one\n    two\n  b: >\n    one\n    two\n  c: one\n    two\n", "f.yaml")

    assert manifest.place("/spec/a 3:2") == (8, 6)
    assert manifest.place("/spec/b 1:5") == (9, 6)
    assert manifest.place("/spec/c 1:5") == (12, 6)
    assert manifest.at("/spec/a/gone 1:5") == "f.yaml:5:6"


def test_a_located_fault_keeps_its_code() -> None:
    (manifest,) = manifests.read(HEAD + "  when: input.x\n", "f.yaml")

    located = manifest.locate(Fault("/spec/when 1:7", "is not there", "write y", code="path"))

    assert (located.where, located.code) == ("f.yaml:5:15: /spec/when 1:7", "path")
