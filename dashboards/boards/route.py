"""One route, beside itself a week before."""

from dashboards.boards.board import Board, Row, values_of
from dashboards.boards.logs import LOKI_VARIABLE, log_numbers
from dashboards.boards.panels import Query, heat, lines, log_lines, number, rising
from dashboards.boards.requests import BUCKET, COUNT, RATE, error_share, quantile, rate_by

_DURATION = "http_server_request_duration_seconds"
_ROUTE = 'job="$job", http_route="$route"'
_WEEK = " offset 1w"

BOARD = Board(
    uid="glasshouse-route",
    title="One route",
    description="One route's rate, errors and duration beside last week's, its time in the database, its lines.",
    family="http",
    variables=[
        values_of("route", "Route", f'label_values({COUNT}{{job="$job"}}, http_route)', has_all=False),
        LOKI_VARIABLE,
    ],
    rows=[
        Row(
            "Now",
            [
                number("Requests", "Per second.", "reqps", Query(rate_by(COUNT, _ROUTE), "requests"), size=(8, 4)),
                number(
                    "Server errors",
                    "The share that ends with 5xx.",
                    "percentunit",
                    Query(error_share(_ROUTE), "errors"),
                    thresholds=rising(0.001, 0.01),
                    no_value="No requests",
                    decimals=2,
                    size=(8, 4),
                ),
                number(
                    "p95",
                    "95 of 100 requests take no longer.",
                    "s",
                    Query(quantile(0.95, _DURATION, _ROUTE), "p95"),
                    thresholds=rising(0.25, 0.5),
                    no_value="No requests",
                    size=(8, 4),
                ),
            ],
        ),
        Row(
            "Rate, errors, duration",
            [
                lines(
                    "Rate",
                    "Last week is dashed.",
                    "reqps",
                    Query(rate_by(COUNT, _ROUTE), "now"),
                    Query(f"sum(rate({COUNT}{{{_ROUTE}}}{RATE}{_WEEK}))", "last week"),
                    dashed="/last week/",
                ),
                lines(
                    "Errors",
                    "The share of server errors; last week is dashed.",
                    "percentunit",
                    Query(error_share(_ROUTE), "now"),
                    Query(error_share(_ROUTE, moved=_WEEK), "last week"),
                    dashed="/last week/",
                ),
                lines(
                    "Duration",
                    "A point is one request, and leads to its trace; last week is dashed.",
                    "s",
                    Query(quantile(0.5, _DURATION, _ROUTE), "p50"),
                    Query(quantile(0.95, _DURATION, _ROUTE), "p95", has_exemplars=True),
                    Query(quantile(0.95, _DURATION, _ROUTE, moved=_WEEK), "p95 last week"),
                    dashed="/last week/",
                ),
                heat(
                    "How durations lie",
                    "How many requests took how long.",
                    "s",
                    f"sum by (le) (rate({BUCKET}{{{_ROUTE}}}{RATE}))",
                ),
                lines(
                    "Answers",
                    "By method and status.",
                    "reqps",
                    Query(
                        rate_by(COUNT, _ROUTE, "http_request_method, http_response_status_code"),
                        "{{http_request_method}} {{http_response_status_code}}",
                    ),
                    is_stacked=True,
                    size=(12, 9),
                ),
            ],
        ),
        Row(
            "Lines",
            [
                log_numbers(
                    "Time in the database",
                    "Of each sampled request, on average; the rest is Python, templates and caches.",
                    "ms",
                    'avg_over_time({service_name="glasshouse"} | route=`$route` | statements_ms != "" '
                    "| unwrap statements_ms [$__auto])",
                    "statements",
                ),
                log_numbers(
                    "Statements",
                    "How many a sampled request runs, on average.",
                    "none",
                    'avg_over_time({service_name="glasshouse"} | route=`$route` | statements != "" '
                    "| unwrap statements [$__auto])",
                    "statements",
                ),
                log_lines(
                    "Errors' lines",
                    "Each leads to its trace, to what the ledger holds of the request, and to the request's page.",
                    '{service_name="glasshouse"} | route=`$route` | status >= 500',
                    size=(24, 10),
                ),
            ],
        ),
    ],
)
