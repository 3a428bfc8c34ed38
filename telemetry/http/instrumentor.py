"""OpenTelemetry's instrumentor for Django, with a middleware of ours: async-capable, and sampled before it costs."""

from opentelemetry.instrumentation.django import DjangoInstrumentor


class TelemetryInstrumentor(DjangoInstrumentor):
    """Puts `telemetry.http.middleware.TelemetryMiddleware` first in `MIDDLEWARE`, where contrib would put its own."""

    _opentelemetry_middleware = "telemetry.http.middleware.TelemetryMiddleware"
