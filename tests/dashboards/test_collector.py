"""The collector's configuration: every reference leads somewhere, every key is known, secrets go out masked.

The collector itself isn't to be had where the tests run; the keys are those of its documentation, version 0.162.
"""

import re
from typing import Any

import pytest
import yaml

from telemetry.tracing.attributes import SAMPLING_DECISION
from tests.dashboards.compose import services
from tests.dashboards.tools import DASHBOARDS

CONFIG: dict[str, Any] = yaml.safe_load((DASHBOARDS / "collector" / "collector.yml").read_text())
KINDS = ("receivers", "processors", "exporters", "extensions")
# What may stand under a component of a type, as far as this configuration has use for it.
KEYS: dict[str, dict[str, set[str]]] = {
    "receivers": {"otlp": {"protocols"}, "fluent_forward": {"endpoint"}},
    "processors": {
        "memory_limiter": {"check_interval", "limit_percentage", "spike_limit_percentage"},
        "transform": {"error_mode", "log_statements", "trace_statements", "metric_statements"},
        "groupbyattrs": {"keys"},
        "resource": {"attributes"},
        "redaction": {"allow_all_keys", "blocked_key_patterns", "blocked_values", "summary"},
        "tail_sampling": {"decision_wait", "num_traces", "expected_new_traces_per_sec", "policies", "decision_cache"},
        "batch": {"timeout", "send_batch_size", "send_batch_max_size"},
    },
    "exporters": {
        "otlp_grpc": {"endpoint", "tls", "retry_on_failure", "sending_queue", "timeout"},
        "otlp_http": {"endpoint", "tls", "retry_on_failure", "sending_queue", "timeout"},
    },
    "extensions": {
        "health_check": {"endpoint"},
        "file_storage": {"directory", "create_directory", "compaction", "timeout"},
    },
}
QUEUE = {"enabled", "storage", "queue_size", "num_consumers", "block_on_overflow", "sizer", "batch"}
RETRY = {"enabled", "initial_interval", "max_interval", "max_elapsed_time"}
POLICIES = {
    "status_code": {"status_codes"},
    "latency": {"threshold_ms", "upper_threshold_ms"},
    "string_attribute": {"key", "values"},
    "probabilistic": {"sampling_percentage", "hash_salt"},
}


def type_of(component: str) -> str:
    return component.partition("/")[0]


def test_every_key_is_one_that_its_component_knows() -> None:
    assert CONFIG.keys() == {*KINDS, "service"}
    for kind in KINDS:
        for name, settings in CONFIG[kind].items():
            assert settings.keys() <= KEYS[kind][type_of(name)], name
    for name, exporter in CONFIG["exporters"].items():
        assert exporter["sending_queue"].keys() <= QUEUE, name
        assert exporter["retry_on_failure"].keys() <= RETRY, name


def test_every_component_that_is_used_is_defined_and_the_other_way_round() -> None:
    used: dict[str, set[str]] = {kind: set() for kind in KINDS}
    used["extensions"] = set(CONFIG["service"]["extensions"])
    for pipeline in CONFIG["service"]["pipelines"].values():
        assert pipeline.keys() == {"receivers", "processors", "exporters"}
        for kind, names in pipeline.items():
            used[kind] |= set(names)
    assert used == {kind: set(CONFIG[kind]) for kind in KINDS}
    assert CONFIG["service"]["pipelines"].keys() == {"traces", "logs"}


def test_what_is_to_be_sent_survives_a_stop_of_backends_and_of_the_collector() -> None:
    for name, exporter in CONFIG["exporters"].items():
        storage = exporter["sending_queue"]["storage"]
        assert storage in CONFIG["service"]["extensions"], name
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s", name  # never given up but for want of room
        directory = CONFIG["extensions"][storage]["directory"]
        assert f"collector-queue:{directory}:rw" in services()["otel-collector"]["volumes"]


