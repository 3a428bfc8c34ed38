"""Prometheus, Tempo, Loki and Grafana: their configurations, and that they fit each other."""

import re
from typing import Any

import pytest
import yaml

from tests.dashboards import tools
from tests.dashboards.compose import services
from tests.dashboards.tools import DASHBOARDS

GRAFANA = DASHBOARDS / "grafana"


def read(*path: str) -> Any:
    return yaml.safe_load(DASHBOARDS.joinpath(*path).read_text())


@pytest.mark.parametrize("name", ["prometheus.yml", "local.yml"])
def test_promtool_finds_no_fault(name: str) -> None:
    done = tools.run("promtool", "check", "config", "--lint=all", "--lint-fatal", DASHBOARDS / "prometheus" / name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(list((DASHBOARDS / 'rules').glob('*.yml')))} rule files found" in done.stdout


def test_every_target_is_a_service_that_prometheus_can_reach() -> None:
    config = read("prometheus", "prometheus.yml")
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert jobs["glasshouse"] == ["web:8000"]  # the one whose files hold all processes' counts
    reachable = set(services()["prometheus"]["networks"])
    for (target,) in jobs.values():
        host = target.partition(":")[0]
        assert host == "127.0.0.1" or set(services()[host]["networks"]) & reachable, target
    assert "web" in services()["web"]["environment"]["ALLOWED_HOSTS"].split(",")


def test_alerts_links_come_from_the_environment_and_are_no_labels_of_what_is_sent() -> None:
    config = read("prometheus", "prometheus.yml")
    labels = config["global"]["external_labels"]
    given = services()["prometheus"]["environment"]
    for name in ("grafana", "runbooks"):
        variable = labels[name].removeprefix("${").removesuffix("}")
        assert given[variable].startswith("http")
        assert re.fullmatch(config["alerting"]["alert_relabel_configs"][0]["regex"], name)
    assert labels.keys() == read("prometheus", "local.yml")["global"]["external_labels"].keys()


def test_exemplars_are_stored_and_budgets_of_a_month_can_be_told() -> None:
    assert read("prometheus", "prometheus.yml")["storage"]["exemplars"]["max_exemplars"] > 0
    command = services()["prometheus"]["command"]
    assert "--enable-feature=exemplar-storage" in command
    assert "--web.enable-remote-write-receiver" in command  # Tempo writes there
    (kept,) = re.findall(r"--storage\.tsdb\.retention\.time=(\d+)d", " ".join(command))
    assert int(kept) > 30


def test_tempo_has_none_of_what_its_third_version_refuses() -> None:
    text = (DASHBOARDS / "tempo" / "tempo.yml").read_text()
    config = yaml.safe_load(text)
    assert config.keys() <= {"server", "distributor", "storage", "metrics_generator", "overrides", "usage_report"}
    assert not re.search("local.blocks|traces_storage|compactor|ingester", text)
    assert config["usage_report"]["reporting_enabled"] is False
    assert config["metrics_generator"]["storage"]["remote_write"][0]["url"] == "http://prometheus:9090/api/v1/write"
    assert "tempo-data:/var/tempo:rw" in services()["tempo"]["volumes"]
    paths = re.findall(r"^\s+path: (.*)$", text, re.M)
    assert all(path.startswith("/var/tempo/") for path in paths)


def test_loki_keeps_structured_metadata_and_deletes_what_is_old() -> None:
    config = read("loki", "loki.yml")
    schema = config["schema_config"]["configs"][0]
    assert (schema["store"], schema["schema"]) == ("tsdb", "v13")
    assert config["limits_config"]["allow_structured_metadata"] is True
    assert config["compactor"]["retention_enabled"] is True
    assert config["compactor"]["delete_request_store"]
    assert config["analytics"]["reporting_enabled"] is False


# --- Grafana -------------------------------------------------------------------------------------------------------


def sources(where: str) -> dict[str, dict[str, Any]]:
    found = yaml.safe_load((GRAFANA / where / "datasources" / "datasources.yml").read_text())["datasources"]
    return {source["uid"]: source for source in found}


def test_the_data_sources_are_those_of_the_compose_file() -> None:
    found = sources("provisioning")
    assert found.keys() == {"prometheus", "tempo", "loki", "alertmanager"}
    for uid, source in found.items():
        assert source["url"].startswith(f"http://{uid}:")
        assert source["editable"] is False
        assert set(services()[uid]["networks"]) & set(services()["grafana"]["networks"])
    assert [uid for uid, source in found.items() if source.get("isDefault")] == ["prometheus"]


def test_every_link_between_data_sources_leads_to_one_that_exists() -> None:
    for where in ("provisioning", "local"):
        text = (GRAFANA / where / "datasources" / "datasources.yml").read_text()
        assert set(re.findall(r"(?:datasourceUid|alertmanagerUid): (\S+)", text)) <= sources(where).keys()


def test_metrics_lead_to_traces_traces_to_lines_and_lines_to_traces_and_the_ledger() -> None:
    found = sources("provisioning")
    exemplars = found["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert {entry["name"]: entry["datasourceUid"] for entry in exemplars} == {"trace_id": "tempo", "traceID": "tempo"}
    logs = found["tempo"]["jsonData"]["tracesToLogsV2"]
    assert logs["customQuery"] is True
    assert logs["datasourceUid"] == "loki"
    fields = {field["name"]: field for field in found["loki"]["jsonData"]["derivedFields"]}
    assert (fields["Trace"]["matcherType"], fields["Trace"]["datasourceUid"]) == ("label", "tempo")
    line = '{"event":"http.request","request_id":"01a2146692a87280b10ea9d40731da4c","level":"info"}'
    for name, address in (("Ledger", "/api/audit/events/?request="), ("Request", "/ops/requests/")):
        assert re.findall(fields[name]["matcherRegex"], line) == ["01a2146692a87280b10ea9d40731da4c"]
        assert fields[name]["url"].startswith(f"$PLATFORM_URL{address}$${{__value.raw}}")
    assert services()["grafana"]["environment"]["PLATFORM_URL"] == services()["web"]["environment"]["PUBLIC_URL"]


def test_a_dollar_that_grafana_is_to_keep_is_written_twice() -> None:
    for file in GRAFANA.rglob("*.yml"):
        lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
        for name in re.findall(r"\$(\{?\w*)", "\n".join(lines).replace("$$", "")):
            assert name in {"PLATFORM_URL", "GLASSHOUSE_DASHBOARDS"}, file


def test_nobody_gets_into_grafana_without_an_account_and_nothing_leaves_it() -> None:
    given = services()["grafana"]["environment"]
    for name in (
        *("GF_AUTH_ANONYMOUS_ENABLED", "GF_USERS_ALLOW_SIGN_UP", "GF_ANALYTICS_REPORTING_ENABLED"),
        *("GF_ANALYTICS_CHECK_FOR_UPDATES", "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES"),
    ):
        assert given[name] == "false"


def test_dashboards_are_read_from_where_they_lie() -> None:
    provider = read("grafana", "provisioning", "dashboards", "dashboards.yml")["providers"][0]
    mounts = dict(volume.split(":")[1::-1] for volume in services()["grafana"]["volumes"])
    assert mounts[provider["options"]["path"]].endswith("dashboards/json")
    assert provider["allowUiUpdates"] is False
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].rpartition("/")[2]
    files = {path.name for path in (DASHBOARDS / "json").glob("*.json")}
    assert home in (files or {home})
