"""The addresses that notices and episodes carry lead to pages that there are."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.urls import resolve

from approvals.alerts import addresses
from audit.alerts import rules
from audit.alerts.evaluation import Finding
from audit.alerts.rules import Absence, Count, Figure, NewValue, Rule, Threshold


def test_an_episode_and_the_episodes_of_a_rule_have_their_pages() -> None:
    assert resolve(addresses.episode(UUID(int=7))).view_name == "alerts:episode"
    assert resolve(addresses.of_rule("a rule & more").partition("?")[0]).view_name == "alerts:list"
    assert addresses.of_rule("a rule & more").endswith("?rule=a+rule+%26+more")


@pytest.mark.parametrize(
    ("condition", "group", "query"),
    [
        (Threshold(Count(Figure("runs", ("failed",))), above=1), (), "figure=runs%2Ffailed&from=2026-11-02T08%3A00Z"),
        (Threshold(Count(Figure("runs", ("", ""))), above=1), ("a/b",), "figure=runs%2F%2Fa%252Fb&from=2026-11-02T08%3A00Z"),
        (Absence(Figure("runs")), (), "figure=runs&from=2026-10-26T08%3A00Z"),
        (Threshold(Count(Figure("runs", ("", ""))), above=1), ("",), "figure=runs%2F%2F%21&from=2026-11-02T08%3A00Z"),
        (Threshold(Count(Figure("runs", ("", ""))), above=1), ("!",), "figure=runs%2F%2F%2521&from=2026-11-02T08%3A00Z"),
        (NewValue(Figure("runs", ("", ""))), ("no",), "figure=runs%2F%2Fno&from=2026-11-02T08%3A00Z"),
    ],
)
def test_the_list_behind_a_finding_is_what_was_counted_in_its_window(
    condition: rules.Condition, group: tuple[str, ...], query: str
) -> None:
    rule = Rule("one", condition, 1, (1,) if group else ())
    start = 498_224  # 2026-11-02 08:00
    found = Finding("one", group, start, 1, 2, 2)

    address = addresses.behind(rule, found)

    assert f"{query}&to=2026-11-02T09%3A00Z" in address
    assert address.startswith("/audit/?")
    assert resolve("/audit/").view_name == "audit:list"