def test_each_pipeline_limits_first_redacts_before_it_decides_and_batches_last() -> None:
    for name, pipeline in CONFIG["service"]["pipelines"].items():
        processors = pipeline["processors"]
        assert processors[0] == "memory_limiter", name
        assert processors[-1] == "batch", name
        assert "redaction" in processors, name
    traces = CONFIG["service"]["pipelines"]["traces"]["processors"]
    assert traces.index("redaction") < traces.index("tail_sampling") < traces.index("batch")


def test_traces_that_failed_or_were_slow_are_kept_and_a_share_of_the_rest() -> None:
    policies = {policy["type"]: policy for policy in CONFIG["processors"]["tail_sampling"]["policies"]}
    assert policies.keys() == POLICIES.keys()
    for kind, policy in policies.items():
        assert policy.keys() == {"name", "type", kind}
        assert policy[kind].keys() <= POLICIES[kind]
    assert policies["status_code"]["status_code"]["status_codes"] == ["ERROR"]
    assert policies["latency"]["latency"]["threshold_ms"] == 1_000  # as TELEMETRY_SLOW_SECONDS has it
    assert policies["string_attribute"]["string_attribute"]["key"] == SAMPLING_DECISION
    assert 0 < policies["probabilistic"]["probabilistic"]["sampling_percentage"] < 100


def patterns(key: str) -> list[re.Pattern[str]]:
    """Return the collector's expressions; in its configuration `$$` stands for `$`."""
    texts = [text.replace("$$", "$") for text in CONFIG["processors"]["redaction"][key]]
    assert not any(re.search(r"\(\?[=!<]", text) for text in texts), "Go's expressions look neither ahead nor back"
    return [re.compile(text) for text in texts]


@pytest.mark.parametrize(
    "name", ["password", "http.request.header.authorization", "api_key", "access_token", "sessionid", "csrftoken"]
)
def test_a_value_under_a_secrets_name_is_masked(name: str) -> None:
    assert any(pattern.search(name) for pattern in patterns("blocked_key_patterns"))


@pytest.mark.parametrize("name", ["http.route", "token_id", "session_id_hash", "db.query.text", "request.id", "keys"])
def test_what_is_no_secret_is_kept(name: str) -> None:
    assert not any(pattern.search(name) for pattern in patterns("blocked_key_patterns"))


@pytest.mark.parametrize(
    "value",
    [
        "Authorization: Bearer abcdefgh.ijklmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "redis://:hunter2@redis:6379/0",
        "postgresql://glasshouse_app:hunter2@postgres/glasshouse",
        "gh_abcdefghijklmnop",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
    ],
)
def test_a_secret_in_a_text_is_masked(value: str) -> None:
    assert any(pattern.search(value) for pattern in patterns("blocked_values"))


@pytest.mark.parametrize(
    "value",
    ["SELECT 1", "/blog/how-we-work/", "http://127.0.0.1:8000/ws/", "a basic thing", "high_water_mark_of_all_time"],
)
def test_a_text_without_secrets_is_left(value: str) -> None:
    assert not any(pattern.search(value) for pattern in patterns("blocked_values"))


def test_addresses_lead_to_services_of_the_compose_file() -> None:
    for exporter in CONFIG["exporters"].values():
        host = re.sub(r"^https?://", "", exporter["endpoint"]).partition(":")[0]
        assert host in services()
        assert set(services()[host]["networks"]) & set(services()["otel-collector"]["networks"])
    address = services()["web"]["logging"]["options"]["fluentd-address"]
    assert CONFIG["receivers"]["fluent_forward"]["endpoint"].endswith(address.rpartition(":")[2])
    assert any(port.startswith(address) for port in services()["otel-collector"]["ports"])


def test_its_own_metrics_have_the_names_that_rules_read() -> None:
    reader = CONFIG["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    assert reader["without_type_suffix"] is False  # …_total
    assert reader["without_units"] is True
    scraped = yaml.safe_load((DASHBOARDS / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped}
    assert targets["collector"] == [f"otel-collector:{reader['port']}"]
