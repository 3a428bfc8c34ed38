"""Telemetry's own health: what it scrapes, drops and refuses, so that nobody trusts a blind eye."""

from dashboards.boards.board import Board, Row, job
from dashboards.boards.panels import Query, falling, lines, number, rising, rows
from dashboards.boards.requests import or_nought, rate_by

_JOB = 'job="$job"'
_COLLECTOR = 'job="$collector_job"'

BOARD = Board(
    uid="glasshouse-telemetry",
    title="Telemetry's own health",
    description="Targets, scrapes, the collector, and what was dropped: telemetry fails open, and counts what it lost.",
    family="telemetry",
    variables=[job("collector_job", "Collector", "otelcol_exporter_queue_size")],
    rows=[
        Row(
            "Now",
            [
                number(
                    "Targets down",
                    "Of all that Prometheus scrapes.",
                    "none",
                    Query("count(up == 0) or vector(0)", "down"),
                    thresholds=rising(1, 1),
                    size=(6, 4),
                ),
                number(
                    "Scrape takes",
                    "The platform's /metrics, which adds up all processes. It should stay far below the interval.",
                    "s",
                    Query(f"max(scrape_duration_seconds{{{_JOB}}})", "took"),
                    thresholds=rising(1, 5),
                    size=(6, 4),
                ),
                number(
                    "Series",
                    "That the platform exports. It's bounded; a jump is a new label.",
                    "none",
                    Query(f"max(scrape_samples_scraped{{{_JOB}}})", "series"),
                    thresholds=rising(10_000, 30_000),
                    size=(6, 4),
                ),
                number(
                    "Spans handed on",
                    "The share that wasn't dropped.",
                    "percentunit",
                    Query(
                        f"{rate_by('telemetry_spans_exported_total', _JOB)} / "
                        f"(({rate_by('telemetry_spans_exported_total', _JOB)} "
                        f"+ ({or_nought(rate_by('telemetry_spans_dropped_total', _JOB))})) > 0)",
                        "kept",
                    ),
                    thresholds=falling(0.9, 0.99),
                    no_value="No spans",
                    decimals=1,
                    size=(6, 4),
                ),
            ],
        ),
        Row(
            "Targets",
            [
                rows(
                    "Targets",
                    "1 is up, 0 is down.",
                    "none",
                    Query("min by (job, instance) (up)", "{{job}}"),
                    size=(8, 8),
                ),
                lines(
                    "Scrapes",
                    "How long each takes.",
                    "s",
                    Query("max by (job) (scrape_duration_seconds)", "{{job}}"),
                ),
                lines(
                    "Series",
                    "How many each target exports.",
                    "none",
                    Query("sum by (job) (scrape_samples_scraped)", "{{job}}"),
                ),
            ],
        ),
        Row(
            "The platform's own hooks",
            [
                lines(
                    "Spans",
                    "Handed on by exporter, and dropped by reason. trace_limit: one request had more than is kept.",
                    "ops",
                    Query(rate_by("telemetry_spans_exported_total", _JOB, "exporter"), "{{exporter}}"),
                    Query(or_nought(rate_by("telemetry_spans_dropped_total", _JOB, "reason")), "dropped: {{reason}}"),
                ),
                lines(
                    "Traces",
                    "By whether they were kept: sampled, for an error, as slow, or not.",
                    "ops",
                    Query(rate_by("telemetry_traces_total", _JOB, "decision"), "{{decision}}"),
                    is_stacked=True,
                ),
                lines(
                    "Log lines",
                    "Written by level, and lost.",
                    "ops",
                    Query(rate_by("telemetry_log_lines_total", _JOB, "level"), "{{level}}"),
                    Query(or_nought(rate_by("telemetry_log_lines_dropped_total", _JOB, "reason")), "lost: {{reason}}"),
                    Query(
                        or_nought(rate_by("telemetry_recent_lines_dropped_total", _JOB, "reason")),
                        "not kept for the request's page: {{reason}}",
                    ),
                ),
                lines(
                    "Faults",
                    "Hooks that failed, unnoticed by what they watch. Any is a defect.",
                    "ops",
                    Query(or_nought(rate_by("telemetry_faults_total", _JOB, "hook")), "{{hook}}"),
                ),
                lines(
                    "Metrics refused",
                    "Series beyond a metric's limit, exemplars that are too long, files that can't be read.",
                    "ops",
                    Query(
                        or_nought(rate_by("telemetry_metric_series_refused_total", _JOB, "metric")),
                        "series: {{metric}}",
                    ),
                    Query(rate_by("telemetry_metric_exemplars_refused_total", _JOB), "exemplars"),
                    Query(rate_by("telemetry_metrics_files_unreadable_total", _JOB), "files"),
                ),
                lines(
                    "Processes",
                    "That run, by kind and release.",
                    "none",
                    Query(f"sum by (process, release) (config_processes{{{_JOB}}}) > 0", "{{process}} {{release}}"),
                ),
            ],
        ),
        Row(
            "The collector",
            [
                lines(
                    "Refused",
                    "What it didn't take: it lacks memory, or its queues are full.",
                    "ops",
                    Query(
                        rate_by("otelcol_receiver_refused_spans_total", _COLLECTOR, "receiver"), "spans, {{receiver}}"
                    ),
                    Query(
                        rate_by("otelcol_receiver_refused_log_records_total", _COLLECTOR, "receiver"),
                        "lines, {{receiver}}",
                    ),
                ),
                lines(
                    "Not sent",
                    "What backends didn't take.",
                    "ops",
                    Query(
                        rate_by("otelcol_exporter_send_failed_spans_total", _COLLECTOR, "exporter"),
                        "spans, {{exporter}}",
                    ),
                    Query(
                        rate_by("otelcol_exporter_send_failed_log_records_total", _COLLECTOR, "exporter"),
                        "lines, {{exporter}}",
                    ),
                ),
                lines(
                    "Queues",
                    "How full they are.",
                    "percentunit",
                    Query(
                        f"max by (exporter) (otelcol_exporter_queue_size{{{_COLLECTOR}}} "
                        f"/ otelcol_exporter_queue_capacity{{{_COLLECTOR}}})",
                        "{{exporter}}",
                    ),
                    is_share=True,
                ),
            ],
        ),
    ],
)
