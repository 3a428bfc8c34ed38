"""A real Prometheus with the configuration for `make run`, beside a running platform."""

import os
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.processes import Process, Program, stop_all
from tests.conftest import LivePlatform, WaitUntil
from tests.dashboards import tools
from tests.dashboards.rule_files import alerts
from tests.dashboards.tools import DASHBOARDS

Ask = Callable[[str], Any]


@pytest.fixture
def ask(
    live_platform: LivePlatform, free_ports: Callable[[int], list[int]], tmp_path: Path, wait_until: WaitUntil
) -> Iterator[Ask]:
    """Run Prometheus; return a function that asks its API. Only ports and intervals are other than in the file."""
    (port,) = free_ports(1)
    config = (DASHBOARDS / "prometheus" / "local.yml").read_text()
    for old, new in (
        ("127.0.0.1:8000", live_platform.web_url.removeprefix("http://")),
        ("127.0.0.1:9090", f"127.0.0.1:{port}"),
        ("scrape_interval: 5s", "scrape_interval: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
    ):
        assert old in config
        config = config.replace(old, new)
    (tmp_path / "prometheus").mkdir()
    (tmp_path / "prometheus" / "local.yml").write_text(config)
    (tmp_path / "rules").symlink_to(DASHBOARDS / "rules")
    arguments = [
        tools.path_of("prometheus"),
        f"--config.file={tmp_path / 'prometheus' / 'local.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    process = Process(Program("prometheus", arguments, tmp_path, {"PATH": os.environ["PATH"]}))

    def api(path: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{port}/api/v1/{path}").json()["data"]

    def is_up() -> bool:
        assert process.is_running, list(process.last_lines)
        try:
            return bool(api("targets"))
        except (httpx.TransportError, ValueError):
            return False

    try:
        wait_until(is_up, timeout=30)
        yield api
    finally:
        stop_all([process])


def query(ask: Ask, expression: str) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = ask("query?" + urllib.parse.urlencode({"query": expression}))["result"]
    return result


def test_a_platform_that_runs_is_scraped_and_its_rules_hold(
    ask: Ask, live_platform: LivePlatform, wait_until: WaitUntil
) -> None:
    def targets() -> dict[str, str]:
        return {target["labels"]["job"]: target["health"] for target in ask("targets")["activeTargets"]}

    wait_until(lambda: targets() == {"glasshouse": "up", "prometheus": "up"}, timeout=20)
    wait_until(lambda: query(ask, 'celery_workers{job="glasshouse"} == 1'), timeout=20)

    def promises() -> list[dict[str, Any]]:
        httpx.get(f"{live_platform.web_url}/")  # a rate needs a count before and after
        return query(ask, 'slo:error_ratio:rate5m{slo="availability"}')

    assert wait_until(promises, timeout=20)[0]["value"][1] == "0"

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
        timeout=20,
    )
    assert all("trace_id" in entry["exemplars"][0]["labels"] for entry in exemplars)
