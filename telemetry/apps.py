from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "telemetry"

    def ready(self) -> None:
        from telemetry import logs
        from telemetry.caches import backends
        from telemetry.database import connections
        from telemetry.http import client
        from telemetry.http.instrumentor import TelemetryInstrumentor
        from telemetry.tracing import lines, provider

        logs.configure()
        logs.listen(lines.keep)
        provider.configure()
        connections.connect()
        backends.connect()
        client.connect()
        instrumentor = TelemetryInstrumentor()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument(tracer_provider=provider.provider(), excluded_urls="")
