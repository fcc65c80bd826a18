"""The event types of alerts: streams `alert:<episode>` and `silence:<id>`, under the scope of what was counted."""

from __future__ import annotations

from audit.catalogue import EventType

#: alert: name of the rule; episode: id.
_EPISODE = ("alert", "episode")
#: start: the window's first hour since 1970 (of a state the hour it was seen in); milli: thousandths.
_FOUND = ("start", "hours", "value_milli", "rests_on", "center_milli?", "spread_milli?", "samples?")

TYPES = (
    EventType(
        "alert.fired",
        "The alert {data.alert} fires",
        "governance",
        fields=(*_EPISODE, *_FOUND, "digest", "silenced?"),  # digest: of the rule's document; silenced: id of the silence
        payloads={"finding": "business"},  # the group, and what was found in words
        tone="red",
    ),
    EventType(
        "alert.continued",
        "The alert {data.alert} goes on, for {data.windows} windows by now",
        "governance",
        fields=(*_EPISODE, *_FOUND, "windows", "announced?"),  # announced: the silence is over, so it is told now
        payloads={"finding": "business"},
        tone="red",
    ),
    EventType(
        "alert.acknowledged",
        "{actor} took on the alert {data.alert}",
        "governance",
        fields=_EPISODE,
        payloads={"note": "personal"},
        tone="amber",
    ),
    EventType(
        "alert.noted",
        "{actor} noted something about the alert {data.alert}",
        "governance",
        fields=_EPISODE,
        payloads={"note": "personal"},
    ),
    EventType(
        "alert.resolved",
        "The alert {data.alert} is over",
        "governance",
        fields=(
            *_EPISODE,
            "because",
            "windows",
            "start?",
        ),  # because: over, changed, removed, unreadable; start: of the window that was in order
        tone="green",
        unless=("because", "removed", "The rule of the alert {data.alert} was removed"),
    ),
    EventType(
        "silence.placed",
        "{actor} silenced the alert {data.alert} until {data.until}",
        "governance",
        fields=("alert", "silence", "until", "episode?"),  # episode: the one whose group alone is silenced
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "silence.lifted",
        "{actor} ended the silence of the alert {data.alert}",
        "governance",
        fields=("alert", "silence"),
        payloads={"reason": "personal"},
        tone="blue",
    ),
)
