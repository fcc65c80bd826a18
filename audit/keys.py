"""The key that signs checkpoints. It never enters the database: who holds the database cannot sign for a forged history.

It comes from `AEGIS_JOURNAL_KEY` (or the file `AEGIS_JOURNAL_KEY_FILE` names), else it is the file `journal_key` of the data
folder, made at the first signature. One line a key, the newest first: while one takes over from another, both sign. The name in
the key is the origin of the log.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from aegis.core import canonical
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict
from aegis.core.secrets import kept_secret
from audit import chain, journal
from audit.drafts import Context, Draft
from audit.models import Event
from audit.notes import BadKey, Signer, Verifier

FILE = "journal_key"


class KeyGiven(Conflict):
    """The key comes from the environment, so AEGIS cannot replace it by itself."""

    code, http_status, title = "key_given", 409, "The signing key is given by the environment"


def path() -> Path:
    return Path(settings.DATA_DIR) / FILE


def signers() -> list[Signer]:
    """The keys that sign, the newest first. Made at the first call of an installation that was given none.

    Raises:
        BadKey: what is there is no key.
    """
    text = settings.JOURNAL_KEY or kept_secret(path(), lambda: _new(_origin()).written() + "\n")
    found = [Signer.read(line) for line in text.splitlines() if line.strip()]
    if not found:
        raise BadKey("The file of the signing key is empty")
    return found


def known() -> list[Verifier]:
    """The public keys whose signatures count: this host's, those it was told of, and those they replaced on record.

    Empty on a host that never signed and was told none: then nothing can be said of signatures.
    """
    anchors = [Verifier.read(text) for text in settings.JOURNAL_PUBLIC_KEYS]
    if settings.JOURNAL_KEY or path().exists():
        anchors += [signer.verifier for signer in signers()]
    return _with_replaced(list(dict.fromkeys(anchors)))


def statement(old: str, new: str) -> str:
    """What both keys sign when one replaces the other."""
    return f"aegis/key-rotation/v1\n{old}\n{new}\n"


def rotate(actor: Actor, reason: str) -> Verifier:
    """Make a new key, sign with both from now on, and put the change on record. Returns the new public key.

    With a key from the environment, whoever keeps it puts the new one above the old one first; this then records it.

    Raises:
        KeyGiven: the environment gives one key only.
    """
    present = signers()
    if settings.JOURNAL_KEY:
        if len(present) < 2:
            raise KeyGiven("Put the new key on the line above the old one in AEGIS_JOURNAL_KEY, then run this again")
        new, old = present[:2]
    else:
        old, new = present[0], _new(present[0].name)
        _replace([new, old])
    text = statement(str(old.verifier), str(new.verifier))
    data = {
        "old": str(old.verifier),
        "new": str(new.verifier),
        "by_old": base64.b64encode(old.sign(text)).decode(),
        "by_new": base64.b64encode(new.sign(text)).decode(),
    }
    draft = Draft("key.rotated", actor, data=data, payloads={"reason": canonical.dump(reason)} if reason else {})
    in_transaction(lambda: journal.append(Context(stream="system", scope="system"), [draft]))
    return new.verifier


def end_overlap() -> Verifier:
    """Forget every key but the newest. Checkpoints signed by the others stay good: the record says what replaced them.

    Raises:
        KeyGiven
    """
    if settings.JOURNAL_KEY:
        raise KeyGiven("Remove the old key's line from AEGIS_JOURNAL_KEY")
    newest = signers()[0]
    _replace([newest])
    return newest.verifier


def make() -> Signer:
    """A new key, kept nowhere: for whoever gives it by the environment."""
    return _new(signers()[0].name if settings.JOURNAL_KEY or path().exists() else _origin())


def _with_replaced(trusted: list[Verifier]) -> list[Verifier]:
    """Add the keys that a trusted one replaced, back to the first. A rotation counts only if both signed it."""
    if not trusted:
        return []
    for line in Event.objects.filter(type="key.rotated").order_by("-id").values_list("line", flat=True):
        data = chain.read_line(line)["data"]
        try:
            old, new = Verifier.read(data["old"]), Verifier.read(data["new"])
            text = statement(data["old"], data["new"])
            both = old.holds(text, base64.b64decode(data["by_old"])) and new.holds(text, base64.b64decode(data["by_new"]))
        except (BadKey, ValueError, KeyError, TypeError):
            continue  # a forged line: verify names it by other means
        if both and new in trusted and old not in trusted:
            trusted.append(old)
    return trusted


def _new(name: str) -> Signer:
    return Signer(name, secrets.token_bytes(32))


def _origin() -> str:
    host = urlsplit(settings.PUBLIC_URL).hostname or "aegis.local"
    return f"{host}/journal/{secrets.token_hex(4)}"


def _replace(keys: list[Signer]) -> None:
    """Write the file anew, in one step."""
    draft = path().with_name(f"{FILE}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("".join(f"{key.written()}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path())
