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
