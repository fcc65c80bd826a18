"""What an event changed, in the panel: by the versions of a document, of a record, or the facts of a line."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from audit import changed

ERASED = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def told(type_: str, data: dict[str, Any], erased: str = "", **bodies: str) -> Any:
    rows: Any = [
        (SimpleNamespace(name=name, erased_at=ERASED if name == erased else None), "" if name == erased else body)
        for name, body in bodies.items()
    ]
    return changed.by({"type": type_, "data": data}, rows, None)  # type: ignore[arg-type]


def rows(found: changed.Changed) -> list[tuple[str, str, str, str]]:
    return [
        (row.label, row.kind, "".join(part.text for part in row.now), "".join(part.text for part in row.proposed))
        for row in found.rows
    ]


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str, str], str]:
    kept: dict[tuple[str, str, str], str] = {}
    monkeypatch.setattr(changed, "_documents", lambda wanted: {key: kept[key] for key in wanted if key in kept})
    hiding = SimpleNamespace(values=lambda viewer, about: [{**value, "iban": "hidden"} for _, value in about])
    monkeypatch.setattr("audit.masking._masker", hiding)
    return kept


def test_a_record_is_told_by_the_versions_its_event_holds() -> None:
    found = told("effect.done", {}, before='{"status":"open","kept":1}', after='{"status":"closed","kept":1}')
    assert rows(found) == [("Status", "changed", "open", "closed")]


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_erased_side_says_so_and_tells_nothing(side: str) -> None:
    found = told("effect.done", {}, erased=side, before='{"name":"Ann"}', after='{"name":"Bob"}')
    assert found == changed.Changed(erased_at=ERASED)


def test_a_document_is_told_against_the_version_it_replaced_as_the_reader_may_see_it(
    versions: dict[tuple[str, str, str], str],
) -> None:
    versions["Agent", "clerk", "d1"] = '{"iban":"DE89","pace":1}'
    found = told("config.applied", {"kind": "Agent", "name": "clerk", "base": "d1"}, document='{"iban":"hidden","pace":5}')
    assert rows(found) == [("Pace", "changed", "1", "5")]


def test_an_unknown_base_is_said_and_nothing_is_made_up(versions: dict[tuple[str, str, str], str]) -> None:
    found = told("config.applied", {"kind": "Agent", "name": "clerk", "base": "d2"}, document='{"pace":5}')
    assert found == changed.Changed(is_untold=True)


def test_an_erased_document_is_not_told_as_removed(versions: dict[tuple[str, str, str], str]) -> None:
    found = told("config.applied", {"kind": "Agent", "name": "clerk"}, erased="document", document="{}")
    assert found == changed.Changed(erased_at=ERASED)


def test_rights_are_told_by_the_facts_of_the_line() -> None:
    assert rows(told("access.group_left", {"group": "Finance", "person": "x"})) == [("Member of", "removed", "Finance", "")]
    assert rows(told("access.group_joined", {"group": "Finance", "person": "x"})) == [("Member of", "added", "", "Finance")]
    assert [row[1] for row in rows(told("access.granted", {"group": "G", "right": "view", "what": "w"}))] == ["added"] * 3
    assert rows(told("access.person_disabled", {"person": "x"})) == [("Account", "changed", "enabled", "disabled")]


def test_other_events_change_no_such_thing() -> None:
    assert told("audit.searched", {"filters": []}, query="{}") is None
