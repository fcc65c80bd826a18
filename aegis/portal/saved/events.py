"""What is on record of saved views: only what others see of them. The name is what somebody typed, so it is a payload."""

from __future__ import annotations

from audit.catalogue import EventType

_SENTENCES = {
    "view.shared": "{actor} shared a saved view of {data.page} with {data.group}",
    "view.renamed": "{actor} renamed a saved view of {data.page} that {data.group} sees",
    "view.unshared": "{actor} took a saved view of {data.page} back from {data.group}",
    "view.deleted": "{actor} deleted a saved view of {data.page} that {data.group} saw",
}

TYPES = tuple(
    EventType(name, sentence, "access", ("view", "page", "group"), payloads={"name": "personal"})
    for name, sentence in _SENTENCES.items()
)
