"""Alerts fire when they should, stay silent when they should, and lead to a page and a runbook that exist."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.schedule import BEAT_SCHEDULE
from tests.dashboards import tools
from tests.dashboards.alert_cases import CASES, Case, Series
from tests.dashboards.exported import EXPORTERS, application_metrics
from tests.dashboards.promql import metrics_in
from tests.dashboards.rule_files import FILES, alerts, recorded, rules
from tests.dashboards.tools import DASHBOARDS

SEVERITIES = {"critical", "warning", "none"}
SLOS = {"availability", "latency", "task-success", "task-wait", "delivery"}
EXTERNAL = {"grafana": "http://grafana", "runbooks": "http://runbooks"}
HEADINGS = ["## What it means", "## How to confirm", "## How to fix"]


def run_promtool(
    folder: Path, tests: list[dict[str, Any]], files: Sequence[Path] = FILES, *, every: str = "1m"
) -> tuple[bool, str]:
    """Run unit tests of rules; return whether they pass, and what promtool says."""
    file = folder / "unit.yml"
    content = {"rule_files": list(map(str, files)), "evaluation_interval": every, "tests": tests}
    file.write_text(yaml.safe_dump(content, default_flow_style=False))
    done = tools.run("promtool", "test", "rules", file)
    return done.returncode == 0, done.stdout + done.stderr


def unit(name: str, series: Series, **expectations: Any) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "external_labels": EXTERNAL,
        **expectations,
    }


def firing(alert: str, at: str, *, is_firing: bool, labels: str = "") -> dict[str, Any]:
    return {
        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"{labels}}}) > bool 0',
        "eval_time": at,
        "exp_samples": [{"labels": "{}", "value": 1}] if is_firing else [],
    }


def file_of(alert: str) -> Path:
    return next(file for file in FILES if f"- alert: {alert}\n" in file.read_text())


def test_promtool_finds_no_fault_in_the_rules() -> None:
    done = tools.run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *FILES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} | {"SloBudgetBurnsFast", "SloBudgetBurnsSlowly"} == set(alerts())
    assert len(CASES) == len({case.alert for case in CASES})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_and_stays_silent(case: Case, tmp_path: Path) -> None:
    fires = unit("fires", case.fires, promql_expr_test=[firing(case.alert, case.at, is_firing=True)])
    silent = unit("silent", case.silent, promql_expr_test=[firing(case.alert, case.at, is_firing=False)])
    tests = [fires] if case.alert == "Watchdog" else [fires, silent]
    passed, told = run_promtool(tmp_path, tests, [file_of(case.alert)], every=case.every)
    assert passed, told


@pytest.mark.parametrize("alert", ["CeleryWorkersGone", "CeleryBeatSilent", "SocketsGone", "PlatformDown"])
def test_what_is_not_there_at_all_fires_too(alert: str, tmp_path: Path) -> None:
    passed, told = run_promtool(
        tmp_path,
        [unit("absent", {}, promql_expr_test=[firing(alert, "30m", is_firing=True)])],
        [file_of(alert)],
    )
    assert passed, told


# --- SLOs ----------------------------------------------------------------------------------------------------------

JOB = 'job="glasshouse"'
SLO_FILE = DASHBOARDS / "rules" / "slo.yml"


def events(slo: str, good: str, bad: str) -> Series:
    """Return series with so many good and bad events, as values of promtool, for an SLO."""
    if slo == "availability":
        name = f'http_server_request_duration_seconds_count{{{JOB}, http_route="/", http_response_status_code="%s"}}'
        return {name % "200": good, name % "500": bad}
    if slo == "task-success":
        return {f"celery_task_succeeded_total{{{JOB}}}": good, f"celery_task_failed_total{{{JOB}}}": bad}
    if slo == "delivery":
        return {
            f'channel_layer_delivery_seconds_bucket{{{JOB}, le="0.5"}}': good,
            f"channel_layer_delivery_seconds_count{{{JOB}}}": good,
            f'channel_layer_dropped_messages_total{{{JOB}, reason="slow_consumer"}}': bad,
        }
    metric, le = {
        "latency": ("http_server_request_duration_seconds", "0.5"),
        "task-wait": ("celery_task_queue_wait_seconds", "10.0"),
    }[slo]
    # Of two kinds, one is always in time and one never.
    return {
        f'{metric}_bucket{{{JOB}, kind="good", le="{le}"}}': good,
        f'{metric}_count{{{JOB}, kind="good"}}': good,
        f'{metric}_bucket{{{JOB}, kind="bad", le="{le}"}}': "0x200",
        f'{metric}_count{{{JOB}, kind="bad"}}': bad,
    }


# How many bad ones among 10,000 a minute give a burn rate of 20, of 4 and of half.
BAD = {"availability": (200, 40, 5), "delivery": (200, 40, 5), "latency": (2_000, 400, 50)}
BAD |= {"task-wait": (2_000, 400, 50), "task-success": (1_000, 200, 25)}


@pytest.mark.parametrize("slo", sorted(SLOS))
def test_a_budget_that_burns_fast_pages_and_one_that_burns_slowly_makes_a_ticket(slo: str, tmp_path: Path) -> None:
    fast, slow, within = BAD[slo]
    label = f', slo="{slo}"'

    def case(name: str, bad: int, at: str, *, pages: bool, tickets: bool) -> dict[str, Any]:
        series = events(slo, f"0+{10_000 - bad}x200", f"0+{bad}x200")
        expected = [
            firing("SloBudgetBurnsFast", at, is_firing=pages, labels=label),
            firing("SloBudgetBurnsSlowly", at, is_firing=tickets, labels=label),
        ]
        return unit(name, series, promql_expr_test=expected)

    passed, told = run_promtool(
        tmp_path,
        [
            case("fast", fast, "70m", pages=True, tickets=True),
            case("slow", slow, "3h", pages=False, tickets=True),
            case("within", within, "3h", pages=False, tickets=False),
        ],
        [SLO_FILE],
        every="5m",
    )
    assert passed, told


def test_a_burn_that_is_over_pages_no_more_and_few_errors_never_do(tmp_path: Path) -> None:
    """The short window ends the page; one of three requests at night isn't worth one."""
    over = events("availability", "0+100x4000", "0+50x60 3000x140")
    few = events("availability", "0x360 0+1x20 20x20", "0x360 0+1x5 5x20")
    many = events("availability", "0x360 0+2x20 20x20", "0x360 0+4x5 20x20")
    page = "SloBudgetBurnsFast"
    passed, told = run_promtool(
        tmp_path,
        [
            unit("burns", over, promql_expr_test=[firing(page, "55m", is_firing=True)]),
            unit("over", over, promql_expr_test=[firing(page, "100m", is_firing=False)]),
            unit("few", few, promql_expr_test=[firing(page, "375m", is_firing=False)]),
            unit("many", many, promql_expr_test=[firing(page, "375m", is_firing=True)]),
        ],
        [SLO_FILE],
        every="5m",
    )
    assert passed, told


