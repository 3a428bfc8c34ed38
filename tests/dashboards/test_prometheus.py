"""A real Prometheus with the configuration for `make run`, beside a running platform."""

import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import WaitUntil
from tests.dashboards.prometheus_server import running_prometheus
from tests.dashboards.rule_files import alerts
from tests.live import LivePlatform

pytestmark = pytest.mark.own_platform  # to which nothing has happened

Ask = Callable[[str], Any]


@pytest.fixture
def ask(
    live_platform: LivePlatform, free_ports: Callable[[int], list[int]], tmp_path: Path, wait_until: WaitUntil
) -> Iterator[Ask]:
    """Run Prometheus; return a function that asks its API."""
    with running_prometheus(tmp_path, live_platform.web_url, free_ports(1)[0], wait_until) as server:
        yield server.ask


def query(ask: Ask, expression: str) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = ask("query?" + urllib.parse.urlencode({"query": expression}))["result"]
    return result


def test_a_platform_that_runs_is_scraped_and_its_rules_hold(
    ask: Ask, live_platform: LivePlatform, wait_until: WaitUntil
) -> None:
    def targets() -> dict[str, str]:
        return {target["labels"]["job"]: target["health"] for target in ask("targets")["activeTargets"]}

    wait_until(lambda: targets() == {"glasshouse": "up", "prometheus": "up"}, timeout=60)
    wait_until(lambda: query(ask, 'celery_workers{job="glasshouse"} == 1'), timeout=60)

    def promises() -> list[dict[str, Any]]:
        httpx.get(f"{live_platform.web_url}/")  # a rate needs a count before and after
        return query(ask, 'slo:error_ratio:rate5m{slo="availability"}')

    assert wait_until(promises, timeout=60)[0]["value"][1] == "0"

    def unevaluated() -> list[str]:
        every = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
        return [rule["name"] for rule in every if rule["health"] == "err"]

    assert unevaluated() == []
    told = {rule["name"] for group in ask("rules?type=alert")["groups"] for rule in group["rules"]}
    assert told == set(alerts())
    firing = {alert["labels"]["alertname"] for alert in ask("alerts")["alerts"] if alert["state"] == "firing"}
    assert firing == {"Watchdog"}
    (watchdog,) = (alert for alert in ask("alerts")["alerts"] if alert["labels"]["alertname"] == "Watchdog")
    assert watchdog["annotations"]["dashboard_url"] == "http://127.0.0.1:3000/d/glasshouse-telemetry"

    exemplars = wait_until(
        lambda: ask("query_exemplars?query=http_server_request_duration_seconds_bucket&start=0&end=9999999999"),
        timeout=300,
    )
    assert all("trace_id" in entry["exemplars"][0]["labels"] for entry in exemplars)
