"""Everything of one request id: its lines, its traces, its page."""

from typing import Any

from grafana_foundation_sdk.builders import dashboard, loki

from dashboards.boards.board import Board, Row, values_of
from dashboards.boards.panels import LOKI, Query, lines, log_lines, prose, traces
from dashboards.boards.requests import rate_by

LOKI_VARIABLE = dashboard.DatasourceVariable("loki").label("Lines").type("loki")
_TEMPO_VARIABLE = dashboard.DatasourceVariable("tempo").label("Traces").type("tempo")
_REQUEST_ID = dashboard.TextBoxVariable("request_id").label("Request id").default_value("")
_JOB = 'job="$job"'


def log_numbers(title: str, description: str, unit: str, expr: str, legend: str) -> Any:
    """Return a panel of lines over time that LogQL makes of log lines."""
    target = loki.Dataquery().expr(expr).ref_id("A").legend_format(legend).datasource(LOKI)
    return lines(title, description, unit, size=(12, 8)).datasource(LOKI).targets([target])


BOARD = Board(
    uid="glasshouse-logs",
    title="Logs and traces of a request",
    description="Lines and traces by request id, and the way to the ledger and the request's page.",
    family="traces",
    variables=[
        LOKI_VARIABLE,
        _TEMPO_VARIABLE,
        _REQUEST_ID,
        values_of(
            "platform",
            "Platform",
            'label_values(config_processes{job="$job"}, public_url)',
            has_all=False,
            description="Where the platform's pages are.",
        ),
    ],
    rows=[
        Row(
            "Where to go",
            [
                prose(
                    "One request",
                    "The id is in the answer's X-Request-ID, at the foot of each page and in each line.",
                    "[The request's page]($platform/ops/requests/$request_id/) has spans, statements, lines, tasks, "
                    "pushes and ledger events in one place, for an hour, and what the ledger holds for ever. "
                    "[What the ledger holds]($platform/api/audit/events/?request=$request_id) is the API's answer. "
                    "Without Loki and Tempo that page is the way: it needs neither.",
                )
            ],
        ),
        Row(
            "By request id",
            [
                log_lines(
                    "Lines",
                    "All that was written for the request, by all processes.",
                    '{service_name="glasshouse"} | request_id=`$request_id`',
                ),
                traces(
                    "Traces",
                    "Those of the request and of the tasks that it caused, as far as they were sampled.",
                    '{ span.request.id = "$request_id" }',
                ),
            ],
        ),
        Row(
            "All",
            [
                lines(
                    "Lines by level",
                    "What all processes write.",
                    "ops",
                    Query(rate_by("telemetry_log_lines_total", _JOB, "level"), "{{level}}"),
                    is_stacked=True,
                    size=(12, 8),
                ),
                lines(
                    "Traces kept",
                    "Pieces of work by whether they were sampled, or kept for an error or for being slow.",
                    "ops",
                    Query(rate_by("telemetry_traces_total", _JOB, "origin, decision"), "{{origin}}: {{decision}}"),
                    is_stacked=True,
                    size=(12, 8),
                ),
                log_lines(
                    "Errors' lines",
                    "The latest of all processes.",
                    '{service_name="glasshouse"} | level=~"error|critical"',
                    size=(24, 10),
                ),
            ],
        ),
    ],
)
