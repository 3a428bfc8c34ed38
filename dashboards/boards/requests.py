"""PromQL on requests and tasks that more than one dashboard asks for."""

# Probes and scrapes are nobody's requests.
SERVED = 'job="$job", http_route!~"/healthz/.*|/metrics"'
COUNT = "http_server_request_duration_seconds_count"
BUCKET = "http_server_request_duration_seconds_bucket"
RATE = "[$__rate_interval]"
OLDEST_MESSAGE = 'max(celery_queue_oldest_message_age_seconds{job="$job"})'


def per_second(labels: str = SERVED) -> str:
    """Return the rate of requests."""
    return f"sum(rate({COUNT}{{{labels}}}{RATE}))"


def error_share(labels: str = SERVED, by: str = "", *, moved: str = "") -> str:
    """Return the share of requests that end as server errors; nought where there are none, nothing without requests."""
    grouped = f"sum by ({by}) " if by else "sum"
    failed = f'{grouped}(rate({COUNT}{{{labels}, http_response_status_code=~"5.."}}{RATE}{moved}))'
    every = f"{grouped}(rate({COUNT}{{{labels}}}{RATE}{moved}))"
    return f"({failed} or 0 * {every}) / ({every} > 0)"


def quantile(q: float, metric: str, labels: str, by: str = "", *, moved: str = "") -> str:
    """Return a quantile of a histogram; nothing where nothing happened."""
    grouped = f"sum by (le, {by})" if by else "sum by (le)"
    return f"histogram_quantile({q}, {grouped} (rate({metric}_bucket{{{labels}}}{RATE}{moved}))) >= 0"


def rate_by(metric: str, labels: str, by: str = "") -> str:
    """Return a counter's rate, by a label."""
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{{{labels}}}{RATE}))"


def or_nought(expr: str) -> str:
    """Return an expression that is 0 where it had no series: a counter with labels has none before its first event."""
    return f"({expr}) or vector(0)"


def by_class(labels: str = SERVED) -> str:
    """Return the rate of requests by the class of their status, such as 2xx."""
    renamed = (
        f'label_replace(rate({COUNT}{{{labels}}}{RATE}), "class", "${{1}}xx", "http_response_status_code", "(.)..")'
    )
    return f"sum by (class) ({renamed})"
