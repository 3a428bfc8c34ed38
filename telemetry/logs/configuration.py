"""Logging as the settings want it."""

import logging
from typing import Any

import structlog

from telemetry import conf
from telemetry.logs import libraries, logger, pipeline
from telemetry.logs.output import OUTPUT

_IDS_FOR_PROGRAMS = ("trace_id", "span_id")


def configure() -> None:
    """Send all logging through the pipeline, as JSON lines or, for people, in colour. May be called again.

    Raises:
        ValueError: `TELEMETRY_LOG_LEVEL` is no level.
    """
    level = logging.getLevelNamesMapping().get(conf.log_level())
    if level is None:
        raise ValueError(f"TELEMETRY_LOG_LEVEL is {conf.log_level()!r}, which is no level such as INFO.")
    OUTPUT.use(is_beside=conf.process() == "command")
    pipeline.render_with(None if conf.log_format() == "json" else _console())
    logger.use_level(level)
    libraries.connect(level)


def configured_handler() -> logging.Handler:
    """Configure logging, and return a handler: for servers that log before they load Django, by their `dictConfig`."""
    configure()
    return libraries.LibraryHandler()


def _console() -> pipeline.Render:
    stream = OUTPUT.stream
    renderer = structlog.dev.ConsoleRenderer(
        colors=stream is not None and stream.isatty(),
        pad_event_to=28,
        exception_formatter=structlog.dev.plain_traceback,
    )

    def render(line: dict[str, Any]) -> bytes:
        # What says nothing is left out, and ids that only programs follow: people read these lines.
        kept = {key: value for key, value in line.items() if value is not None and key not in _IDS_FOR_PROGRAMS}
        return f"{renderer(None, line['level'], kept)}\n".encode(errors="backslashreplace")

    return render
