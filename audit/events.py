"""The event types of access, export and the system itself."""

from __future__ import annotations

from audit.catalogue import EventType

TYPES = (
    EventType(
        "access.signed_in", "{actor} signed in", "access", fields=("method",), payloads={"client": "personal"}, tone="green"
    ),
    EventType(
        "access.sign_in_failed",
        "A sign-in as {data.person} failed: {data.code}",
        "access",
        fields=("person?", "code"),  # person: user id if the name is known; the name as typed is the payload
        payloads={"name": "personal", "client": "personal"},
        tone="amber",
    ),
    EventType("access.signed_out", "{actor} signed out", "access"),
    EventType(
        "access.denied",
        "{actor} was refused {data.what}: {data.code}",
        "access",
        fields=("what", "right", "code"),  # what: the verb tried ("grants.grant"); right: the one missing, if one is
        payloads={"detail": "personal"},
        tone="red",
    ),
    EventType(
        "denial.repeated",
        "{actor} was refused {data.what} {data.count} more times within ten minutes",
        "access",
        fields=("what", "right", "code", "count", "first_at", "last_at"),
        tone="red",
    ),
    EventType(
        "access.granted",
        "{actor} gave {data.group} the right to “{data.right}” on {data.what}",
        "access",
        fields=("group", "right", "what", "object?"),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "access.revoked",
        "{actor} took from {data.group} the right to “{data.right}” on {data.what}",
        "access",
        fields=("group", "right", "what", "object?"),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "access.founded",
        "The first people of this installation were put into {data.group}",
        "access",
        fields=("group", "people"),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "access.group_joined",
        "{actor} put {data.person} into {data.group}",
        "access",
        fields=("person", "group"),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "access.group_created",
        "{actor} created the group {data.group}",
        "access",
        fields=("group",),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "access.group_left",
        "{actor} took {data.person} out of {data.group}",
        "access",
        fields=("person", "group"),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "access.person_created",
        "{actor} created an account for {data.person}",
        "access",
        fields=("person", "groups?"),
        payloads={"reason": "personal", "person": "personal"},  # person: user name, name, address
        tone="amber",
    ),
    EventType(
        "access.person_disabled",
        "{actor} disabled the account of {data.person}",
        "access",
        fields=("person", "keys_revoked?"),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "access.person_enabled",
        "{actor} enabled the account of {data.person}",
        "access",
        fields=("person",),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "access.key_created",
        "{actor} created API key {data.prefix} for {data.person}",
        "access",
        fields=("person", "prefix", "expires_at"),
        payloads={"reason": "personal", "label": "personal"},
        tone="amber",
    ),
    EventType(
        "access.key_revoked",
        "{actor} revoked API key {data.prefix} of {data.person}",
        "access",
        fields=("person", "prefix"),
        payloads={"reason": "personal"},
        tone="amber",
    ),
    EventType(
        "access.right_taken",
        "{actor} took “{data.right}” on {data.area} in an emergency, until {data.until}",
        "access",
        fields=("taken", "person", "area", "right", "until"),
        payloads={"reason": "personal"},
        tone="red",
    ),
    EventType(
        "access.taken_right_ended",
        "“{data.right}” on {data.area}, taken by {data.person}, ended",
        "access",
        fields=("taken", "person", "area", "right", "how"),  # how: given_back, taken_away, time
        payloads={"reason": "personal"},
        tone="green",
    ),
    EventType(
        "access.taken_right_reviewed",
        "{actor} reviewed what {data.person} did with “{data.right}” on {data.area}: {data.verdict}",
        "access",
        fields=("taken", "person", "area", "right", "verdict"),
        payloads={"reason": "personal"},
        tone="blue",
    ),
    EventType(
        "access.password_changed", "{actor} changed the password of {data.person}", "access", fields=("person",), tone="amber"
    ),
    EventType(
        "audit.searched",
        "{actor} searched the audit",
        "access",
        fields=("filters", "digest"),  # names of the filters used; what was looked for is the payload
        payloads={"query": "personal"},
    ),
    EventType(
        "journal.verified",
        "{actor} verified the journal: {data.checked} events, {outcome}",
        "system",
        fields=("stream", "checked", "erased", "faults", "first_bad"),
        tone="blue",
    ),
    EventType(
        "journal.protected",
        "{actor} put back {data.count} append-only triggers that were missing or changed",
        "system",
        fields=("count", "faults"),
        tone="red",
    ),
    EventType(
        "payload.erased",
        "{actor} erased {data.count} payloads",
        "governance",
        fields=("places", "count", "basis"),
        payloads={"reason": "business"},
        tone="amber",
    ),
    EventType(
        "export.created",
        "{actor} exported {data.rows} rows of {data.what}",
        "access",
        fields=("what", "rows", "digest"),
        payloads={"query": "personal", "reason": "personal"},
        tone="amber",
    ),
    EventType(
        "export.refused",
        "{actor} was refused an export of {data.what}: {data.code}",
        "access",
        fields=("what", "code"),
        tone="red",
    ),
    EventType("system.started", "AEGIS started, release {data.release}", "system", fields=("release", "process")),
    EventType("system.stopped", "AEGIS stopped", "system", fields=("process",)),
    EventType("system.migrated", "AEGIS moved to release {data.release}", "system", fields=("release",)),
    EventType(
        "system.bootstrapped",
        "AEGIS was set up with its first configuration",
        "system",
        fields=("documents?",),
    ),
)
