"""What the ledger's pages share: who may open them."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from audit import recording
from audit.reading.access import access_of


def for_readers(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let those open a page who may see events, and give it their access behind the request; record who was refused."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        access = access_of(request.user)
        if not access.is_any:
            recording.record("audit.ledger.read_denied", outcome="denied")
            raise PermissionDenied
        return view(request, access, *args, **kwargs)

    return guarded
