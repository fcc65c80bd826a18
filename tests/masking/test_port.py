"""What the port gives a reader: every payload there is, and every value of a run, without any page in between."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audit import masking
from audit.models import Event, Payload
from tests.masking.canaries import claim, leaks

pytestmark = pytest.mark.django_db(transaction=True)


def shown_to(person: Any) -> str:
    """Every payload as `person` may see it, and the events that a search of theirs passes over."""
    rows = Payload.objects.exclude(stream__startswith="config:").filter(erased_at__isnull=True)
    told = masking.shown(person, rows.values_list("stream", "seq", "name", "body"))
    return "\n".join(json.dumps(json.loads(row.body), ensure_ascii=False) for row in told)


def searchable_by(person: Any) -> str:
    """The payloads in which a search of a person looks, as they stand."""
    hidden = masking.masker().unsearchable(person)
    events = Event.objects.exclude(stream__startswith="config:")
    places = {(one.stream, one.seq) for one in (events.exclude(hidden) if hidden is not None else events)}
    return "\n".join(row.body for row in Payload.objects.all() if (row.stream, row.seq) in places)


def test_no_payload_shows_or_is_searched_for_a_sensitive_value_without_the_right(everything, zoe, nia):
    assert leaks(shown_to(zoe)) == []
    assert leaks(searchable_by(zoe)) == []
    assert leaks(shown_to(nia))
    assert leaks(searchable_by(nia))
    assert claim("x")["plain"] in shown_to(zoe)
