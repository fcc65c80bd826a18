"""Loading a model: damaged and hostile files are refused by field, and a name finds the pinned version only."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import examples.support_intake as package
from examples.support_intake import classifier
from examples.support_intake.classifier import find_model
from examples.support_intake.modelfile import ModelRefused, read_model

SHIPPED = Path(package.__file__).parent / "model"


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A private copy to damage."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "model"))


def edit_header(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    header = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    change(header)
    (folder / "model.json").write_text(json.dumps(header), encoding="utf-8")


def replace_weights(folder: Path, content: bytes) -> None:
    """Swap the weights and let the header vouch for them, as an attacker would."""
    (folder / "weights.bin").write_bytes(content)
    edit_header(folder, lambda header: header.update(weights_sha256=hashlib.sha256(content).hexdigest()))


def idf_at(folder: Path) -> int:
    """Where the first idf value stands: behind the intercepts."""
    return 4 * len(json.loads((folder / "model.json").read_text(encoding="utf-8"))["labels"])


# --- damaged and hostile models

HEADER_DAMAGE: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("format", lambda header: header.update(format="pickle")),
    ("normaliser", lambda header: header.pop("normaliser")),
    ("labels", lambda header: header.update(labels="abcd")),
    ("labels", lambda header: header.update(labels=["only"])),
    ("labels", lambda header: header["labels"].__setitem__(0, header["labels"][1])),
    ("labels", lambda header: header["labels"].__setitem__(0, "<script>")),
    ("labels", lambda header: header["labels"].__setitem__(0, 7)),
    ("temperature", lambda header: header.update(temperature=0)),
    ("temperature", lambda header: header.update(temperature="5")),
    ("temperature", lambda header: header.update(temperature=True)),
    ("suggested_threshold", lambda header: header.update(suggested_threshold=1.5)),
    ("suggested_threshold", lambda header: header.pop("suggested_threshold")),
    ("blocks", lambda header: header.update(blocks=[])),
    ("blocks", lambda header: header["blocks"].__setitem__(1, header["blocks"][0])),
    ("blocks/0", lambda header: header["blocks"].__setitem__(0, None)),
    ("blocks/0/analyser", lambda header: header["blocks"][0].update(analyser="eval")),
    ("blocks/0/analyser", lambda header: header["blocks"][0].update(analyser=["word"])),
    ("blocks/1/ngram", lambda header: header["blocks"][1].update(ngram=[4, 2])),
    ("blocks/1/ngram", lambda header: header["blocks"][1].update(ngram=[1, 10**9])),
    ("blocks/0/vocabulary", lambda header: header["blocks"][0].update(vocabulary={})),
    ("blocks/0/vocabulary", lambda header: header["blocks"][0]["vocabulary"].__setitem__(0, "x" * 201)),
    (
        "blocks/0/vocabulary",
        lambda header: header["blocks"][0]["vocabulary"].__setitem__(0, header["blocks"][0]["vocabulary"][1]),
    ),
    ("weights.bin", lambda header: header["blocks"][0]["vocabulary"].pop()),
    ("weights.bin", lambda header: header["blocks"][0]["vocabulary"].append("one more")),
    ("weights_sha256", lambda header: header.update(weights_sha256="0" * 64)),
    ("weights_sha256", lambda header: header.pop("weights_sha256")),
    ("policy_sha256", lambda header: header.update(policy_sha256="0" * 64)),
    ("policy_sha256", lambda header: header["labels"].__setitem__(0, "no_policy_row")),
    ("trained", lambda header: header.update(trained=[])),
]


@pytest.mark.parametrize(("field", "change"), HEADER_DAMAGE)
def test_a_damaged_header_is_refused_naming_the_field(
    model_folder: Path, field: str, change: Callable[[dict[str, Any]], object]
) -> None:
    edit_header(model_folder, change)

    with pytest.raises(ModelRefused) as refused:
        read_model(model_folder)
    assert [fault.where for fault in refused.value.faults] == [field]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"format":1,"format":2}', b'{"temperature":NaN}', b"\xff", b"[" * 100_000],
)
def test_a_header_that_is_no_plain_json_object_is_refused(model_folder: Path, content: bytes) -> None:
    (model_folder / "model.json").write_bytes(content)

    with pytest.raises(ModelRefused, match=r"model\.json"):
        read_model(model_folder)


def test_one_flipped_bit_in_the_weights_is_refused(model_folder: Path) -> None:
    content = bytearray((model_folder / "weights.bin").read_bytes())
    content[1000] ^= 1
    (model_folder / "weights.bin").write_bytes(content)

    with pytest.raises(ModelRefused, match="weights_sha256"):
        read_model(model_folder)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite_is_refused_even_when_the_digest_matches(model_folder: Path, value: float) -> None:
    content = bytearray((model_folder / "weights.bin").read_bytes())
    content[-4:] = struct.pack("<f", value)
    replace_weights(model_folder, bytes(content))

    with pytest.raises(ModelRefused, match="not finite"):
        read_model(model_folder)


def test_an_idf_of_zero_is_refused_even_when_the_digest_matches(model_folder: Path) -> None:
    content = bytearray((model_folder / "weights.bin").read_bytes())
    content[idf_at(model_folder) : idf_at(model_folder) + 4] = struct.pack("<f", 0.0)
    replace_weights(model_folder, bytes(content))

    with pytest.raises(ModelRefused, match="idf"):
        read_model(model_folder)


@pytest.mark.parametrize("change", [lambda content: content[:-4], lambda content: content + b"0000", lambda content: b""])
def test_weights_of_another_length_are_refused_even_when_the_digest_matches(
    model_folder: Path, change: Callable[[bytes], bytes]
) -> None:
    replace_weights(model_folder, change((model_folder / "weights.bin").read_bytes()))

    with pytest.raises(ModelRefused, match=r"weights\.bin"):
        read_model(model_folder)


def test_files_beyond_the_size_limits_are_refused_before_they_are_parsed(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("examples.support_intake.modelfile.MAX_HEADER_BYTES", 100)
    with pytest.raises(ModelRefused, match="larger than 100 bytes"):
        read_model(model_folder)
    monkeypatch.undo()
    monkeypatch.setattr("examples.support_intake.modelfile.MAX_WEIGHT_BYTES", 1000)
    with pytest.raises(ModelRefused, match="more than 1000 bytes"):
        read_model(model_folder)
    monkeypatch.undo()
    monkeypatch.setattr("examples.support_intake.modelfile.MAX_TERMS", 50)
    with pytest.raises(ModelRefused, match="50 terms"):
        read_model(model_folder)
    monkeypatch.setattr("examples.support_intake.modelfile.MAX_TERMS", 5000)  # more than each block has, fewer than both
    with pytest.raises(ModelRefused, match="more than 5000 terms"):
        read_model(model_folder)


@pytest.mark.parametrize("name", ["model.json", "weights.bin", "policy.csv"])
def test_a_missing_file_is_refused_by_name(model_folder: Path, name: str) -> None:
    (model_folder / name).unlink()

    with pytest.raises(ModelRefused) as refused:
        read_model(model_folder)
    assert refused.value.faults[0].where == name


def test_a_changed_policy_file_is_refused(model_folder: Path) -> None:
    policy = (model_folder / "policy.csv").read_text()
    (model_folder / "policy.csv").write_text(policy.replace("P1", "P4"))

    with pytest.raises(ModelRefused, match="policy_sha256"):
        read_model(model_folder)


# --- looking a model up


def digest_of(folder: Path) -> str:
    return hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def fresh_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_by_digest", {})
    monkeypatch.setattr(classifier, "_by_file", {})
    monkeypatch.delenv("AEGIS_MODELS_DIR", raising=False)


def test_the_packaged_model_is_found_by_name_and_loaded_once() -> None:
    first = find_model("support-intake")

    assert find_model("support-intake") is first
    assert find_model("support-intake", sha256=first.sha256) is first


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A folder with another version under the packaged name."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "own" / "support-intake"))
    edit_header(folder, lambda header: header.update(temperature=2.5))
    return folder


def test_a_configured_folder_comes_before_the_packaged_model(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_MODELS_DIR", os.pathsep.join([str(tmp_path / "none"), str(other.parent)]))

    assert find_model("support-intake").sha256 == digest_of(other) != digest_of(SHIPPED)


def test_a_pinned_digest_finds_its_version_behind_another_of_the_same_name(
    other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_MODELS_DIR", str(other.parent))

    assert find_model("support-intake", sha256=digest_of(SHIPPED)).temperature != 2.5
    assert find_model("support-intake", sha256=digest_of(other)).temperature == 2.5


def test_a_pinned_digest_that_no_folder_has_is_refused() -> None:
    find_model("support-intake")

    with pytest.raises(ModelRefused, match="sha256"):
        find_model("support-intake", sha256="0" * 64)


def test_a_damaged_configured_model_is_an_error_and_not_replaced_by_the_packaged_one(
    other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (other / "weights.bin").write_bytes(b"")
    monkeypatch.setenv("AEGIS_MODELS_DIR", str(other.parent))

    with pytest.raises(ModelRefused, match=r"weights\.bin"):
        find_model("support-intake")


def test_a_model_trained_anew_in_place_is_picked_up(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_MODELS_DIR", str(model_folder.parent))
    before = find_model("model")
    edit_header(model_folder, lambda header: header.update(temperature=1.25))

    assert find_model("model").temperature == 1.25
    assert find_model("model").sha256 != before.sha256


@pytest.mark.parametrize("name", ["", "..", "../support-intake", "a/b", "Support", "a" * 65, "x\n", None, 7])
def test_a_name_that_could_leave_the_folders_is_refused(name: Any) -> None:
    with pytest.raises(ModelRefused, match="a-z, 0-9"):
        find_model(name)


@pytest.mark.parametrize("digest", ["", "abc", "G" * 64, 7])
def test_a_digest_of_another_shape_is_refused(digest: Any) -> None:
    with pytest.raises(ModelRefused, match="64 hexadecimal"):
        find_model("support-intake", sha256=digest)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ModelRefused, match="no model is called"):
        find_model("no-such-model")
