"""Requests: rate, errors, duration, and which routes stand out."""

from dashboards.boards.board import Board, Row
from dashboards.boards.panels import KEPT, Query, heat, lines, link_to, number, rising, rows
from dashboards.boards.requests import (
    BUCKET,
    COUNT,
    RATE,
    SERVED,
    by_class,
    error_share,
    or_nought,
    per_second,
    quantile,
    rate_by,
)

_DURATION = "http_server_request_duration_seconds"
_JOB = 'job="$job"'
_FAILED = SERVED + ', error_type!=""'
_TO_ROUTE = ("This route", "/d/glasshouse-route?var-route=${__data.fields.http_route}&" + KEPT)
_SERIES_TO_ROUTE = ("This route", "/d/glasshouse-route?var-route=${__field.labels.http_route}&" + KEPT)

BOARD = Board(
    uid="glasshouse-http",
    title="Requests",
    description="Rate, errors and duration of HTTP requests, and the routes that stand out.",
    family="http",
    rows=[
        Row(
            "Now",
            [
                number("Requests", "Per second.", "reqps", Query(per_second(), "requests"), size=(6, 4)),
                number(
                    "Server errors",
                    "The share of requests that end with 5xx.",
                    "percentunit",
                    Query(error_share(), "errors"),
                    thresholds=rising(0.001, 0.01),
                    no_value="No requests",
                    decimals=2,
                    link=link_to("glasshouse-slo", "Promises"),
                    size=(6, 4),
                ),
                number(
                    "p95",
                    "95 of 100 requests take no longer.",
                    "s",
                    Query(quantile(0.95, _DURATION, SERVED), "p95"),
                    thresholds=rising(0.25, 0.5),
                    no_value="No requests",
                    size=(6, 4),
                ),
                number(
                    "In flight",
                    "Requests that are being served now. Web processes that are all busy let the rest wait.",
                    "none",
                    Query(f"sum(http_server_active_requests{{{_JOB}}})", "in flight"),
                    size=(6, 4),
                ),
            ],
        ),
        Row(
            "Rate, errors, duration",
            [
                lines("Rate", "By the class of the status.", "reqps", Query(by_class(), "{{class}}"), is_stacked=True),
                lines(
                    "Errors",
                    "The share of server errors, by route; a route leads to its own dashboard.",
                    "percentunit",
                    Query(f"({error_share(by='http_route')}) > 0 or vector(0)", "{{http_route}}"),
                    series_link=_SERIES_TO_ROUTE,
                ),
                lines(
                    "Duration",
                    "A point is one request, and leads to its trace.",
                    "s",
                    *(
                        Query(quantile(q, _DURATION, SERVED), name, has_exemplars=True)
                        for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
                    ),
                ),
                heat(
                    "How durations lie",
                    "How many requests took how long. Two bands are two kinds of requests, as with a cache.",
                    "s",
                    f"sum by (le) (rate({BUCKET}{{{SERVED}}}{RATE}))",
                ),
                lines(
                    "Refused",
                    "Requests that end with 4xx, by status: strangers, forgotten logins, limits.",
                    "reqps",
                    Query(
                        rate_by(COUNT, SERVED + ', http_response_status_code=~"4.."', "http_response_status_code"),
                        "{{http_response_status_code}}",
                    ),
                    size=(12, 9),
                ),
            ],
        ),
        Row(
            "Routes",
            [
                rows(
                    "Most time spent",
                    "Seconds of work a second, by route: what to make faster first. A route leads to its dashboard.",
                    "s",
                    Query(f"topk(15, sum by (http_route) (rate({_DURATION}_sum{{{SERVED}}}{RATE})))", "{{http_route}}"),
                    series_link=_TO_ROUTE,
                ),
                rows(
                    "Slowest",
                    "p95 by route.",
                    "s",
                    Query(f"topk(15, {quantile(0.95, _DURATION, SERVED, 'http_route')})", "{{http_route}}"),
                    series_link=_TO_ROUTE,
                ),
                rows(
                    "Most asked for",
                    "Requests a second, by route.",
                    "reqps",
                    Query(f"topk(15, {rate_by(COUNT, SERVED, 'http_route')})", "{{http_route}}"),
                    series_link=_TO_ROUTE,
                ),
                rows(
                    "Errors by type",
                    "Server errors by route and exception.",
                    "reqps",
                    Query(
                        or_nought(f"topk(15, {rate_by(COUNT, _FAILED, 'http_route, error_type')} > 0)"),
                        "{{http_route}} {{error_type}}",
                    ),
                    series_link=_TO_ROUTE,
                ),
            ],
        ),
        Row(
            "At the door and beyond",
            [
                lines(
                    "In flight",
                    "By method.",
                    "none",
                    Query(
                        f"sum by (http_request_method) (http_server_active_requests{{{_JOB}}})",
                        "{{http_request_method}}",
                    ),
                ),
                lines(
                    "Turned away",
                    "By maintenance mode, by the throttle of logins, and foreign request ids that were replaced.",
                    "ops",
                    Query(rate_by("ops_maintenance_turned_away_total", _JOB, "kind"), "maintenance: {{kind}}"),
                    Query(rate_by("accounts_logins_throttled_total", _JOB), "logins throttled"),
                    Query(rate_by("telemetry_request_ids_refused_total", _JOB), "request ids replaced"),
                ),
                lines(
                    "Calls out",
                    "p95 of HTTP calls to others, by address; 0 where there are none.",
                    "s",
                    Query(
                        or_nought(quantile(0.95, "http_client_request_duration_seconds", _JOB, "server_address")),
                        "{{server_address}}",
                    ),
                ),
            ],
        ),
    ],
)
