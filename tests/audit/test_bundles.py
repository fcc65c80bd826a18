"""The evidence bundle: whoever has it verifies it with Python alone, and every forged byte shows."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.identity.models import User
from audit import bundles, checkpoints, keeping, keys, masking, sealer, standalone
from audit.models import Event
from audit.notes import Checkpoint as Statement
from audit.notes import Signer, sign

RUN = UUID("018f0000-0000-7000-8000-0000000000aa")
Note = Callable[..., Any]


@pytest.fixture
def folder(note: Note, quinn: User, as_actor: Any, tmp_path: Path) -> Path:
    """A bundle of a run of five events among others, unpacked; the last event is younger than the checkpoint."""
    for number in range(4):
        note("config:Probe", 3, reason="of others")
        note("run:probe", reason=f"because {number} <b>", context={"run_id": RUN})
    keeping.keep()
    note("run:probe", context={"run_id": RUN})
    sealer.seal()
    bundle = bundles.of_run(RUN, "run:probe", "R-1", viewer=quinn, actor=as_actor(quinn))
    assert (bundle.events, bundle.not_covered) == (5, 1)
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as archive:
        archive.extractall(tmp_path / "bundle")
    newest = checkpoints.latest()
    assert newest is not None
    (tmp_path / "kept.note").write_text(newest.note)
    return tmp_path / "bundle"


def verified(folder: Path, *arguments: str) -> tuple[int, str]:
    """By a Python that has nothing but itself: no packages, no paths, no environment."""
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={}, cwd="/", timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def trust(folder: Path) -> list[str]:
    return ["--key", str(keys.known()[0]), "--checkpoint", str(folder.parent / "kept.note")]


def test_a_bundle_is_verified_by_python_alone(folder: Path) -> None:
    code, said = verified(folder, *trust(folder))

    assert code == 0, said
    assert "5 events, 1 not covered, 4 open" in said
    assert "1 events are younger than the checkpoint: of these nothing is proved." in said
    assert "agrees with itself" not in said
    assert "agrees with itself" in verified(folder)[1]


def test_that_it_was_taken_is_on_record(folder: Path, quinn: User) -> None:
    event = Event.objects.get(type="export.created")

    assert event.actor_ref == str(quinn.pk)
    assert f"run:{RUN}" in event.line


def test_its_page_shows_what_agents_wrote_as_text(folder: Path) -> None:
    page = (folder / "README.html").read_text()

    assert "because 0 &lt;b&gt;" in page
    assert "<b>" not in page


def test_every_forgery_of_an_event_shows(folder: Path) -> None:
    true = json.loads((folder / "bundle.json").read_text())
    line = true["events"][1]["line"]

    def forged(change: Callable[[Any], object]) -> str:
        document = json.loads(json.dumps(true))
        change(document)
        (folder / "bundle.json").write_text(json.dumps(document))
        code, said = verified(folder, *trust(folder))
        assert code == 1, said
        return said

    assert "run:probe#2: it did not stand at leaf" in forged(
        lambda doc: doc["events"][1].update(line=line.replace("system", "sYstem"))
    )
    assert "run:probe#3: it does not follow line 1" in forged(lambda doc: doc["events"].pop(1))
    assert "it does not follow line 0" in forged(lambda doc: doc["events"].pop(0))
    assert "it did not stand at leaf" in forged(lambda doc: doc["events"][1].update(leaf_index=3))
    assert "it did not stand at leaf" in forged(lambda doc: doc["events"][1]["proof"].pop())
    payload = true["events"][0]["payloads"][0]
    assert "is not what its line committed to" in forged(
        lambda doc: doc["events"][0].update(payloads=[{**payload, "body": "because 1 <b>"}])
    )
    assert "knows no payload 'other'" in forged(lambda doc: doc["events"][0].update(payloads=[{**payload, "name": "other"}]))
    assert "not of the form of a bundle" in forged(lambda doc: doc["events"][0].pop("line"))


def test_a_checkpoint_of_another_key_proves_nothing(folder: Path) -> None:
    stranger = Signer(keys.signers()[0].name, b"\x04" * 32)
    newest = checkpoints.latest()
    assert newest is not None
    (folder.parent / "kept.note").write_text(
        sign(str(Statement(stranger.name, newest.size, bytes.fromhex(newest.root))), [stranger])
    )

    assert "no known key signed the checkpoint" in verified(folder, *trust(folder))[1]


def test_without_anything_to_verify_it_says_so(tmp_path: Path, folder: Path) -> None:
    (folder / "bundle.json").unlink()

    assert verified(folder)[0] == 2


def test_a_payload_of_which_something_is_hidden_is_left_out_whole(
    note: Note, quinn: User, as_actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    note("run:probe", reason="the secret of sam", context={"run_id": RUN})
    keeping.keep()

    class Hiding:
        def payloads(self, viewer: Any, rows: Any) -> list[str]:
            return ["•••" for _ in rows]

    monkeypatch.setattr(masking, "_masker", Hiding())
    content = bundles.of_run(RUN, "run:probe", "R-1", viewer=quinn, actor=as_actor(quinn)).content

    assert b"secret of sam" not in content
    assert b'"state": "hidden"' in content
    assert b'"salt"' not in content.split(b"verify.py")[0]


def test_without_a_checkpoint_there_is_no_evidence(note: Note, quinn: User, as_actor: Any) -> None:
    note("run:probe", context={"run_id": RUN})

    with pytest.raises(bundles.NoCheckpoint):
        bundles.of_run(RUN, "run:probe", "R-1", viewer=quinn, actor=as_actor(quinn))


def test_what_a_reader_may_not_see_is_not_in_his_bundle(note: Note, olivia: User, as_actor: Any) -> None:
    note("run:probe", context={"run_id": RUN})
    keeping.keep()

    assert bundles.of_run(RUN, "run:probe", "R-1", viewer=olivia, actor=as_actor(olivia)).events == 0


def test_the_panel_of_an_event_shows_its_proof(folder: Path, quinn: User, browser_of: Any) -> None:
    browser = browser_of(quinn)

    covered = browser.get("/audit/events/run:probe/1/panel/").content.decode()
    young = browser.get("/audit/events/run:probe/5/panel/").content.decode()

    entry = json.loads((folder / "bundle.json").read_text())["events"][0]
    assert "Under the signed checkpoint of" in covered
    assert all(node in covered for node in entry["proof"])
    assert "not under a signed checkpoint yet" in young


# RFC 8032, section 7.1, tests 1 to 3.
@pytest.mark.parametrize(
    ("public", "message", "signature"),
    [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ],
)
def test_signatures_are_checked_as_the_standard_says(public: str, message: str, signature: str) -> None:
    key, text, signed = (bytes.fromhex(part) for part in (public, message, signature))

    assert standalone.is_signed(key, text, signed)
    assert not standalone.is_signed(key, text + b"x", signed)
    assert not standalone.is_signed(
        key, text, signed[:32] + (int.from_bytes(signed[32:], "little") + standalone.L).to_bytes(32, "little")
    )


@given(st.binary(min_size=32, max_size=32), st.text(max_size=40), st.integers(0, 511))
def test_the_script_judges_signatures_as_the_library_does(seed: bytes, text: str, bit: int) -> None:
    signer = Signer("x", seed)
    text = text.encode("utf-8", "replace").decode()
    signature = bytearray(signer.sign(text))

    assert standalone.is_signed(signer.verifier.public, text.encode(), bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    assert not standalone.is_signed(signer.verifier.public, text.encode(), bytes(signature))
    assert not signer.verifier.holds(text, bytes(signature))
