from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "telemetry"

    def ready(self) -> None:
        from telemetry import database, logs, tracing
        from telemetry.instrumentor import TelemetryInstrumentor

        logs.configure()
        tracing.configure()
        database.connect()
        instrumentor = TelemetryInstrumentor()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument(tracer_provider=tracing.provider(), excluded_urls="")
