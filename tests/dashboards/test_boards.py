"""The dashboards' JSON is what the code makes, and keeps the rules that make dashboards readable and right."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards.__main__ import main, stale
from tests.dashboards import tools
from tests.dashboards.board_files import FOLDER, boards, fill, panels_of, queries, variables_in
from tests.dashboards.exported import EXPORTERS, UNSHOWN, application_families, application_metrics
from tests.dashboards.promql import metrics_in
from tests.dashboards.rule_files import recorded, rules

HOME = "glasshouse-overview"
UIDS = {HOME} | {
    f"glasshouse-{name}"
    for name in ("http", "route", "celery", "channels", "ledger", "stores", "slo", "logs", "telemetry")
}
UNITS = {"none", "reqps", "ops", "s", "ms", "percentunit", "bytes"}
OWN_VARIABLES = {"__rate_interval", "__range", "__auto", "__url_time_range", "__field", "__data", "1", "datasource"}


# --- the files ---------------------------------------------------------------------------------


def test_the_json_is_as_the_code_makes_it() -> None:
    assert stale() == []
    assert main(["--check"]) == 0


def test_the_check_sees_a_file_that_is_missing_altered_or_too_much(tmp_path: Path) -> None:
    for path in FOLDER.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text())
    assert stale(tmp_path) == []
    (tmp_path / "glasshouse-http.json").write_text(
        (tmp_path / "glasshouse-http.json").read_text().replace("p95", "p96", 1)
    )
    (tmp_path / "glasshouse-slo.json").unlink()
    (tmp_path / "handmade.json").write_text("{}")
    assert stale(tmp_path) == ["glasshouse-http.json", "glasshouse-slo.json", "handmade.json"]


def test_grafanas_own_types_know_every_key() -> None:
    """What a type doesn't know is lost when the JSON is read into it and written again."""
    for uid, board in boards().items():
        again = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(board)))
        assert list(_differences(board, again, uid)) == []


def _differences(was: Any, now: Any, at: str) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in was.keys() | (now.keys() - {"placement"}):
            yield from _differences(was.get(key), now.get(key), f"{at}.{key}")
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, (first, second) in enumerate(zip(was, now, strict=True)):
            yield from _differences(first, second, f"{at}[{index}]")
    elif was != now:
        yield f"{at}: {was!r} became {now!r}"


# --- what all have ---------------------------------------------------------------------------------


def test_there_are_ten_dashboards_with_fixed_uids_and_nobody_edits_them() -> None:
    assert boards().keys() == UIDS
    for uid, board in boards().items():
        assert board["editable"] is False, uid
        assert board["tags"][0] == "glasshouse", uid
        assert len(board["tags"]) == 2, uid
        assert board["description"], uid


def test_every_dashboard_leads_to_the_others_and_keeps_time_and_variables() -> None:
    for uid, board in boards().items():
        (link,) = board["links"]
        assert (link["type"], link["tags"]) == ("dashboards", ["glasshouse"]), uid
        assert link["keepTime"] is True, uid
        assert link["includeVars"] is True, uid


def test_data_source_and_job_are_chosen_first_and_come_from_what_is_there() -> None:
    for uid, board in boards().items():
        variables = board["templating"]["list"]
        assert [variable["name"] for variable in variables[:2]] == ["datasource", "job"], uid
        assert variables[0]["query"] == "prometheus", uid
        for variable in variables:
            if variable["type"] == "query":
                assert variable["datasource"]["uid"] == "${datasource}", uid


def test_releases_are_marked_on_every_dashboard() -> None:
    for uid, board in boards().items():
        (annotation,) = board["annotations"]["list"]
        assert "config_processes" in annotation["target"]["expr"], uid
        assert annotation["enable"], uid


# --- panels ---------------------------------------------------------------------------------


def test_every_panel_says_what_it_shows_in_which_unit() -> None:
    for uid, board in boards().items():
        for panel in panels_of(board):
            at = f"{uid}: {panel.get('title')}"
            assert panel["title"], at
            assert panel["description"], at
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, at
            for target in panel.get("targets", []):
                assert target["datasource"]["uid"] in {"${datasource}", "${loki}", "${tempo}"}, at
                assert target["datasource"] == panel["datasource"], at


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    for uid, board in boards().items():
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(numbers) == len(set(numbers)), uid
        places = [(panel["title"], panel["gridPos"]) for panel in board["panels"]]
        for (first, one), (second, other) in combinations(places, 2):
            is_apart = (
                one["x"] + one["w"] <= other["x"]
                or other["x"] + other["w"] <= one["x"]
                or one["y"] + one["h"] <= other["y"]
                or other["y"] + other["h"] <= one["y"]
            )
            assert is_apart, f"{uid}: {first} and {second}"
            assert one["x"] + one["w"] <= 24, f"{uid}: {first}"