def test_whom_maintenance_turns_away_the_budget_is_not_charged_for(tmp_path: Path) -> None:
    failing = events("availability", "0+50x200", "0+50x200")
    turned_away = {f'ops_maintenance_turned_away_total{{{JOB}, kind="http"}}': "0+50x200"}
    passed, told = run_promtool(
        tmp_path,
        [
            unit("fails", failing, promql_expr_test=[firing("SloBudgetBurnsFast", "70m", is_firing=True)]),
            unit(
                "maintenance",
                failing | turned_away,
                promql_expr_test=[firing("SloBudgetBurnsFast", "70m", is_firing=False)],
            ),
        ],
        [SLO_FILE],
        every="5m",
    )
    assert passed, told


def test_the_budget_that_is_left_is_told(tmp_path: Path) -> None:
    half = events("availability", "0+9995x200", "0+5x200")
    none = events("availability", "0+100x200", "_x200")
    left = "round(slo:budget_left:ratio30d{slo='availability'}, 0.01)"
    labels = '{job="glasshouse", slo="availability"}'

    def expect(value: float) -> list[dict[str, Any]]:
        return [{"expr": left, "eval_time": "3h", "exp_samples": [{"labels": labels, "value": value}]}]

    passed, told = run_promtool(
        tmp_path,
        [
            unit("half", half, promql_expr_test=expect(0.5)),
            unit("no error, not even a series of them", none, promql_expr_test=expect(1)),
        ],
        [SLO_FILE],
        every="5m",
    )
    assert passed, told


