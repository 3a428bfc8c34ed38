"""The ledger's settings, one function each."""

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, router


def application_role() -> str:
    """Return `AUDIT_APPLICATION_ROLE`: the database role that may read the ledger and record events; may be empty."""
    return str(getattr(settings, "AUDIT_APPLICATION_ROLE", ""))


def partition_months_ahead() -> int:
    """Return `AUDIT_PARTITION_MONTHS_AHEAD`: how many monthly partitions stand ready; 12 by default."""
    return int(getattr(settings, "AUDIT_PARTITION_MONTHS_AHEAD", 12))


def owner_database() -> str:
    """Return `AUDIT_OWNER_DATABASE`: the alias that connects as the ledger's owner, which alone may make partitions.

    Where it isn't set: the alias on which Django's routers let `audit` migrate.
    """
    if alias := getattr(settings, "AUDIT_OWNER_DATABASE", ""):
        return str(alias)
    return next((alias for alias in connections if router.allow_migrate(alias, "audit")), DEFAULT_DB_ALIAS)


def value_limit_bytes() -> int:
    """Return `AUDIT_VALUE_LIMIT_BYTES`: a longer value is cut, its length and digest kept; 2,000,000 by default."""
    return int(getattr(settings, "AUDIT_VALUE_LIMIT_BYTES", 2_000_000))


def release() -> str:
    """Return `RELEASE`, the version of the project that is running; it is kept with each event."""
    return str(getattr(settings, "RELEASE", ""))


def request_url() -> str:
    """Return `AUDIT_REQUEST_URL`, the project's page of a request, with `{request_id}` in it; may be empty."""
    return str(getattr(settings, "AUDIT_REQUEST_URL", ""))


def search_seconds() -> int:
    """Return `AUDIT_SEARCH_SECONDS`: a search of the ledger is given up after that long; 10 by default."""
    return int(getattr(settings, "AUDIT_SEARCH_SECONDS", 10))


def api_rate() -> str:
    """Return `AUDIT_API_RATE`: how often one token or person may ask the ledger's API; `300/minute` by default."""
    return str(getattr(settings, "AUDIT_API_RATE", "300/minute"))


def tail_seconds() -> float:
    """Return `AUDIT_TAIL_SECONDS`: how often a tail asks what came since; 1 by default."""
    return float(getattr(settings, "AUDIT_TAIL_SECONDS", 1))


def tail_connections() -> int:
    """Return `AUDIT_TAIL_CONNECTIONS`: how many tails one person may have open over `/ws/audit/`; 5 by default."""
    return int(getattr(settings, "AUDIT_TAIL_CONNECTIONS", 5))


def source() -> str:
    """Return `AUDIT_SOURCE`: how exports name this ledger to others, best an absolute address.

    By default it is `/api/audit/events/`.
    """
    return str(getattr(settings, "AUDIT_SOURCE", "/api/audit/events/"))


def export_rate() -> str:
    """Return `AUDIT_EXPORT_RATE`: how often one token or person may begin an export; `30/hour` by default."""
    return str(getattr(settings, "AUDIT_EXPORT_RATE", "30/hour"))


def export_page_seconds() -> int:
    """Return `AUDIT_EXPORT_PAGE_SECONDS`: how long a streamed export looks for its next events; 30 by default.

    More than that and proxies take the silence for a dead connection.
    """
    return int(getattr(settings, "AUDIT_EXPORT_PAGE_SECONDS", 30))


def long_export_page_seconds() -> int:
    """Return `AUDIT_LONG_EXPORT_PAGE_SECONDS`: the same of an export in the background; 900 by default."""
    return int(getattr(settings, "AUDIT_LONG_EXPORT_PAGE_SECONDS", 900))


def export_hours() -> int:
    """Return `AUDIT_EXPORT_HOURS`: how long the file of an export can be fetched; 24 by default."""
    return int(getattr(settings, "AUDIT_EXPORT_HOURS", 24))


def export_max_events() -> int:
    """Return `AUDIT_EXPORT_MAX_EVENTS`: how many events the file of an export may have; 10,000,000 by default.

    One core writes 5,000 to 12,000 a second, and the background task has 50 minutes.
    """
    return int(getattr(settings, "AUDIT_EXPORT_MAX_EVENTS", 10_000_000))