def test_lines_have_a_legend_and_queries_of_one_panel_differ() -> None:
    for uid, board in boards().items():
        for panel in panels_of(board):
            if panel["type"] == "timeseries":
                assert panel["options"]["legend"]["showLegend"] is True, f"{uid}: {panel['title']}"
            asked = [target.get("expr", target.get("query")) for target in panel.get("targets", [])]
            assert len(asked) == len(set(asked)), f"{uid}: {panel['title']}"
            ids = [target["refId"] for target in panel.get("targets", [])]
            assert len(ids) == len(set(ids)), f"{uid}: {panel['title']}"


def test_every_link_leads_to_a_dashboard_and_to_a_variable_that_there_are() -> None:
    found = 0
    for uid, board in boards().items():
        for address in re.findall(r'"url": "(/d/[^"]+)"', json.dumps(board)):
            found += 1
            target, _, query = address.removeprefix("/d/").partition("?")
            assert target in UIDS, f"{uid}: {address}"
            there = {variable["name"] for variable in boards()[target]["templating"]["list"]}
            given = set(re.findall(r"var-(\w+)=", query)) | set(re.findall(r"\$\{(\w+):queryparam\}", query))
            assert given <= there, f"{uid}: {address}"
    assert found > 20


def test_every_variable_in_use_is_declared() -> None:
    for uid, board in boards().items():
        declared = {variable["name"] for variable in board["templating"]["list"]} | OWN_VARIABLES
        used = variables_in(json.dumps(board["panels"]))
        assert used <= declared, f"{uid}: {used - declared}"


def test_the_home_begins_with_users_tasks_and_the_ledger_and_each_leads_on() -> None:
    first = [panel for panel in panels_of(boards()[HOME]) if panel["type"] == "stat"][:3]
    assert [panel["title"] for panel in first] == ["Are users served?", "Do tasks flow?", "Is the ledger whole?"]
    led_to = [panel["links"][0]["url"].split("?")[0] for panel in first]
    assert led_to == ["/d/glasshouse-http", "/d/glasshouse-celery", "/d/glasshouse-ledger"]


# --- queries ---------------------------------------------------------------------------------


def test_promtool_reads_every_query(tmp_path: Path) -> None:
    asked = [
        {"record": f"panel:q{index}", "expr": query.filled().replace("${1}", "x")}
        for index, query in enumerate(queries())
    ]
    assert len(asked) > 150
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": asked}]}))
    done = tools.run("promtool", "check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_query_chooses_its_job_unless_it_asks_of_all() -> None:
    for query in queries():
        bare = re.findall(r"\b([a-z_:]+)\{(?![^}]*job=)([^}]*)\}", query.expr)
        assert {name for name, _ in bare} <= {"ALERTS", "slo:objective:ratio"}, query.name
        without = metrics_in(query.expr) - set(re.findall(r"([\w:]+)\{", query.expr))
        assert without <= {"up", "scrape_duration_seconds", "scrape_samples_scraped"}, query.name


def test_counters_are_read_by_their_rate_over_grafanas_interval() -> None:
    for query in queries():
        counters = {name for name in metrics_in(query.expr) if re.search(r"(_total|_bucket|_count|_sum)$", name)} - {
            "pg_locks_count"
        }
        for name in counters:
            uses = len(re.findall(rf"\b{name}\b", query.expr))
            rates = re.findall(rf"(?:rate|increase)\({name}\{{[^}}]*\}}(\[[^\]]+\])", query.expr)
            assert len(rates) == uses, f"{query.name}: {name}"
        for window in re.findall(r"\[([^\]]+)\]", query.expr):
            if window not in {".", "_"}:  # a set of characters in a matcher
                assert window in {"$__rate_interval", "$__range"}, query.name


def test_every_metric_on_a_dashboard_exists() -> None:
    known = application_metrics() | recorded() | EXPORTERS
    unknown = {query.name: metrics_in(query.expr) - known for query in queries()}
    assert {name: names for name, names in unknown.items() if names} == {}


def test_every_label_on_a_dashboard_is_one_of_its_metric() -> None:
    families = application_families()
    for query in queries():
        for name, matchers in re.findall(r"\b([a-z_]+)\{([^}]*)\}", query.expr):
            labels = families.get(re.sub(r"_(bucket|count|sum)$", "", name))
            if labels is not None:
                asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) - {"job", "le"}
                assert asked <= labels, f"{query.name}: {name}"


def test_every_family_that_is_exported_is_shown_or_watched_or_left_out_by_name() -> None:
    read = set().union(
        *(metrics_in(query.expr) for query in queries()), *(metrics_in(rule["expr"]) for rule in rules())
    )
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in read} | read
    families = set(application_families())
    assert families - shown == set(UNSHOWN)


def test_filling_in_leaves_what_is_not_grafanas() -> None:
    assert fill('rate(x{job="$job"}[$__rate_interval])') == 'rate(x{job="glasshouse"}[1m])'
    assert fill("${1}xx ${job:queryparam} $unknown", job="a") == "${1}xx a $unknown"
