"""Lines that aren't ours: libraries' by the standard library, warnings, and exceptions that nobody caught."""

import logging
import sys
import threading
from types import TracebackType
from typing import Any

from telemetry.logs import pipeline
from telemetry.logs.logger import get_logger

log = get_logger("python")
# What the standard library itself puts on a record, and colours for a terminal.
_KNOWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
# The canonical line tells of each request already.
_QUIET = {
    **dict.fromkeys(("django.server", "uvicorn.access", "_granian.access", "granian.access"), logging.WARNING),
    **dict.fromkeys(("httpx", "httpcore", "urllib3", "asyncio", "PIL"), logging.WARNING),
    "django.request": logging.ERROR,
    "opentelemetry.attributes": logging.ERROR,  # it warns of each value it cuts
}


class LibraryHandler(logging.Handler):
    """Hands the standard library's records to the pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as one line; what `extra` gave become fields."""
        fields: dict[str, Any] = {key: value for key, value in record.__dict__.items() if key not in _KNOWN}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        if record.stack_info:
            fields["stack"] = record.stack_info
        pipeline.write(record.name, pipeline.level_name(record.levelno), _message_of(record), fields, record.created)


def connect(level: int) -> None:
    """Let all records of at least `level` end in the pipeline, and nowhere else; warnings and lost exceptions too."""
    root = logging.getLogger()
    known = [logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    for logger in [root, *known]:
        if others := [handler for handler in logger.handlers if _is_console(handler)]:
            logger.handlers = [handler for handler in logger.handlers if handler not in others]
            logger.propagate = True
    root.addHandler(LibraryHandler())
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, level))
    logging.captureWarnings(True)
    # A tool that put its own hooks there, such as a test runner, keeps them.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _tell_of_uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _tell_of_failed_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _tell_of_unraisable


def _is_console(handler: logging.Handler) -> bool:
    """Whether a handler writes what the pipeline writes too, as those of servers and of Django's defaults do."""
    if isinstance(handler, LibraryHandler):
        return True
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return isinstance(handler, logging.StreamHandler) and handler.stream in streams


def _message_of(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception:  # the arguments don't fit, or one can't be told
        try:
            message = f"{record.msg} {record.args!r}"
        except Exception:
            message = f"<a message of {record.module}:{record.lineno} that can't be told>"
    return message.rstrip()


def _tell_of_uncaught(kind: type[BaseException], exception: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt) or hasattr(sys, "ps1"):  # a person at a prompt
        sys.__excepthook__(kind, exception, traceback)
        return
    log.critical("python.uncaught_exception", exc_info=exception.with_traceback(traceback))


def _tell_of_failed_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = args.thread.name if args.thread is not None else ""
    log.error("python.thread_failed", thread=name, exc_info=args.exc_value.with_traceback(args.exc_traceback))


def _tell_of_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    error = unraisable.exc_value
    log.error(
        "python.unraisable_exception",
        text=unraisable.err_msg or "",
        source=type(unraisable.object).__name__,
        exc_info=error.with_traceback(unraisable.exc_traceback) if error is not None else None,
    )