def test_every_promise_has_an_objective_and_its_events() -> None:
    said: dict[str, set[str]] = {}
    for rule in rules():
        if "slo" in rule.get("labels", {}):
            said.setdefault(rule["record"], set()).add(rule["labels"]["slo"])
    assert said == dict.fromkeys(("slo:objective:ratio", "slo:total:rate5m", "slo:bad:rate5m"), SLOS)


# --- what an alert tells -------------------------------------------------------------------------------------------


def test_every_alert_has_a_severity_a_summary_a_dashboard_and_a_runbook() -> None:
    for name, alert in alerts().items():
        assert alert["labels"].keys() == {"severity"}, name
        assert alert["labels"]["severity"] in SEVERITIES, name
        assert alert["annotations"].keys() == {"summary", "description", "dashboard_url", "runbook_url"}, name
        assert re.match(r"{{ \$externalLabels\.grafana }}/d/glasshouse-[a-z]+", alert["annotations"]["dashboard_url"])


def test_every_runbook_says_what_it_means_how_to_confirm_and_how_to_fix() -> None:
    prefix = "{{ $externalLabels.runbooks }}/"
    named = {alert["annotations"]["runbook_url"].removeprefix(prefix) for alert in alerts().values()}
    files = {path.name: path.read_text() for path in (DASHBOARDS / "runbooks").glob("*.md")}
    index = files.pop("README.md")
    assert named == files.keys()
    for name, text in files.items():
        assert [line for line in text.splitlines() if line.startswith("## ")] == HEADINGS, name
        assert f"]({name})" in index, name


def test_every_dashboard_and_variable_that_an_alert_links_to_exists() -> None:
    boards = [json.loads(path.read_text()) for path in (DASHBOARDS / "json").glob("*.json")]
    variables = {board["uid"]: {variable["name"] for variable in board["templating"]["list"]} for board in boards}
    for name, alert in alerts().items():
        _, uid, *query = re.split(r"/d/|\?", alert["annotations"]["dashboard_url"])
        assert uid in variables, name
        assert set(re.findall(r"var-(\w+)=", "".join(query))) <= variables[uid], name


def test_every_text_of_an_alert_is_filled_in(tmp_path: Path) -> None:
    """promtool tells what fired where nothing was expected to: there the texts are as people get them."""
    told = ""
    for file in FILES:
        cases = [case for case in CASES if file_of(case.alert) == file]
        tests = [
            unit(
                case.alert,
                case.fires,
                alert_rule_test=[{"eval_time": case.at, "alertname": case.alert, "exp_alerts": []}],
            )
            for case in cases
        ]
        passed, told_of_file = run_promtool(tmp_path, tests, [file])
        assert passed == (not tests)
        told += told_of_file
    rendered = re.findall(r'summary="([^"]*)"', told)
    assert len(rendered) >= len(CASES), told
    assert [text for text in re.findall(r'="([^"]*)"', told) if re.search(r"{{|no value|error expanding", text)] == []
    assert "http://runbooks/http-route-fails.md" in told
    assert "/blog/: 9.091% of the requests end as server errors" in rendered


# --- what rules read -----------------------------------------------------------------------------------------------


def test_every_metric_that_a_rule_reads_exists() -> None:
    known = application_metrics() | recorded() | EXPORTERS
    unknown = {(rule.get("alert") or rule["record"]): metrics_in(rule["expr"]) - known for rule in rules()}
    assert {name: names for name, names in unknown.items() if names} == {}


def test_metrics_are_found_in_expressions() -> None:
    expression = 'sum by (job, le) (rate(a_total{b=~"c(d)"}[5m] offset 1h)) / on (job) group_left () x:y:z > 0 or up'
    assert metrics_in(expression) == {"a_total", "x:y:z", "up"}
    assert metrics_in("histogram_quantile(0.9, sum(rate(h_bucket[10m])) by (le)) > bool 1e3") == {"h_bucket"}
    assert all(metrics_in(rule["expr"]) for rule in rules() if "vector(" not in rule["expr"])


def test_the_task_that_shows_that_beat_works_is_sent_each_minute() -> None:
    task = "blog.publish_due_posts"
    assert task in alerts()["CeleryBeatSilent"]["expr"]
    assert BEAT_SCHEDULE[task]["task"] == task
    assert BEAT_SCHEDULE[task]["schedule"].minute == set(range(60))
