"""The home: whether users are served, tasks flow and the ledger is whole, and what to open next."""

from dashboards.boards.board import Board, Row
from dashboards.boards.panels import KEPT, Query, falling, lines, link_to, number, prose, rising, rows, states
from dashboards.boards.requests import (
    OLDEST_MESSAGE,
    SERVED,
    by_class,
    error_share,
    or_nought,
    per_second,
    quantile,
    rate_by,
)

_JOB = 'job="$job"'
_TO_HTTP = link_to("glasshouse-http", "Requests")
_TO_CELERY = link_to("glasshouse-celery", "Tasks")
_TO_LEDGER = link_to("glasshouse-ledger", "The ledger")
_TO_CHANNELS = link_to("glasshouse-channels", "Sockets")
_TO_SLO = link_to("glasshouse-slo", "Promises")
_UNDONE = or_nought(f"sum(increase(audit_write_failures_total{{{_JOB}}}[$__rate_interval]))")
_FIRING = 'ALERTS{alertstate="firing", alertname!="Watchdog"}'
_LEDGER_CHECKS = 'config_readiness_checks_total{job="$job", check="ledger", outcome="%s"}'

_STATUS = Row(
    "In five seconds",
    [
        number(
            "Are users served?",
            "The share of requests that didn't end as a server error; 0 % where its /metrics doesn't answer, "
            "and 100 % where nobody asks for anything. Red: open the requests, then the worst route.",
            "percentunit",
            Query(
                f"((1 - ({error_share()})) or vector(1)) * scalar(min(up{{{_JOB}}}) or vector(0))",
                "served",
            ),
            thresholds=falling(0.99, 0.999),
            link=_TO_HTTP,
            is_filled=True,
            decimals=2,
            size=(8, 5),
        ),
        number(
            "Do tasks flow?",
            "Whether there is a worker, and how long the oldest message has waited: slow from half a minute on, "
            "stuck from five minutes on.",
            "none",
            Query(
                f"clamp_max(2 * (sum(celery_workers{{{_JOB}}}) < bool 1) + ({OLDEST_MESSAGE} > bool 30) "
                f"+ ({OLDEST_MESSAGE} > bool 300), 2)",
                "tasks",
            ),
            mappings=states(("They flow", "green"), ("Slow", "yellow"), ("They don't", "red")),
            link=_TO_CELERY,
            is_filled=True,
            no_value="No worker was ever seen",
            size=(8, 5),
        ),
        number(
            "Is the ledger whole?",
            "Whether a change was undone since the ledger couldn't be written, and what the checks of its triggers, "
            "columns and partitions say. Seals aren't built yet, so nothing here speaks of altered rows.",
            "none",
            Query(
                "clamp_max("
                f"2 * (({_UNDONE}) > bool 0) "
                f"+ 2 * (sum(increase({_LEDGER_CHECKS % 'failed'}[$__rate_interval])) > bool 0) "
                f"+ (sum(increase({_LEDGER_CHECKS % 'warning'}[$__rate_interval])) > bool 0), 2)",
                "ledger",
            ),
            mappings=states(("It captures all", "green"), ("A check warns", "yellow"), ("It doesn't", "red")),
            link=_TO_LEDGER,
            is_filled=True,
            no_value="Not known",
            size=(8, 5),
        ),
    ],
)

_FIGURES = Row(
    "Figures",
    [
        number(
            "Alerts that fire",
            "Without the one that always does. Below they are listed, each with its runbook in Alertmanager.",
            "none",
            Query(f"count({_FIRING}) or vector(0)", "alerts"),
            thresholds=rising(1, 3),
        ),
        number(
            "Error budget left",
            "Of 30 days, of the promise that has the least left.",
            "percentunit",
            Query(f"min(slo:budget_left:ratio30d{{{_JOB}}})", "left"),
            thresholds=falling(0.1, 0.5),
            link=_TO_SLO,
            no_value="Not known yet",
            decimals=1,
        ),
        number(
            "Burn rate, 1 h",
            "How fast the worst promise uses up its budget: 1 lasts for just 30 days, 14.4 pages somebody.",
            "none",
            Query(f"max(slo:burn_rate:rate1h{{{_JOB}}})", "burn"),
            thresholds=rising(1, 14.4),
            link=_TO_SLO,
            no_value="Not known yet",
            decimals=1,
        ),
        number(
            "Requests",
            "Per second, without probes and scrapes.",
            "reqps",
            Query(per_second(), "requests"),
            link=_TO_HTTP,
        ),
        number(
            "Server errors",
            "The share of requests that end with 5xx.",
            "percentunit",
            Query(error_share(), "errors"),
            thresholds=rising(0.001, 0.01),
            link=_TO_HTTP,
            no_value="No requests",
            decimals=2,
        ),
        number(
            "95 of 100 requests within",
            "The 95th percentile of the duration.",
            "s",
            Query(quantile(0.95, "http_server_request_duration_seconds", SERVED), "p95"),
            thresholds=rising(0.25, 0.5),
            link=_TO_HTTP,
            no_value="No requests",
        ),
        number(
            "Tasks wait, p95",
            "From when a task is due to its start.",
            "s",
            Query(quantile(0.95, "celery_task_queue_wait_seconds", _JOB), "p95"),
            thresholds=rising(5, 30),
            link=_TO_CELERY,
            no_value="No tasks",
        ),
        number(
            "Oldest message",
            "How long it has waited, of all queues.",
            "s",
            Query(OLDEST_MESSAGE, "age"),
            thresholds=rising(30, 300),
            link=_TO_CELERY,
        ),
        number(
            "Tasks given up",
            "In the time that is shown. They lie among the dead letters until somebody looks.",
            "none",
            Query(or_nought(f"sum(increase(tasks_dead_total{{{_JOB}}}[$__range]))"), "dead"),
            thresholds=rising(1, 10),
            link=_TO_CELERY,
            decimals=0,
        ),
        number(
            "Ledger events",
            "Per second: changes, logins, denials, reads.",
            "ops",
            Query(rate_by("audit_events_total", _JOB), "events"),
            link=_TO_LEDGER,
        ),
        number(
            "Changes undone",
            "Since the ledger couldn't be written, in the time that is shown. It fails closed.",
            "none",
            Query(or_nought(f"sum(increase(audit_write_failures_total{{{_JOB}}}[$__range]))"), "undone"),
            thresholds=rising(1, 1),
            link=_TO_LEDGER,
            decimals=0,
        ),
        number(
            "Open sockets",
            "Of chat, notifications, tasks and the ledger's tail.",
            "none",
            Query(f"sum(websocket_server_active_connections{{{_JOB}}})", "open"),
            link=_TO_CHANNELS,
            decimals=0,
        ),
    ],
)

