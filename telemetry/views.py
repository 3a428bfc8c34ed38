"""The Prometheus endpoint."""

import gzip

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from prometheus_client import exposition

from telemetry import conf
from telemetry.metrics import exposed_registry

_LOCAL = frozenset({"127.0.0.1", "::1", ""})  # a unix socket's peer has no address
_FASTEST = 1  # of gzip's levels: a scrape is read once, by a neighbour


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape in the format that it asks for; only trusted peers (`TRUSTED_PROXIES`) may."""
    if not _is_trusted(request):
        return HttpResponse("Metrics are for scrapers on trusted addresses (TRUSTED_PROXIES).\n", status=403)
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    body = encode(exposed_registry())
    response = HttpResponse(content_type=content_type)
    patch_vary_headers(response, ["Accept", "Accept-Encoding"])
    if _quality(request.headers.get("Accept-Encoding", ""), "gzip") > 0:
        body = gzip.compress(body, _FASTEST)
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(body))
    if request.method == "GET":
        response.content = body
    return response


def _quality(header: str, name: str) -> float:
    """Return how much a header asks for `name`, at most; 0 where it doesn't, or says so."""
    found = 0.0
    for entry in header[:2_000].lower().split(","):
        given, *parameters = (part.strip() for part in entry.split(";"))
        if given == name:
            qualities = [part[2:] for part in parameters if part.startswith("q=")] or ["1"]
            try:
                found = max(found, float(qualities[0]))
            except ValueError:
                continue
    return found


def _is_trusted(request: HttpRequest) -> bool:
    """Whether this machine or a trusted peer asks, and not for somebody who isn't: a proxy is no scraper."""
    peer = request.META.get("REMOTE_ADDR", "")
    forwarded = request.headers.get("X-Forwarded-For")
    if forwarded is None:
        return peer in _LOCAL or conf.is_trusted(peer)
    return all(conf.is_trusted(address.strip()) for address in (peer, *forwarded.split(",")))
