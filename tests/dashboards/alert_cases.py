"""For each alert, series that make it fire and series that come near and don't, in promtool's notation."""

from dataclasses import dataclass

Series = dict[str, str]

JOB = 'job="glasshouse"'
UP = {f"up{{{JOB}}}": "1x300"}


@dataclass(frozen=True)
class Case:
    """An alert, and whether it fires at `at`, with one sample a minute."""

    alert: str
    fires: Series
    silent: Series
    at: str = "60m"
    every: str = "1m"  # how often rules are evaluated


def _requests(status: str, values: str, *, method: str = "GET", route: str = "/blog/", kind: str = "count") -> Series:
    labels = f'{JOB}, http_request_method="{method}", http_route="{route}", http_response_status_code="{status}"'
    return {f"http_server_request_duration_seconds_{kind}{{{labels}}}": values}


def _bucket(metric: str, labels: str, le: str, values: str) -> Series:
    return {f'{metric}_bucket{{{JOB}, {labels}le="{le}"}}': values}


def _counter(name: str, labels: str, values: str) -> Series:
    return {f"{name}{{{', '.join(filter(None, (JOB, labels)))}}}": values}


def _check(check: str, outcome: str, values: str) -> Series:
    return _counter("config_readiness_checks_total", f'check="{check}", outcome="{outcome}"', values)


def _denied(values: str) -> Series:
    return _counter("audit_events_total", 'action="audit.ledger.read_denied", outcome="denied"', values)


_WAIT = "celery_task_queue_wait_seconds"
_BEAT = 'task="blog.publish_due_posts", queue="default"'

