"""Telemetry's settings, one function each."""

import ipaddress
from functools import cache
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_SHORTEST_SECRET = 8  # what is shorter stands in too many words


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