_GOLDEN = Row(
    "Golden signals",
    [
        lines(
            "Traffic",
            "Requests by the class of their status.",
            "reqps",
            Query(by_class(), "{{class}}"),
            is_stacked=True,
            link=_TO_HTTP,
            size=(12, 8),
        ),
        lines(
            "Errors",
            "Requests that end as server errors, by route. A route leads to its own dashboard.",
            "reqps",
            Query(
                or_nought(
                    rate_by(
                        "http_server_request_duration_seconds_count",
                        SERVED + ', http_response_status_code=~"5.."',
                        "http_route",
                    )
                ),
                "{{http_route}}",
            ),
            series_link=("This route", "/d/glasshouse-route?var-route=${__field.labels.http_route}&" + KEPT),
            size=(12, 8),
        ),
        lines(
            "Latency",
            "How long requests take; a point is one request, and leads to its trace.",
            "s",
            *(
                Query(quantile(q, "http_server_request_duration_seconds", SERVED), name, has_exemplars=q == 0.95)
                for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            link=_TO_HTTP,
            size=(12, 8),
        ),
        lines(
            "Saturation",
            "What is at work or waits: requests in flight, running tasks, messages in the queues.",
            "none",
            Query(f"sum(http_server_active_requests{{{_JOB}}})", "requests in flight"),
            Query(f"sum(celery_tasks_active{{{_JOB}}})", "tasks running"),
            Query(f"sum(celery_queue_length{{{_JOB}}})", "messages waiting"),
            size=(12, 8),
        ),
    ],
)

_DEPENDENCIES = Row(
    "What it stands on",
    [
        lines(
            "Readiness",
            "What probes found, by check, where it wasn't well. A line above 0 takes the process out of traffic.",
            "ops",
            Query(
                rate_by("config_readiness_checks_total", _JOB + ', outcome!="ok"', "check, outcome"),
                "{{check}}: {{outcome}}",
            ),
        ),
        lines(
            "Database",
            "95 of 100 statements take no longer, by kind.",
            "s",
            Query(
                quantile(0.95, "db_client_operation_duration_seconds", _JOB, "db_operation_name"),
                "{{db_operation_name}}",
            ),
            link=link_to("glasshouse-stores", "PostgreSQL and Redis"),
        ),
        lines(
            "Redis",
            "Calls of the page cache that failed: pages are slower, nothing breaks.",
            "ops",
            Query(rate_by("caching_redis_failures_total", _JOB), "failed calls"),
            link=link_to("glasshouse-stores", "PostgreSQL and Redis"),
        ),
        rows(
            "Alerts",
            "What fires now, without the one that always does.",
            "none",
            Query(
                f"sum by (alertname, severity, http_route, task, queue, slo) ({_FIRING})"
                ' or label_replace(vector(0), "alertname", "none", "", "")',
                "{{alertname}}",
            ),
            size=(12, 8),
        ),
        rows(
            "Processes",
            "What runs, by kind and release. A kind that is missing is down.",
            "none",
            Query(f"sum by (process, release) (config_processes{{{_JOB}}}) > 0", "{{process}}"),
            size=(12, 8),
        ),
    ],
)

_WAY = Row(
    "The way from here",
    [
        prose(
            "How to follow one failure",
            "Where each step leads.",
            "A figure → its dashboard → a route or a task → a point on the latency (one request) → its trace → its log "
            "lines → what the ledger holds of the request id → the request's page, which has all of it.",
            size=(24, 3),
        )
    ],
)

BOARD = Board(
    uid="glasshouse-overview",
    title="Glasshouse",
    description="Whether users are served, tasks flow and the ledger is whole.",
    family="overview",
    rows=[_STATUS, _FIGURES, _GOLDEN, _DEPENDENCIES, _WAY],
)
