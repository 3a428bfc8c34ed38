"""Alerts reach whom they should, and causes silence what follows from them."""

import re
from typing import Any

import pytest
import yaml

from tests.dashboards import tools
from tests.dashboards.rule_files import alerts
from tests.dashboards.tools import DASHBOARDS

FILE = DASHBOARDS / "alertmanager" / "alertmanager.yml"
CONFIG: dict[str, Any] = yaml.safe_load(FILE.read_text())


def test_amtool_finds_no_fault() -> None:
    done = tools.run("amtool", "check-config", FILE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_goes_to_the_receiver_of_its_severity(name: str) -> None:
    severity = alerts()[name]["labels"]["severity"]
    expected = "watchdog" if name == "Watchdog" else {"critical": "pages", "warning": "tickets"}[severity]
    done = tools.run(
        *("amtool", "config", "routes", "test", f"--config.file={FILE}", f"--verify.receivers={expected}"),
        *(f"alertname={name}", f"severity={severity}", "job=glasshouse"),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def inhibited(source: dict[str, str], target: dict[str, str]) -> bool:
    """Return whether one alert silences another, as Alertmanager decides it."""
    for rule in CONFIG["inhibit_rules"]:
        if not _matches(rule["source_matchers"], source) or not _matches(rule["target_matchers"], target):
            continue
        if all(source.get(label) == target.get(label) for label in rule.get("equal", [])):
            return True
    return False


def _matches(matchers: list[str], labels: dict[str, str]) -> bool:
    for matcher in matchers:
        parsed = re.fullmatch(r"(\w+) (=~|=) (.*)", matcher)
        assert parsed, matcher
        label, operator, value = parsed.groups()
        given = labels.get(label, "")
        if not (given == value if operator == "=" else re.fullmatch(value, given)):
            return False
    return True


def alert(name: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "job": "glasshouse", **labels}


@pytest.mark.parametrize(
    ("cause", "follows"),
    [
        (alert("SloBudgetBurnsFast", slo="latency"), alert("SloBudgetBurnsSlowly", slo="latency")),
        (alert("PlatformDown"), alert("CeleryWorkersGone")),
        ({"alertname": "PostgresDown", "job": "postgresql"}, alert("HttpRouteFails", http_route="/")),
        ({"alertname": "PostgresDown", "job": "postgresql"}, alert("SloBudgetBurnsFast", slo="availability")),
        ({"alertname": "RedisDown", "job": "redis"}, alert("SocketsDropMessages", reason="over_capacity")),
        (alert("MaintenanceTurnsAway"), alert("HttpRouteFails", http_route="/")),
        (alert("CeleryWorkersGone"), alert("CeleryQueueLong", queue="mail")),
        (alert("TargetDown", job="collector"), alert("SpansDropped")),
    ],
)
def test_a_cause_silences_what_follows(cause: dict[str, str], follows: dict[str, str]) -> None:
    assert inhibited(cause, follows)
    assert not inhibited(follows, cause)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (alert("SloBudgetBurnsFast", slo="latency"), alert("SloBudgetBurnsSlowly", slo="delivery")),
        (alert("TargetDown", job="redis"), alert("SpansDropped")),
        ({"alertname": "RedisDown", "job": "redis"}, alert("LedgerWriteFails")),
        (alert("PlatformDown"), {"alertname": "PostgresDown", "job": "postgresql"}),
    ],
)
def test_what_has_a_cause_of_its_own_is_told(one: dict[str, str], other: dict[str, str]) -> None:
    assert not inhibited(one, other)


def test_nothing_silences_itself_or_the_watchdog() -> None:
    for name in alerts():
        assert not inhibited(alert(name), alert(name))
        assert not inhibited(alert(name), alert("Watchdog"))


def test_every_alert_that_a_rule_of_inhibition_names_exists() -> None:
    for rule in CONFIG["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            label, _, value = matcher.partition(" ")
            if label == "alertname":
                for name in value.lstrip("=~ ").split("|"):
                    assert any(re.fullmatch(name, known) for known in alerts()), name


def test_alerts_are_grouped_and_told_again() -> None:
    route = CONFIG["route"]
    assert "alertname" in route["group_by"]
    assert {"group_wait", "group_interval", "repeat_interval"} <= route.keys()