CASES = [
    # --- requests
    Case(
        "HttpRouteFails",
        {**_requests("200", "0+50x60"), **_requests("500", "0+5x60")},
        {**_requests("200", "0+100x60"), **_requests("500", "0+5x60")},
    ),
    Case(
        "MigrationsUnapplied",
        _check("migrations", "failed", "0+4x60"),
        {**_check("migrations", "failed", "0x60"), **_check("database", "failed", "0+4x60")},
    ),
    Case(
        "ReadinessCheckFails",
        _check("redis", "failed", "0+4x60"),
        {**_check("redis", "failed", "0x50 0+1x9"), **_check("migrations", "failed", "0+4x60")},
        at="51m",
    ),
    Case(
        "MaintenanceTurnsAway",
        _counter("ops_maintenance_turned_away_total", 'kind="http"', "0+1x60"),
        _counter("ops_maintenance_turned_away_total", 'kind="http"', "9x60"),
    ),
    # --- tasks
    Case("CeleryWorkersGone", _counter("celery_workers", "", "1x10 0x50"), _counter("celery_workers", "", "1x60")),
    Case(
        "CeleryBeatSilent",
        _counter("celery_task_sent_total", _BEAT, "0+1x30 30x30"),
        _counter("celery_task_sent_total", _BEAT, "0+1x60"),
    ),
    Case(
        "CeleryTasksFail",
        {
            **_counter("celery_task_started_total", 'task="blog.warm_cache"', "0+10x60"),
            **_counter("celery_task_failed_total", 'task="blog.warm_cache", exception="KeyError"', "0+1x60"),
        },
        {
            **_counter("celery_task_started_total", 'task="blog.warm_cache"', "0+30x60"),
            **_counter("celery_task_failed_total", 'task="blog.warm_cache", exception="KeyError"', "0+1x60"),
        },
    ),
    Case(
        "CeleryQueueLong",
        _counter("celery_queue_length", 'queue="mail"', "101x60"),
        {
            **_counter("celery_queue_length", 'queue="mail"', "100x60"),
            **_counter("celery_queue_length", 'queue="images"', "0x45 500x15"),
        },
    ),
    Case(
        "CeleryQueueWaitLong",
        {
            **_bucket(_WAIT, 'task="t", queue="mail", ', "30", "0+9x60"),
            **_bucket(_WAIT, 'task="t", queue="mail", ', "60", "0+10x60"),
            **_bucket(_WAIT, 'task="t", queue="mail", ', "+Inf", "0+10x60"),
        },
        {
            **_bucket(_WAIT, 'task="t", queue="mail", ', "30", "0+97x60"),
            **_bucket(_WAIT, 'task="t", queue="mail", ', "60", "0+100x60"),
            **_bucket(_WAIT, 'task="t", queue="mail", ', "+Inf", "0+100x60"),
        },
    ),
    Case(
        "CeleryOldestMessageOld",
        _counter("celery_queue_oldest_message_age_seconds", 'queue="default"', "0+60x60"),
        _counter("celery_queue_oldest_message_age_seconds", 'queue="default"', "300x60"),
    ),
    Case(
        "TasksGivenUp",
        {**UP, **_counter("tasks_dead_total", 'task="blog.warm_cache"', "_x50 1x10")},
        {**UP, **_counter("tasks_dead_total", 'task="blog.warm_cache"', "3x60")},
    ),
    Case(
        "TaskAttemptsLost",
        _counter("tasks_lost_attempts_total", 'task="t"', "0x40 0+1x20"),
        _counter("tasks_lost_attempts_total", 'task="t"', "0x50 1x10"),
    ),
    Case(
        "TaskPublishFails",
        _counter("tasks_publish_failures_total", 'task="t"', "0+1x60"),
        _counter("tasks_publish_failures_total", 'task="t"', "0x55 1x5"),
    ),
    # --- sockets
    Case(
        "SocketsGone",
        {
            **_counter("config_processes", 'process="sockets", release="0.1.0"', "1x30 0x30"),
            **_counter("config_processes", 'process="web", release="0.1.0"', "1x60"),
        },
        {
            **_counter("config_processes", 'process="sockets", release="0.1.0"', "1x30 0x30"),
            **_counter("config_processes", 'process="sockets", release="0.2.0"', "0x30 1x30"),
        },
    ),
    Case(
        "SocketsDropMessages",
        _counter("channel_layer_dropped_messages_total", 'reason="slow_consumer"', "0+1x60"),
        {
            **_counter("channel_layer_dropped_messages_total", 'reason="slow_consumer"', "0x55 0+1x5"),
            **_counter("channel_layer_dropped_messages_total", 'reason="disconnected"', "0+1x60"),
        },
    ),
    Case(
        "PushesDropped",
        _counter("notifications_push_dropped_total", 'reason="failed"', "0+1x60"),
        _counter("notifications_push_dropped_total", 'reason="failed"', "0x55 0+1x5"),
    ),
    # --- the ledger
    Case(
        "LedgerWriteFails",
        {**UP, **_counter("audit_write_failures_total", 'reason="database"', "_x58 1x2")},
        {**UP, **_counter("audit_write_failures_total", 'reason="database"', "7x60")},
    ),
    Case(
        "LedgerCaptureIncomplete",
        {**_check("ledger", "warning", "0+4x60"), **_check("ledger", "failed", "0x60")},
        {**_check("ledger", "warning", "0x54 0+4x6"), **_check("ledger", "ok", "0+4x60")},
    ),
    Case(
        "LedgerSilent",
        {**_requests("302", "0+1x60", method="POST"), **_counter("audit_events_total", 'action="a.b.c"', "9x60")},
        {
            **_requests("302", "0+1x60", method="POST"),
            **_counter("audit_events_total", 'action="a.b.c"', "9x40 9+1x20"),
        },
    ),
    Case("LedgerDenialsUnusual", _denied("0x1500 0+3x30"), _denied("0+3x1530"), at="1525m", every="5m"),
    # --- PostgreSQL and Redis
    Case("PostgresDown", {'pg_up{job="postgresql"}': "1x30 0x30"}, {'pg_up{job="postgresql"}': "1x60"}),
    Case(
        "PostgresConnectionsNearLimit",
        {
            'pg_stat_database_numbackends{job="postgresql", instance="a", datname="glasshouse"}': "150x60",
            'pg_stat_database_numbackends{job="postgresql", instance="a", datname="postgres"}': "11x60",
            'pg_settings_max_connections{job="postgresql", instance="a", server="b"}': "200x60",
        },
        {
            'pg_stat_database_numbackends{job="postgresql", instance="a", datname="glasshouse"}': "160x60",
            'pg_settings_max_connections{job="postgresql", instance="a", server="b"}': "200x60",
        },
    ),
    Case(
        "PostgresTransactionLong",
        {'pg_stat_activity_max_tx_duration{job="postgresql", datname="glasshouse", state="active"}': "0+60x60"},
        {
            'pg_stat_activity_max_tx_duration{job="postgresql", datname="glasshouse", state="active"}': "600x60",
            'pg_stat_activity_max_tx_duration{job="postgresql", datname="glasshouse", state="idle"}': "0+60x60",
        },
    ),
    Case(
        "PostgresDeadlocks",
        {'pg_stat_database_deadlocks{job="postgresql", datname="glasshouse"}': "0x50 1x10"},
        {'pg_stat_database_deadlocks{job="postgresql", datname="glasshouse"}': "5x60"},
    ),
    Case("RedisDown", {'redis_up{job="redis"}': "1x30 0x30"}, {'redis_up{job="redis"}': "1x60"}),
    Case(
        "RedisMemoryHigh",
        {'redis_memory_used_bytes{job="redis"}': "91x60", 'redis_memory_max_bytes{job="redis"}': "100x60"},
        {
            'redis_memory_used_bytes{job="redis"}': "90x60",
            'redis_memory_max_bytes{job="redis"}': "100x60",
            'redis_memory_used_bytes{job="unbounded"}': "91x60",
            'redis_memory_max_bytes{job="unbounded"}': "0x60",
        },
    ),
    Case(
        "RedisRejectsConnections",
        {'redis_rejected_connections_total{job="redis"}': "0x57 2x3"},
        {'redis_rejected_connections_total{job="redis"}': "2x60"},
    ),
    # --- telemetry
    Case("Watchdog", UP, {}, at="1m"),
    Case("PlatformDown", {f"up{{{JOB}}}": "1x30 0x30"}, UP),
    Case(
        "TargetDown",
        {'up{job="redis", instance="redis-exporter:9121"}': "1x30 0x30"},
        {'up{job="redis", instance="redis-exporter:9121"}': "1x57 0x3", f"up{{{JOB}}}": "0x60"},
    ),
    Case(
        "RulesFail",
        {'prometheus_rule_evaluation_failures_total{job="prometheus", rule_group="slo"}': "0+1x60"},
        {'prometheus_rule_evaluation_failures_total{job="prometheus", rule_group="slo"}': "4x60"},
    ),
    Case(
        "NotificationsFail",
        {'prometheus_notifications_errors_total{job="prometheus", alertmanager="a"}': "0+1x60"},
        {'alertmanager_notifications_failed_total{job="alertmanager", integration="webhook"}': "0x57 1x3"},
    ),
    Case(
        "CollectorRefuses",
        {'otelcol_receiver_refused_spans_total{job="collector", receiver="otlp"}': "0+1x60"},
        {'otelcol_receiver_refused_log_records_total{job="collector", receiver="fluent_forward"}': "0x57 1x3"},
    ),
    Case(
        "CollectorExportsFail",
        {'otelcol_exporter_send_failed_log_records_total{job="collector", exporter="otlp_http/loki"}': "0+1x60"},
        {'otelcol_exporter_send_failed_spans_total{job="collector", exporter="otlp_grpc/tempo"}': "0x57 1x3"},
    ),
    Case(
        "CollectorQueueFull",
        {
            'otelcol_exporter_queue_size{job="collector", exporter="otlp_grpc/tempo"}': "81x60",
            'otelcol_exporter_queue_capacity{job="collector", exporter="otlp_grpc/tempo"}': "100x60",
        },
        {
            'otelcol_exporter_queue_size{job="collector", exporter="otlp_grpc/tempo"}': "80x60",
            'otelcol_exporter_queue_capacity{job="collector", exporter="otlp_grpc/tempo"}': "100x60",
        },
    ),
    Case(
        "SpansDropped",
        _counter("telemetry_spans_dropped_total", 'reason="OTLPSpanExporter_failed"', "0+1x60"),
        _counter("telemetry_spans_dropped_total", 'reason="trace_limit"', "0+1x60"),
    ),
    Case(
        "LogLinesDropped",
        _counter("telemetry_log_lines_dropped_total", 'reason="full"', "0+1x60"),
        _counter("telemetry_log_lines_dropped_total", 'reason="full"', "0x55 0+1x5"),
    ),
    Case(
        "MetricSeriesRefused",
        _counter("telemetry_metric_series_refused_total", 'metric="chat_messages_total"', "0+1x60"),
        _counter("telemetry_metric_series_refused_total", 'metric="chat_messages_total"', "5x60"),
    ),
    Case(
        "TelemetryHooksFail",
        _counter("telemetry_faults_total", 'hook="http_client"', "0+1x60"),
        _counter("telemetry_faults_total", 'hook="http_client"', "5x60"),
    ),
]
