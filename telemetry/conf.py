"""Telemetry's settings, one function each."""

import ipaddress
from functools import cache
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

MOST_LEAVES = 500  # statements, cache operations and calls of one piece of work that become spans
_SHORTEST_SECRET = 8  # what is shorter stands in too many words
_SLOW_SECONDS = {"http": 1.0, "websocket": 1.0, "task": 30.0, "command": 600.0}


def service_name() -> str:
    """Return `TELEMETRY_SERVICE_NAME`, the resource's `service.name`."""
    return str(getattr(settings, "TELEMETRY_SERVICE_NAME", "django"))


def process() -> str:
    """Return `TELEMETRY_PROCESS`: what this process is, such as `web`, `worker` or `command`."""
    return str(getattr(settings, "TELEMETRY_PROCESS", "command"))


def environment() -> str:
    """Return `TELEMETRY_ENVIRONMENT`, the resource's `deployment.environment.name`."""
    return str(getattr(settings, "TELEMETRY_ENVIRONMENT", "development"))


def release() -> str:
    """Return `RELEASE`, the resource's `service.version`."""
    return str(getattr(settings, "RELEASE", ""))


def redis_url() -> str:
    """Return `TELEMETRY_REDIS_URL`, where recent spans are kept; empty keeps none."""
    return str(getattr(settings, "TELEMETRY_REDIS_URL", ""))


def sample_ratio() -> float:
    """Return `TELEMETRY_SAMPLE_RATIO`, the share of new traces that are recorded, from 0 to 1."""
    return float(getattr(settings, "TELEMETRY_SAMPLE_RATIO", 1.0))


def sampling_rules() -> list[tuple[str, float]]:
    """Return `TELEMETRY_SAMPLING_RULES`: patterns such as `http /blog/*` or `task tasks.*`, each with a share."""
    return [(str(pattern), float(ratio)) for pattern, ratio in getattr(settings, "TELEMETRY_SAMPLING_RULES", ())]


@cache
def slow_ns(origin: str) -> int:
    """Return from when on work is slow, and kept though unsampled (`TELEMETRY_SLOW_SECONDS`), in nanoseconds."""
    seconds: dict[str, float] = {**_SLOW_SECONDS, **getattr(settings, "TELEMETRY_SLOW_SECONDS", {})}
    return round(seconds.get(origin, 1.0) * 1e9)


@cache
def repeats_allowed() -> int:
    """Return `TELEMETRY_REPEATS_ALLOWED`: how often one query may run for one request before it's called an N+1."""
    return int(getattr(settings, "TELEMETRY_REPEATS_ALLOWED", 10))


@cache
def shows_server_timing() -> bool:
    """Whether everybody gets `Server-Timing` (`TELEMETRY_SERVER_TIMING`, else `DEBUG`); staff always do."""
    return bool(getattr(settings, "TELEMETRY_SERVER_TIMING", settings.DEBUG))


def metrics_directory() -> Path | None:
    """Return `TELEMETRY_METRICS_DIR`, which all processes of one machine share; None keeps metrics in the process."""
    directory = getattr(settings, "TELEMETRY_METRICS_DIR", None)
    return Path(directory) if directory else None


def log_format() -> str:
    """Return `TELEMETRY_LOG_FORMAT`: `json` or `console`."""
    return str(getattr(settings, "TELEMETRY_LOG_FORMAT", "json"))


def log_level() -> str:
    """Return `TELEMETRY_LOG_LEVEL`, such as `INFO`."""
    return str(getattr(settings, "TELEMETRY_LOG_LEVEL", "INFO")).upper()


@cache
def quiet_prefixes() -> tuple[str, ...]:
    """Return `TELEMETRY_QUIET_PREFIXES`: paths that get an id and metrics, but no span and no log line."""
    default = ("/static/", "/media/", "/metrics", "/healthz/", "/ops/")
    return tuple(getattr(settings, "TELEMETRY_QUIET_PREFIXES", default))


@cache
def secrets() -> tuple[str, ...]:
    """Return the project's own secrets, which no text may hold: `SECRET_KEY`, its fallbacks, databases' passwords."""
    try:
        keys = [settings.SECRET_KEY, *getattr(settings, "SECRET_KEY_FALLBACKS", ())]
    except ImproperlyConfigured:
        keys = []
    keys += [database.get("PASSWORD") for database in getattr(settings, "DATABASES", {}).values()]
    return tuple(key for key in keys if isinstance(key, str) and len(key) >= _SHORTEST_SECRET)


@cache
def is_trusted(address: str) -> bool:
    """Whether the peer's `X-Forwarded-For`, `X-Request-ID` and `traceparent` are believed (`TRUSTED_PROXIES`)."""
    try:
        peer = ipaddress.ip_address(address)
    except ValueError:
        return False
    networks = (ipaddress.ip_network(entry, strict=False) for entry in getattr(settings, "TRUSTED_PROXIES", ()))
    return any(peer in network for network in networks)


def trace_links() -> dict[str, str]:
    """Return `TELEMETRY_TRACE_LINKS`: other tools' names and addresses, with `{trace_id}` and `{request_id}`."""
    links: dict[str, str] = getattr(settings, "TELEMETRY_TRACE_LINKS", {})
    return {name: address for name, address in links.items() if address}


def propagate_to() -> tuple[str, ...]:
    """Return `TELEMETRY_PROPAGATE_TO`: hosts, as `ALLOWED_HOSTS` names them, that get our `traceparent`; none else."""
    return tuple(getattr(settings, "TELEMETRY_PROPAGATE_TO", ()))


def celery_poll_seconds() -> float:
    """Return `TELEMETRY_CELERY_POLL_SECONDS`: how often the queues are asked for their lengths; 0 never asks."""
    return float(getattr(settings, "TELEMETRY_CELERY_POLL_SECONDS", 5))
