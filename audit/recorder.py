"""Audit as identity's Recorder: changes of rights and sign-ins become events of the principal's access stream."""

from __future__ import annotations

from datetime import datetime

from aegis.core import canonical
from aegis.core.actors import Actor
from aegis.core.errors import AegisError
from aegis.identity.recorder import Entry
from audit import journal
from audit.access import deny, record_unknown_name, stream_of
from audit.drafts import Context, Draft


class JournalRecorder:
    """Implements `aegis.identity.recorder.Recorder`."""

    def record(self, entry: Entry) -> None:
        stream = stream_of(entry.principal.kind, entry.principal.ref)
        context = Context(stream=stream, scope="access", scope_id=entry.principal.ref)
        journal.append(context, [_draft(entry)], entry.at)

    def unknown_name(self, entry: Entry) -> None:
        record_unknown_name(_draft(entry), entry.at)

    def denied(self, actor: Actor, what: str, error: AegisError, at: datetime) -> None:
        deny(actor, what, error, at)


def _draft(entry: Entry) -> Draft:
    payloads = {name: canonical.dump(text) for name, text in entry.texts.items()}
    return Draft(entry.type, entry.actor, data=entry.data, payloads=payloads)
