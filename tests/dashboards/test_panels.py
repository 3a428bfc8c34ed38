"""Each panel's query, asked of a real Prometheus beside a platform that people use and that things happen to."""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from config import parts
from config.embedded import addresses, postgres
from config.processes import Process, Program, stop_all
from tests.conftest import WaitUntil
from tests.dashboards import tools
from tests.dashboards.board_files import Asked, queries
from tests.dashboards.prometheus_server import Prometheus, running_prometheus
from tests.dashboards.promql import metrics_in
from tests.dashboards.tools import DASHBOARDS
from tests.dashboards.traffic import Traffic, settle
from tests.live import LivePlatform

pytestmark = pytest.mark.own_platform  # whose figures begin at nought, and which things happen to

FreePorts = Callable[[int], list[int]]
ASKED = list(queries())
EXPORTERS = {"pg": "prometheus-postgres-exporter", "redis": "prometheus-redis-exporter"}
# What needs a process that isn't here: its metrics' prefix, and why.
ELSEWHERE = {"otelcol": "the collector is no package of Debian; the compose stack has it"}
# What isn't made to happen within seconds. Their queries are valid and give a nought.
QUIET = {
    "celery: How far they are": "revoked and rejected tasks need operators and a broker that is away",
    "celery: What went wrong and was mended": "lost workers and brokers that are away: tests/tasks/faults has them",
    "celery: Mails": "mails are sent half an hour later",
    "channels: Lost": "notifications' pushes are lost where Redis is away",
    "http: Calls out": "the platform calls nobody by HTTP unless a collector is set",
    "stores: Wait for a connection, p95": "the pool of the sockets' process has to be used up",
    "stores: Repeated queries": "there is no N+1",
    "stores: Without the cache": "Redis has to be away",
    "stores: Memory": "Redis has no limit here",
    "telemetry: Targets down": "none is down",
    "telemetry: Spans handed on": "no span is dropped",
    "telemetry: Spans": "no span is dropped",
    "telemetry: Log lines": "no line is lost",
    "telemetry: Faults": "no hook fails",
    "telemetry: Metrics refused": "no metric has too many series",
}
# What the traffic is made for: without it, panels of what goes wrong would be proven by noughts.
HAPPENED = {
    "server errors": 'http_server_request_duration_seconds_count{http_response_status_code="500"}',
    "refusals": 'http_server_request_duration_seconds_count{http_response_status_code="404"}',
    "tasks that are tried again": "celery_task_retried_total",
    "tasks that fail for good": "celery_task_failed_total",
    "tasks that are given up": "tasks_dead_total",
    "changes undone for the ledger's sake": "audit_write_failures_total",
    "a ledger whose capture was tampered with": 'config_readiness_checks_total{check="ledger", outcome!="ok"}',
    "a failed login": 'audit_events_total{action="accounts.user.login_failed"}',
    "denials": 'audit_events_total{outcome="denied"}',
    "request ids that are refused": "telemetry_request_ids_refused_total",
    "refused sockets": 'websocket_server_connection_duration_seconds_count{websocket_close_code="4401"}',
}
# What didn't fail, an address that there isn't, a statement without a table.
EMPTY_AT_TIMES = {"error_type", "http_route", "db_collection_name"}
RATE, RANGE, WEEK = "10s", "60s", "offset 1s"


@dataclass
class Answers:
    """What Prometheus said of each expression, with the fallback on nought and without it."""

    series: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    exemplars: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)  # exporters
    happened: dict[str, float] = field(default_factory=dict)


def expression(asked: Asked) -> str:
    return re.sub(r"offset \d+[wm]", WEEK, asked.filled(__rate_interval=RATE, __range=RANGE))


def without_fallback(expr: str) -> str:
    return expr.replace(" or vector(0)", "")


@pytest.fixture(scope="module")
def answers(
    committed: None,
    running_platform: LivePlatform,
    wait_until: WaitUntil,
    free_ports: FreePorts,
    tmp_path_factory: pytest.TempPathFactory,
) -> Answers:
    """Run all, do what there is to do twice, so that each count grows while it's looked at, and ask all queries."""
    folder = tmp_path_factory.mktemp("panels")
    rules = folder / "recorded"
    rules.mkdir()
    for file in (DASHBOARDS / "rules").glob("*.yml"):
        text = re.sub(r"interval: 5m\b.*", "interval: 1s", file.read_text())
        (rules / file.name).write_text(text)
    found = Answers()
    started, jobs = start_exporters(free_ports, found.there)
    beat = parts.beat(settings.LOCAL_DIR)
    started.append(Process(beat.program, lambda name, line: None))
    (port,) = free_ports(1)
    try:
        with (
            running_prometheus(folder, running_platform.web_url, port, wait_until, jobs=jobs, rules=rules) as server,
            postgres.connect(settings.LOCAL_DIR) as superuser,
        ):
            begin = time.time()
            use(running_platform, superuser, server, wait_until)
            ask_all(server, begin, found)
    finally:
        stop_all(started)
    return found


