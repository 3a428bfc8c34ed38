"""The Prometheus endpoint."""

from django.http import HttpRequest, HttpResponse
from prometheus_client import exposition

from telemetry import conf
from telemetry.metrics import exposed_registry


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape in the format that it asks for; only trusted peers (`TRUSTED_PROXIES`) may."""
    if not conf.is_trusted(request.META.get("REMOTE_ADDR", "")) and not _is_local(request):
        return HttpResponse("Metrics are for scrapers on trusted addresses (TRUSTED_PROXIES).\n", status=403)
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(exposed_registry()), content_type=content_type)


def _is_local(request: HttpRequest) -> bool:
    return request.META.get("REMOTE_ADDR", "") in {"127.0.0.1", "::1", ""} and "X-Forwarded-For" not in request.headers
