"""Signed notes and checkpoints in the form others read and write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.notes import BadKey, BadNote, Checkpoint, Note, Signer, Verifier, open_checkpoint, sign

# The example that the documentation of Go's golang.org/x/mod/sumdb/note gives.
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = f"{TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"

MINE = Signer("aegis.example/journal", b"\x07" * 32)
OTHER = Signer("aegis.example/journal", b"\x08" * 32)
SAID = Checkpoint("aegis.example/journal", 184_220, b"\x2a" * 32)


def test_a_note_is_signed_as_the_published_example() -> None:
    assert sign(TEXT, [Signer.read(SKEY)]) == NOTE
    assert str(Signer.read(SKEY).verifier) == VKEY
    assert Note.read(NOTE).signed_by([Verifier.read(VKEY)]) == [Verifier.read(VKEY)]


def test_a_checkpoint_is_three_lines() -> None:
    assert str(SAID) == "aegis.example/journal\n184220\nKioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKio=\n"
    assert open_checkpoint(sign(str(SAID), [MINE]), [MINE.verifier]) == SAID


def test_keys_read_as_they_were_written() -> None:
    assert Signer.read(MINE.written()) == MINE
    assert Verifier.read(str(MINE.verifier)) == MINE.verifier
    assert MINE.seed.hex() not in repr(MINE)


def test_another_key_of_the_same_name_signs_nothing() -> None:
    with pytest.raises(BadNote, match="No known key signed it"):
        open_checkpoint(sign(str(SAID), [OTHER]), [MINE.verifier])


def test_two_keys_sign_while_one_takes_over_from_the_other() -> None:
    both = sign(str(SAID), [MINE, OTHER])

    assert open_checkpoint(both, [MINE.verifier]) == open_checkpoint(both, [OTHER.verifier]) == SAID


def test_one_false_signature_of_a_known_key_spoils_the_note() -> None:
    both = sign(str(SAID), [MINE, OTHER]).split("\n")
    forged = sign(str(Checkpoint(SAID.origin, 1, SAID.root)), [OTHER]).split("\n")

    with pytest.raises(BadNote, match="does not hold"):
        open_checkpoint("\n".join([*both[:-2], forged[-2], ""]), [MINE.verifier, OTHER.verifier])


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_changed_byte_is_never_the_same_checkpoint(at: int, by: int) -> None:
    note = sign(str(SAID), [MINE]).encode()
    at %= len(note)
    changed = note[:at] + bytes([note[at] ^ by]) + note[at + 1 :]

    with pytest.raises(BadNote):
        open_checkpoint(changed.decode("utf-8", "replace"), [MINE.verifier])


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        open_checkpoint(text, [MINE.verifier])


@pytest.mark.parametrize("size", ["-1", "01", "1e3", "", "9" * 30, "٣"])
def test_a_size_that_is_no_plain_number_is_refused(size: str) -> None:
    with pytest.raises(BadNote, match="No origin, size and root"):
        open_checkpoint(sign(f"a\n{size}\n{'A' * 43}=\n", [MINE]), [MINE.verifier])


@pytest.mark.parametrize("text", ["", "x", SKEY[:-2], SKEY.replace("c74f", "c74e"), SKEY.replace("Peter", "Pe ter"), VKEY])
def test_what_is_no_private_key_is_refused(text: str) -> None:
    with pytest.raises(BadKey):
        Signer.read(text)


@pytest.mark.parametrize("text", ["", "x", VKEY[:-1], VKEY.replace("Peter", "Otto"), SKEY])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(BadKey):
        Verifier.read(text)
