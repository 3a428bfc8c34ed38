"""Who passes while the platform is closed, and where."""

import math
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.authentication import BearerAuthentication
from ops.maintenance.queries import Window

# Where no end is known, that is when to ask again.
RETRY_AFTER_SECONDS = 300
# Probes and scrapes, the way in for staff, and the switch itself as API and page, which decides by permission.
_OPEN = (
    *("/healthz/", "/metrics", "/accounts/login/", "/accounts/logout/", "/admin/login/"),
    *("/api/ops/maintenance/", "/ops/maintenance/"),
)


def is_open(path: str) -> bool:
    """Whether this address answers everybody, maintenance or not."""
    return path.startswith(_open_prefixes())


@cache  # it's asked for each request
def _open_prefixes() -> tuple[str, ...]:
    return (*_OPEN, f"/{settings.STATIC_URL.lstrip('/')}")


def is_of_staff(request: HttpRequest) -> bool:
    """Whether a request comes from staff, by session or by token; a token that isn't valid is recorded as ever."""
    if is_staff(getattr(request, "user", None)):
        return True
    try:
        found = BearerAuthentication().authenticate(Request(request))
    except AuthenticationFailed:
        return False
    return found is not None and is_staff(found[0])


def is_staff(user: Any) -> bool:
    """Whether this is somebody of staff; None and strangers aren't."""
    return bool(user is not None and user.is_active and (user.is_staff or user.is_superuser))


def retry_after_seconds(window: Window) -> int:
    """Return when it's worth asking again: at the end, where that is known."""
    if window.ends_at is None:
        return RETRY_AFTER_SECONDS
    return max(1, math.ceil((window.ends_at - timezone.now()).total_seconds()))
