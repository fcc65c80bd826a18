"""Audit as identity's Recorder: changes of rights and sign-ins become events of the principal's access stream."""

from __future__ import annotations

import hashlib
from datetime import datetime

from aegis.core import canonical
from aegis.core.actors import Actor
from aegis.core.errors import AegisError, Forbidden
from aegis.identity.recorder import Entry, Principal
from audit import journal
from audit.drafts import Context, Draft


def access_stream(principal: Principal) -> str:
    """One of sixteen streams, by principal: sign-ins of a whole company must not queue for one row."""
    return f"access:{hashlib.sha256(f'{principal.kind}:{principal.ref}'.encode()).hexdigest()[0]}"


class JournalRecorder:
    """Implements `aegis.identity.recorder.Recorder`."""

    def record(self, entry: Entry) -> None:
        context = Context(stream=access_stream(entry.principal), scope="access", scope_id=entry.principal.ref)
        payloads = {name: canonical.dump(text) for name, text in entry.texts.items()}
        journal.append(context, [Draft(entry.type, entry.actor, data=entry.data, payloads=payloads)], entry.at)

    def denied(self, actor: Actor, what: str, error: AegisError, at: datetime) -> None:
        right = error.right if isinstance(error, Forbidden) else ""
        data = {"right": right, "what": what, "code": error.code}
        self.record(Entry("access.denied", Principal(actor.kind, actor.ref), actor, at, data, {"detail": error.detail}))
