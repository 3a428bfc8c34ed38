"""The names of metrics that there are: ours by the application's registry, the exporters' by name."""

import json
from io import StringIO
from typing import Any

from django.core.management import call_command

# What the exporters, the collector, Prometheus and Alertmanager tell, as far as rules and dashboards read it.
EXPORTERS = frozenset(
    {
        *("up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped"),
        *("prometheus_rule_evaluation_failures_total", "prometheus_notifications_errors_total"),
        "alertmanager_notifications_failed_total",
        *("pg_up", "pg_stat_database_numbackends", "pg_settings_max_connections"),
        *("pg_stat_activity_max_tx_duration", "pg_stat_database_deadlocks"),
        *("pg_stat_database_blks_hit", "pg_stat_database_blks_read", "pg_database_size_bytes", "pg_locks_count"),
        *("pg_stat_database_xact_commit", "pg_stat_database_xact_rollback"),
        *("redis_connected_clients", "redis_evicted_keys_total", "redis_commands_processed_total"),
        *("redis_up", "redis_memory_used_bytes", "redis_memory_max_bytes", "redis_rejected_connections_total"),
        *("otelcol_receiver_refused_spans_total", "otelcol_receiver_refused_log_records_total"),
        *("otelcol_exporter_send_failed_spans_total", "otelcol_exporter_send_failed_log_records_total"),
        *("otelcol_exporter_enqueue_failed_spans_total", "otelcol_exporter_enqueue_failed_log_records_total"),
        *("otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity"),
    }
)

# Families that no dashboard and no alert reads, each with its reason.
UNSHOWN: dict[str, str] = {}


def application_families() -> dict[str, set[str]]:
    """Return the labels of each family that the code declares, by its name."""
    return {family["name"]: set(family["labels"]) for family in _declared()}


def application_metrics() -> set[str]:
    """Return every name under which Prometheus knows a metric that the code declares."""
    names: set[str] = set()
    for family in _declared():
        if family["type"] == "histogram":
            names |= {family["name"] + suffix for suffix in ("_bucket", "_count", "_sum")}
        else:
            names.add(family["name"])
    return names


def _declared() -> list[dict[str, Any]]:
    out = StringIO()
    call_command("telemetry_metrics", format="json", stdout=out)
    families: list[dict[str, Any]] = json.loads(out.getvalue())
    return families
