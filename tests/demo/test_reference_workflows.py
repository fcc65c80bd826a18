"""The reference workflows beside each other: none takes a name of another one, and their samples can be told apart."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from aegis.core import manifests
from aegis.core.errors import Malformed
from aegis.portal.demo import load, sheet
from aegis.portal.demo.examples import EXAMPLES, Example, read_samples
from orchestration.agents.protocol import registered
from orchestration.contracts.checker import compile_schema
from orchestration.engine import effects

FOLDERS = [load.EXAMPLE / "manifests", *(example.manifests for example in EXAMPLES)]
DOCUMENTS = {str(one.key): one.document for one in manifests.read_paths(FOLDERS)}


def test_no_document_of_one_has_the_name_of_another() -> None:
    keys = Counter(str(one.key) for folder in FOLDERS for one in manifests.read_paths([folder]))

    assert [key for key, count in keys.items() if count > 1] == []


def test_every_agent_and_every_remote_effect_is_there_to_be_called() -> None:
    for key, document in DOCUMENTS.items():
        spec = document["spec"]
        if key.startswith("Agent/") and "python" in spec["connector"]:
            assert registered(spec["connector"]["python"]), key
        if key.startswith("Capability/") and not spec["handler"].startswith("record."):
            assert effects.registered(spec["handler"]), key


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.workflow)
def test_samples_keep_the_contract_of_their_workflow(example: Example) -> None:
    contract = DOCUMENTS[f"Workflow/{example.workflow}"]["spec"]["input"]
    checker = compile_schema(DOCUMENTS[f"Contract/{contract}"]["spec"]["schema"])

    for sample in read_samples(example.samples):
        assert checker.faults(dict(sample)) == [], sample["id"]


def test_no_two_samples_are_about_the_same() -> None:
    ids = [str(sample["id"]) for example in EXAMPLES for sample in read_samples(example.samples)]
    ids += [row.request["id"] for row in sheet.read(load.sample_items())]

    assert [one for one, count in Counter(ids).items() if count > 1] == []


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"id": 1, "id": 2}', b"\xff", b'"text"'])
def test_a_sample_that_is_no_object_is_named_by_its_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b'{"id": "a"}\n\n' + line + b"\n")

    with pytest.raises(Malformed, match="line 3"):
        read_samples(path)


@pytest.mark.django_db(transaction=True)
def test_all_of_them_load_into_a_new_installation_and_a_second_start_adds_nothing(area_rows: None) -> None:
    assert load.configuration()

    assert all(load.samples_of(example) == len(read_samples(example.samples)) for example in EXAMPLES)
    assert not load.configuration()
    assert [load.samples_of(example) for example in EXAMPLES] == [0] * len(EXAMPLES)
