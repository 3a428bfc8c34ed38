"""One pipeline for every line: ours by structlog, libraries' by the standard library, redacted and joined by ids."""

import logging
import logging.config
import sys
import traceback
from typing import Any, TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor

from telemetry import conf
from telemetry.context import current
from telemetry.redaction import redact

_DEEPEST = 6  # a traceback's frames lie that deep


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger. Events are fixed phrases such as `blog.post_published`; what varies goes into fields."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure() -> None:
    """Send all logging through the pipeline to standard output, as JSON lines or, for people, in colour."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_context,
    ]
    rendering: list[Processor]
    if conf.log_format() == "json":
        rendering = [_tracebacks(), redact_event, render_json]
    else:
        rendering = [
            structlog.processors.ExceptionRenderer(_plain_traceback),
            redact_event,
            drop_empty,
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(), pad_event_to=28, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _Console()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(conf.log_level())
    # The canonical line tells of each request already.
    for name in ("django.server", "django.request", "uvicorn.access", "_granian.access", "granian.access"):
        logging.getLogger(name).setLevel(logging.ERROR if name == "django.request" else logging.WARNING)
    for name in ("httpx", "httpcore", "urllib3", "asyncio", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("opentelemetry.attributes").setLevel(logging.ERROR)  # it warns of each value it cuts
    for name in ("uvicorn", "uvicorn.error", "celery", "granian", "_granian"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True


def _tracebacks() -> Processor:
    # Without local variables: they hold passwords as well as anything.
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
    return structlog.processors.ExceptionRenderer(transformer)


def _plain_traceback(exc_info: Any) -> list[str]:
    """The lines of a traceback, each of which is redacted by itself, so that people can still read them."""
    lines = "".join(traceback.format_exception(*exc_info)).splitlines()
    return lines if len(lines) <= 100 else [*lines[:20], "…", *lines[-79:]]  # its end says what went wrong


class _Console(logging.StreamHandler[TextIO]):
    """Writes to what the standard streams are now, as logging's own last resort does."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        # A command's standard output is its answer; lines about it go beside.
        return sys.stderr if conf.process() == "command" else sys.stdout


def add_context(logger: Any, method: str, event: EventDict) -> EventDict:
    """Add the ids that lead from this line to everything else."""
    context = current()
    if not context.request_id:
        return event
    event.setdefault("request_id", context.request_id)
    if context.trace_id:
        event.setdefault("trace_id", context.trace_id)
        event.setdefault("span_id", context.span_id)
    if context.task_id:
        event.setdefault("task_id", context.task_id)
    # A lazy actor may need a query; a log line isn't worth one, so only what is known already is told.
    if context.actor_source.__class__.__name__ == "Actor" and context.actor.id:
        event.setdefault("user_id", context.actor.id)
    return event


def redact_event(logger: Any, method: str, event: EventDict) -> EventDict:
    """Replace secrets, escape control characters, cut what is long."""
    redacted: EventDict = redact(dict(event), depth=_DEEPEST)
    return redacted


def drop_empty(logger: Any, method: str, event: EventDict) -> EventDict:
    """Leave out what says nothing, and ids that only programs follow: people read these lines."""
    if isinstance(lines := event.get("exception"), list):
        event["exception"] = "\n".join(map(str, lines))
    return {key: value for key, value in event.items() if value is not None and key not in ("trace_id", "span_id")}


def render_json(logger: Any, method: str, event: EventDict) -> str:
    """Render one JSON line; what JSON can't hold is told by its text."""
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
