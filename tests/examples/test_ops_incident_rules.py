"""What ops-incident computes: one scale, logs of one folder, a fix, and a platform that can be put back. No database."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from examples.ops_incident import alerts, fleet, logs, remedies
from examples.ops_incident.alerts import Incident, NotUnderstood, normalise, slug
from examples.ops_incident.logs import LogsRefused, gather
from examples.ops_incident.severity import NUMBERS, OWN_WORDS, SCALE, WORDS, on_scale, worse
from tests.conftest import SHARED

# --- one scale ---


@pytest.mark.parametrize(
    ("provider", "value", "expected"),
    [
        ("prometheus", "critical", "critical"),
        ("prometheus", " Warning ", "warning"),
        ("datadog", "P1", "critical"),
        ("datadog", 4, "low"),
        ("datadog", "4", "low"),
        ("graylog", 3, "high"),
        ("graylog", 9, None),
        ("wazuh", 7, "warning"),
        ("sentry", "fatal", "critical"),
        ("sentry", "error", "high"),
        ("netbox", "deleted", "warning"),
        ("checkly", "ALERT_FAILURE", "high"),
        ("signalfx", "Minor", "low"),
        ("grafana", "minor", "warning"),
        ("prometheus", "quite bad", None),
        ("prometheus", "", None),
        ("prometheus", True, None),
        ("prometheus", None, None),
        ("prometheus", 3, None),
        ("prometheus", ["critical"], None),
        ("datadog", "\u0664", None),  # a digit, but not one of ours
    ],
)
def test_words_and_numbers_mean_what_is_written_down_and_nothing_else(
    provider: str, value: object, expected: str | None
) -> None:
    assert on_scale(provider, value) == expected


def test_every_word_and_number_lands_on_the_scale() -> None:
    every = [*WORDS.values(), *(one for table in (*NUMBERS.values(), *OWN_WORDS.values()) for one in table.values())]

    assert set(every) <= set(SCALE)
    assert worse("low", "high") == "high"


def test_an_alert_of_an_unknown_product_is_read_by_the_usual_words_or_not_at_all() -> None:
    found = normalise("homegrown", {"title": "Disk is full", "level": "error", "service": "Big Store", "environment": "prod"})
    assert isinstance(found, Incident)
    assert (found.severity, found.symptom, found.service, found.environment) == ("high", "disk", "big-store", "production")

    assert normalise("homegrown", {"title": "?"}) == NotUnderstood(
        "no severity at severity, level, priority, urgency, labels.severity, alert.severity"
    )
    assert isinstance(normalise("homegrown", {"severity": "quite bad"}), NotUnderstood)
    assert isinstance(normalise("homegrown", ["severity"]), NotUnderstood)


@pytest.mark.parametrize(
    "payload",
    [
        {"labels": "critical"},
        {"labels": ["severity", "critical"]},
        {"labels": {"severity": {"severity": "critical"}}},
        {"labels": {"severity": "$SEVERITY"}},
        {"fields": [{"key": "severity", "value": "ERROR"}]},
    ],
)
def test_a_place_that_holds_something_else_is_no_severity(payload: dict[str, Any]) -> None:
    assert isinstance(normalise("prometheus", payload), NotUnderstood)


def test_tags_are_read_from_lists_and_from_text_alike() -> None:
    for tags in ("environment:staging, service:api", ["team:a", "environment:staging", "service:api"]):
        found = normalise("datadog", {"title": "x", "priority": "P3", "tags": tags})
        assert isinstance(found, Incident)
        assert (found.environment, found.service) == ("staging", "api")


def test_a_long_or_crooked_title_is_one_short_line() -> None:
    found = normalise("prometheus", {"labels": {"severity": "info"}, "summary": "a\n\tb " + "x" * 500})

    assert isinstance(found, Incident)
    assert found.title.startswith("a b x")
    assert len(found.title) == alerts.MAX_TITLE
    assert slug("  Production Web/Cluster \u00e9 ") == "production-web-cluster"


@pytest.mark.shared_data
def test_every_variant_of_alerts_written_by_others_is_understood() -> None:
    rows = [json.loads(line) for line in (SHARED / "ops_alerts" / "alerts.jsonl").read_text(encoding="utf-8").splitlines()]
    judged = 0
    for row in rows:
        for place, values in (row["variants"] or {"": [None]}).items():
            for value in values:
                payload = copy.deepcopy(row["payload"])
                if place:
                    below = payload
                    *path, last = place.split(".")
                    for part in path:
                        below = below.setdefault(part, {})
                    below[last] = value
                found = normalise(row["provider"], payload)
                assert isinstance(found, Incident), (row["provider"], row["name"], place, value, found)
                judged += 1
    assert judged > 100


# --- logs ---


@pytest.fixture
def root(tmp_path: Path) -> Path:
    below = tmp_path / "logs" / "staging" / "cart"
    below.mkdir(parents=True)
    (below / "app.log").write_text("INFO fine\nERROR out of memory\nWARN slow\n")
    (tmp_path / "logs" / "secret.log").write_text("ERROR password\n")
    (tmp_path / "outside.log").write_text("ERROR outside\n")
    return tmp_path / "logs"


def test_lines_that_tell_of_trouble_are_gathered_with_their_signals(root: Path) -> None:
    found = gather("staging", "cart", root=root)

    assert found.files == (("app.log", 40),)
    assert found.lines == ("app.log: ERROR out of memory", "app.log: WARN slow")
    assert found.signals == {"out_of_memory": 1}


def test_a_service_without_logs_has_no_evidence(root: Path) -> None:
    assert gather("staging", "other", root=root).files == ()
    assert gather("production", "cart", root=root).files == ()


@pytest.mark.parametrize(
    "name", ["..", ".", "", "../cart", "cart/..", "/etc", "cart\0", "Cart", "-x", "a" * 41, "cart\n", "%2e%2e"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(root: Path, name: str) -> None:
    with pytest.raises(LogsRefused):
        gather("staging", name, root=root)
    with pytest.raises(LogsRefused):
        gather(name, "cart", root=root)


def test_links_are_followed_nowhere(root: Path, tmp_path: Path) -> None:
    (root / "staging" / "cart" / "link.log").symlink_to(tmp_path / "outside.log")
    with pytest.raises(LogsRefused, match=r"link\.log"):
        gather("staging", "cart", root=root)
    (root / "staging" / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(LogsRefused, match="elsewhere"):
        gather("staging", "elsewhere", root=root)
    (root / "linked").symlink_to(root / "staging")
    with pytest.raises(LogsRefused, match="linked"):
        gather("linked", "cart", root=root)


def test_what_is_no_regular_text_file_is_refused_without_waiting_for_it(root: Path) -> None:
    os.mkfifo(root / "staging" / "cart" / "pipe.log")
    with pytest.raises(LogsRefused, match="no file"):
        gather("staging", "cart", root=root)
    (root / "staging" / "cart" / "pipe.log").unlink()
    (root / "staging" / "cart" / "core.log").write_bytes(b"a\0b")
    with pytest.raises(LogsRefused, match="no text"):
        gather("staging", "cart", root=root)


def test_of_a_huge_log_the_end_is_read_and_of_many_lines_the_last(root: Path) -> None:
    path = root / "staging" / "cart" / "app.log"
    path.write_text("ERROR first of all\n" + "x" * 200 + "\n" * 1 + "INFO filler filler\n" * 80_000 + "ERROR the last one\n")
    found = gather("staging", "cart", root=root)
    assert found.lines == ("app.log: ERROR the last one",)
    assert found.files[0][1] <= logs.MAX_BYTES

    path.write_text("".join(f"ERROR number {n} {'y' * 1000}\n" for n in range(500)))
    found = gather("staging", "cart", root=root)
    assert len(found.lines) == logs.MAX_LINES
    assert "number 499" in found.lines[-1]
    assert max(map(len, found.lines)) <= logs.MAX_LINE


def test_too_many_files_are_refused(root: Path) -> None:
    for number in range(logs.MAX_FILES):
        (root / "staging" / "cart" / f"{number}.log").write_text("")

    with pytest.raises(LogsRefused, match="at most 20"):
        gather("staging", "cart", root=root)


# --- the fix ---


def choose(**more: Any) -> remedies.Remedy | remedies.Undecided:
    return remedies.choose(**{"symptom": "other", "status": "firing", "severity": "high", "signals": {}, **more})


def test_what_the_logs_tell_weighs_more_than_the_words_of_the_alert() -> None:
    found = choose(symptom="cpu", signals={"bad_release": 3, "dependency": 1})

    assert isinstance(found, remedies.Remedy)
    assert (found.action, found.confidence) == ("service.rollback", 0.86)
    alone = choose(symptom="cpu")
    assert isinstance(alone, remedies.Remedy)
    assert (alone.action, alone.confidence) == ("service.scale", 0.5)


def test_signals_that_weigh_the_same_are_no_answer() -> None:
    assert isinstance(choose(signals={"disk_full": 2, "out_of_memory": 2}), remedies.Undecided)


def test_what_is_over_or_for_information_is_only_watched() -> None:
    for more in ({"status": "resolved"}, {"severity": "info"}):
        found = choose(symptom="disk", signals={"disk_full": 9}, **more)
        assert isinstance(found, remedies.Remedy)
        assert found.action == "service.watch"


def test_every_signal_and_symptom_has_a_fix_with_words() -> None:
    assert {name for name, _ in logs.SIGNALS} == set(remedies.FOR_SIGNAL)
    assert {name for name, _ in alerts._SYMPTOMS} | {"other"} == set(remedies.FOR_SYMPTOM)
    assert {*remedies.FOR_SIGNAL.values(), *remedies.FOR_SYMPTOM.values()} <= set(remedies.WORDS)


# --- the platform ---


@pytest.fixture
def state() -> fleet.State:
    found: fleet.State = json.loads(fleet.FLEET.seed.read_text())
    return found


@pytest.mark.parametrize("action", sorted(remedies.WORDS))
def test_every_action_can_be_put_back(state: fleet.State, action: str) -> None:
    name = "production:payments"
    before = {key: state["services"][name][key] for key in fleet.SETTINGS}

    done = fleet.act(state, name, action)
    fleet.restore(state, name, before=done["before"], revision=done["revision"])

    assert {key: state["services"][name][key] for key in fleet.SETTINGS} == before


def test_the_platform_says_no(state: fleet.State) -> None:
    state["services"]["staging:cart"]["replicas"] = fleet.MOST_REPLICAS
    for name, action in (
        ("production:nothing", "service.restart"),
        ("staging:payments", "service.restart"),
        ("production:search", "service.rollback"),
        ("staging:cart", "service.scale"),
        ("staging:cart", "service.delete"),
    ):
        with pytest.raises(fleet.Refused):
            fleet.act(state, name, action)
    done = fleet.act(state, "staging:cart", "service.restart")
    fleet.act(state, "staging:cart", "service.watch")
    with pytest.raises(fleet.Refused, match="changed again"):
        fleet.restore(state, "staging:cart", before=done["before"], revision=done["revision"])


def test_health_tells_what_a_probe_finds(state: fleet.State) -> None:
    assert fleet.health(state, "production:ledger") == []
    assert fleet.health(state, "production:nothing") is None
    assert len(fleet.health(state, "production:search") or []) == 2
    fleet.act(state, "production:search", "service.free-space")
    assert fleet.health(state, "production:search") == []
