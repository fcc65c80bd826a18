"""Signed notes and checkpoints of transparency logs, as C2SP writes them down; Ed25519. Pure.

A note is a text, an empty line, and lines of signatures: `— <name> <base64 of key id and signature>`. A checkpoint is a note
whose text is three lines: origin, size of the tree, root in base64. Keys are
written as Go's sumdb/note does, so its tools read ours.

Source: c2sp.org/signed-note and c2sp.org/tlog-checkpoint (v1).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aegis.core.errors import Invalid

_ED25519 = b"\x01"
_PRIVATE = "PRIVATE+KEY+"
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_MARK = "— "


class BadNote(Invalid):
    """A text that is no signed note or checkpoint, or one that none of the known keys signed."""

    code, http_status, title = "bad_note", 422, "This is no checkpoint signed by a known key"


class BadKey(Invalid):
    """A text that is no key of the form this module writes."""

    code, http_status, title = "bad_key", 500, "This is no signing key"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key and the name it signs under."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_b64(_ED25519 + self.public)}"

    def holds(self, text: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True

    @classmethod
    def read(cls, text: str) -> Verifier:
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        found = cls(name, _key(encoded))
        if not _NAME.fullmatch(name) or found.key_id.hex() != key_id:
            raise BadKey("The key id does not belong to this name and key")
        return found


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key (its 32-byte seed) and the name it signs under."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"  # the seed goes into no log and no traceback

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def sign(self, text: str) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())

    def written(self) -> str:
        """The key as text, for its file."""
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{_b64(_ED25519 + self.seed)}"

    @classmethod
    def read(cls, text: str) -> Signer:
        text = text.strip()
        if not text.startswith(_PRIVATE):
            raise BadKey(f"A signing key begins with {_PRIVATE}")
        name, _, rest = text.removeprefix(_PRIVATE).partition("+")
        key_id, _, encoded = rest.partition("+")
        found = cls(name, _key(encoded))
        if not _NAME.fullmatch(name) or found.verifier.key_id.hex() != key_id:
            raise BadKey("The key id does not belong to this name and key")
        return found


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root of the tree of one log, as signed."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and who signed it: (name, key id, signature), not checked yet."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def read(cls, note: str) -> Note:
        text, gap, tail = note.rpartition("\n\n")
        lines = tail.split("\n")
        if not gap or lines[-1] != "" or len(lines) < 2:
            raise BadNote("No text, empty line and signatures")
        return cls(text + "\n", tuple(_signature(line) for line in lines[:-1]))

    def signed_by(self, verifiers: Iterable[Verifier]) -> list[Verifier]:
        """The known keys that signed it.

        Raises:
            BadNote: there is none, or a signature in the name of a known key does not hold.
        """
        known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
        found = []
        for name, key_id, signature in self.signatures:
            verifier = known.get((name, key_id))
            if verifier is None:
                continue  # a witness, or a key to come
            if not verifier.holds(self.text, signature):
                raise BadNote(f"The signature of {name} (key {key_id.hex()}) does not hold")
            found.append(verifier)
        if not found:
            signers = ", ".join(f"{name} (key {key_id.hex()})" for name, key_id, _ in self.signatures)
            raise BadNote(f"No known key signed it; signed by {signers}")
        return found

    def checkpoint(self) -> Checkpoint:
        """What its text says, whoever signed it.

        Raises:
            BadNote
        """
        lines = self.text.split("\n")
        if len(lines) < 4 or not lines[0] or not _SIZE.fullmatch(lines[1]):
            raise BadNote("No origin, size and root")
        try:
            root = base64.b64decode(lines[2], validate=True)
        except binascii.Error:
            raise BadNote("The root is not base64") from None
        if len(root) != 32:
            raise BadNote("The root is not 32 bytes")
        return Checkpoint(lines[0], int(lines[1]), root)


def sign(text: str, signers: Sequence[Signer]) -> str:
    """The signed note. The text ends with a line feed."""
    lines = (f"{_MARK}{signer.name} {_b64(signer.verifier.key_id + signer.sign(text))}\n" for signer in signers)
    return f"{text}\n{''.join(lines)}"


def open_checkpoint(note: str, verifiers: Iterable[Verifier]) -> Checkpoint:
    """The checkpoint in a note that a known key signed.

    Raises:
        BadNote
    """
    read = Note.read(note)
    read.signed_by(verifiers)
    return read.checkpoint()


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if not line.startswith(_MARK) or not _NAME.fullmatch(name) or len(blob) < 5:
        raise BadNote("A line below the empty one is no signature")
    return name, blob[:4], blob[4:]


def _key(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadKey("The key is not base64") from None
    if len(raw) != 33 or raw[:1] != _ED25519:
        raise BadKey("The key is no Ed25519 key")
    return raw[1:]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
