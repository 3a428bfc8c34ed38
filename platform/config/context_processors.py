"""What every page knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from caching.requests import SharedRequest, request_id_for
from notifications import queries
from ops.maintenance.queries import current as current_maintenance
from telemetry.logs import get_logger

log = get_logger(__name__)


def page(request: HttpRequest) -> dict[str, Any]:
    """Give templates the request id, the number of unread notifications, the site's address and the sockets' port."""
    return {
        "request_id": request_id_for(request),
        # Lazy: pages that don't show it don't ask for it.
        "unread_notifications": SimpleLazyObject(lambda: _unread_count(request)),
        "public_url": settings.PUBLIC_URL.rstrip("/"),
        "socket_port": settings.BROWSER_SOCKET_PORT or "",
        # Called by the template. Whoever sees a page then is of staff, or about to log in: a page
        # for everybody isn't seen then.
        "maintenance": None if isinstance(request, SharedRequest) else current_maintenance,
    }


def _unread_count(request: HttpRequest) -> int:
    """A number beside a bell isn't worth a page: where it can't be had, it's 0."""
    try:
        user = request.user
        return queries.unread_count(user) if user.is_authenticated else 0
    except Exception:
        log.exception("config.unread_count_failed")
        return 0
