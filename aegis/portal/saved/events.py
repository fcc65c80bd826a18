"""What is on record of saved views: what others see of them, and what leaves by mail. Names and filters are what somebody
typed, so they are payloads."""

from __future__ import annotations

from audit.catalogue import EventType

_SENTENCES = {
    "view.shared": "{actor} shared a saved view of {data.page} with {data.group}",
    "view.renamed": "{actor} renamed a saved view of {data.page} that {data.group} sees",
    "view.unshared": "{actor} took a saved view of {data.page} back from {data.group}",
    "view.deleted": "{actor} deleted a saved view of {data.page} that {data.group} saw",
}

TYPES = (
    *(
        EventType(name, sentence, "access", ("view", "page", "group"), payloads={"name": "personal"})
        for name, sentence in _SENTENCES.items()
    ),
    EventType(
        "view.subscribed",
        "{actor} asked to be told by mail of new events in a saved view of {data.page}",
        "access",
        ("view", "page"),
        payloads={"name": "personal", "query": "personal"},
    ),
    EventType(
        "view.unsubscribed",
        "{actor} ended mail about new events in a saved view of {data.page}",
        "access",
        ("view", "page", "people"),
        payloads={"name": "personal"},
    ),
)
