"""What is measured: each variant with its parts, each piece of work with its variants and figures to reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Variant:
    """One way to watch Django. `settings` are Django's own, beside those that the parts bring."""

    heading: str
    parts: frozenset[str]
    ratio: float = 1.0  # of the traces that are sampled
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """One piece of work. `peer_parts` and `our_parts` are what "everything on" adds to a variant there."""

    heading: str
    unit: str  # of what one is counted, as in "CPU a request"
    variants: Sequence[str]
    to_reach: Mapping[str, float]
    parts_of_peers: frozenset[str] = frozenset()
    parts_of_ours: frozenset[str] = frozenset()


def _parts(*names: str) -> frozenset[str]:
    return frozenset(names)


_USUAL = _parts("otel", "psycopg", "structlog", "prometheus", "otlp")
_LOGFIRE = _parts("logfire", "otlp")
_OURS = _parts("telemetry")

VARIANTS = {
    "bare": Variant("bare Django", _parts()),
    "bare_again": Variant("bare, again", _parts()),
    "structlog": Variant("django-structlog", _parts("structlog")),
    "prometheus": Variant("django-prometheus", _parts("prometheus")),
    "otel_out": Variant("OpenTelemetry's instrumentation, none sampled", _parts("otel"), 0.0),
    "otel": Variant("OpenTelemetry's instrumentation, all", _parts("otel")),
    "usual": Variant("the usual stack, all", _USUAL),
    "usual_tenth": Variant("the usual stack, one in ten", _USUAL, 0.1),
    "logfire": Variant("Logfire with psycopg, all", _LOGFIRE),
    "logfire_tenth": Variant("Logfire with psycopg, one in ten", _LOGFIRE, 0.1),
    "ours": Variant("telemetry, all", _OURS),
    "ours_tenth": Variant("telemetry, one in ten", _OURS, 0.1),
    "ours_otlp": Variant("telemetry, all, by OTLP as well", _OURS | {"otlp"}),
    "ours_otlp_down": Variant("telemetry, all, the collector is down", _OURS | {"otlp", "down"}),
    "ours_otlp_slow": Variant("telemetry, all, the collector answers after 3 s", _OURS | {"otlp", "slow"}),
    "ours_otlp_refusing": Variant("telemetry, all, the collector refuses", _OURS | {"otlp", "refusing"}),
    "ours_no_line": Variant("telemetry, all, no log line", _OURS, settings={"TELEMETRY_LOG_LEVEL": "WARNING"}),
    "ours_no_store": Variant("telemetry, all, spans go nowhere", _OURS, settings={"TELEMETRY_REDIS_URL": ""}),
    "ours_no_files": Variant("telemetry, all, metrics in memory", _OURS, settings={"TELEMETRY_METRICS_DIR": None}),
}
# Parts of ours switched off: for finding out where the time goes, so only when asked for.
ON_REQUEST = {name for name in VARIANTS if name.startswith(("ours_otlp", "ours_no_"))}

_PER_REQUEST = list(VARIANTS)
WORK = {
    "http-wsgi": Work("A view with one query over WSGI", "request", _PER_REQUEST, {"ours": 0.80, "ours_tenth": 0.88}),
    "http-asgi": Work("A view with one query over ASGI", "request", _PER_REQUEST, {}),
    "post": Work(
        "A POST that changes one row, everything on, over WSGI",
        "request",
        ["bare", "bare_again", "usual", "usual_tenth", "ours", "ours_tenth"],
        {"ours": 0.80, "ours_tenth": 0.80},
        parts_of_peers=_parts("auditlog"),
        parts_of_ours=_parts("audit"),
    ),
    "celery": Work(
        "Tasks that do nothing, prefork, one worker process",
        "task",
        ["bare", "bare_again", "otel", "usual", "usual_tenth", "ours", "ours_tenth", "ours_no_line", "ours_no_files"],
        {"ours_tenth": 0.92},
    ),
    "broadcast": Work(
        "A broadcast to 200 sockets",
        "delivery",
        ["bare", "bare_again", "otel", "ours", "ours_tenth"],
        {"ours": 0.95, "ours_tenth": 0.95},
    ),
}


def parts_of(variant: str, work: str) -> frozenset[str]:
    """Return what a process of `variant` has switched on for `work`; bare ones have nothing anywhere."""
    parts = VARIANTS[variant].parts
    if not parts:
        return parts
    added = WORK[work].parts_of_ours if "telemetry" in parts else WORK[work].parts_of_peers
    return parts | added