def use(platform: LivePlatform, superuser: psycopg.Connection, server: Prometheus, wait_until: WaitUntil) -> None:
    traffic = Traffic(platform, settle(), superuser)
    try:
        traffic.open_sockets()
        for _ in range(2):
            traffic.browse()
            traffic.comment()
            traffic.fail_to_log_in()
            traffic.talk()
            traffic.leave()
            traffic.fail()
            traffic.lose_the_ledger()
            traffic.tamper()
            traffic.ask_for_tasks()
            traffic.spoil_tasks(wait_until)
            scraped(server, wait_until)
        scraped(server, wait_until)
    finally:
        traffic.close()


def scraped(server: Prometheus, wait_until: WaitUntil) -> None:
    """Wait until Prometheus has seen what happened so far, and the rules have."""
    now = time.time() + 2.5
    wait_until(lambda: server.query(f'timestamp(up{{job="glasshouse"}}) > {now}'), timeout=60)


def start_exporters(free_ports: FreePorts, there: set[str]) -> tuple[list[Process], str]:
    """Start those that are installed; return also what Prometheus has to know of them."""
    sockets = addresses.socket_directory(settings.LOCAL_DIR)
    url = f"postgresql:///{addresses.DATABASE}?host={sockets}&port={addresses.POSTGRES_PORT}&user={addresses.SUPERUSER}"
    pg_port, redis_port = free_ports(2)
    redis_address = f"unix://{addresses.redis_socket(settings.LOCAL_DIR)}"
    wanted = {
        "pg": ("postgresql", pg_port, [], {"DATA_SOURCE_NAME": url}),
        "redis": ("redis", redis_port, ["--redis.addr", redis_address], {}),
    }
    processes, jobs = [], ""
    for prefix, (job, port, arguments, environment) in wanted.items():
        program = shutil.which(EXPORTERS[prefix])
        if program is not None:
            there.add(prefix)
            command = [program, f"--web.listen-address=127.0.0.1:{port}", *arguments]
            processes.append(Process(Program(job, command, Path("/"), environment), lambda name, line: None))
            jobs += f"  - job_name: {job}\n    static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]\n"
    return processes, jobs


def ask_all(server: Prometheus, begin: float, found: Answers) -> None:
    end = time.time()
    span = {"start": f"{begin:.3f}", "end": f"{end:.3f}"}
    for asked in ASKED:
        for expr in {expression(asked), without_fallback(expression(asked))} - found.series.keys():
            found.series[expr] = server.ask("query_range", query=expr, step="1", **span)["result"]
        if asked.has_exemplars:
            found.exemplars[asked.expr] = server.ask("query_exemplars", query=expression(asked), **span)
    for what, selector in HAPPENED.items():
        last = server.query(f"sum(last_over_time({selector}[1m]))")
        found.happened[what] = float(last[0]["value"][1]) if last else 0.0


def is_elsewhere(asked: Asked, answers: Answers) -> bool:
    prefixes = {name.split("_")[0] for name in metrics_in(asked.expr)}
    for prefix in prefixes & EXPORTERS.keys():
        if prefix not in answers.there:
            tools.path_of(EXPORTERS[prefix])  # fails or skips the test
    return bool(prefixes & ELSEWHERE.keys())


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked.name} ({asked.legend})")
def test_a_panel_shows_something_finite_with_the_labels_of_its_legend(asked: Asked, answers: Answers) -> None:
    if is_elsewhere(asked, answers):
        return
    series = answers.series[expression(asked)]
    values = [float(value) for one in series for _, value in one["values"]]
    assert all(map(isfinite, values)), series
    assert values, "nothing is shown"
    if asked.name in QUIET:
        return
    proven = answers.series[without_fallback(expression(asked))]
    assert proven, "only the nought of the fallback is shown"
    for label in re.findall(r"{{(\w+)}}", asked.legend):
        has_it = [label in one["metric"] for one in proven]
        assert any(has_it) if label in EMPTY_AT_TIMES else all(has_it), (label, proven)


@pytest.mark.parametrize("asked", [one for one in ASKED if one.has_exemplars], ids=lambda asked: asked.name)
def test_a_panel_that_promises_exemplars_has_some_that_lead_to_a_trace(asked: Asked, answers: Answers) -> None:
    found = [exemplar for series in answers.exemplars[asked.expr] for exemplar in series["exemplars"]]
    assert found
    assert all(re.fullmatch(r"[0-9a-f]{32}", exemplar["labels"]["trace_id"]) for exemplar in found)


@pytest.mark.parametrize("what", HAPPENED)
def test_what_was_to_happen_did(what: str, answers: Answers) -> None:
    assert answers.happened[what] > 0


def test_what_is_left_out_is_still_on_a_dashboard() -> None:
    assert QUIET.keys() <= {asked.name for asked in ASKED}
