"""Further ways to the suite's database, each an alias of Django's beside `default`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections


@contextmanager
def extra_alias(alias: str, *, options: dict[str, Any], **settings: Any) -> Iterator[str]:
    """Add `alias`: as `default`, but for these settings and `OPTIONS`.

    A fixture of module scope uses it, and its tests name the alias in their mark's `databases`: Django guards all
    others from before the test's own fixtures on.
    """
    configured = connections["default"].settings_dict
    connections.databases[alias] = {
        **configured,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        **settings,
        "OPTIONS": {**configured["OPTIONS"], **options},
    }
    try:
        yield alias
    finally:
        connections[alias].close()
        if "pool" in options:
            connections[alias].close_pool()  # type: ignore[attr-defined]
        del connections[alias]
        del connections.databases[alias]
