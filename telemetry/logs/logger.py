"""The loggers that this project's own code calls. Their lines never become records of the standard library."""

import logging
from collections.abc import Callable
from typing import Any

import structlog

from telemetry.logs import pipeline


class Logger(structlog.BoundLoggerBase):
    """A logger of structlog whose level is asked first. None of its methods raises.

    A field may have any name: one that a line has anyway, such as `level`, gets a `_` at its end.
    """

    least: int = logging.INFO

    def debug(self, event: str, /, *args: Any, **fields: Any) -> None:
        if self.least <= logging.DEBUG:
            self._say("debug", event, args, fields)

    def info(self, event: str, /, *args: Any, **fields: Any) -> None:
        if self.least <= logging.INFO:
            self._say("info", event, args, fields)

    def warning(self, event: str, /, *args: Any, **fields: Any) -> None:
        if self.least <= logging.WARNING:
            self._say("warning", event, args, fields)

    def error(self, event: str, /, *args: Any, **fields: Any) -> None:
        if self.least <= logging.ERROR:
            self._say("error", event, args, fields)

    def critical(self, event: str, /, *args: Any, **fields: Any) -> None:
        if self.least <= logging.CRITICAL:
            self._say("critical", event, args, fields)

    def exception(self, event: str, /, *args: Any, **fields: Any) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        if self.least <= logging.ERROR:
            self._say("error", event, args, {"exc_info": True, **fields})

    def log(self, level: int, event: str, /, *args: Any, **fields: Any) -> None:
        """Log with a level of the standard library, such as `logging.INFO`."""
        if self.least <= level:
            self._say(pipeline.level_name(level), event, args, fields)

    msg, warn, fatal = info, warning, critical

    def _say(self, level: str, event: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        try:
            line: Any = {**self._context, **fields} if self._context else fields
            if "event" in line:
                line["event_"] = line.pop("event")
            line["event"] = pipeline.interpolated(event, args) if args else event
            for processor in self._processors:
                line = processor(self._logger, level, line)
        except structlog.DropEvent:
            pass
        except Exception as error:
            pipeline.write_fault(str(self._logger), level, error)


def get_logger(name: str) -> Logger:
    """Return a logger. Events are fixed phrases such as `blog.post_published`; what varies goes into fields."""
    return Logger(name, _PROCESSORS, {})


def use_level(level: int) -> None:
    """Let all loggers drop what is below `level`, those of structlog's own `get_logger` too."""
    Logger.least = level
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=Logger,
        logger_factory=_name_of,
        cache_logger_on_first_use=True,
    )


def _name_of(*names: str) -> str:
    """What structlog wraps: the name is all that the pipeline needs."""
    return names[0] if names else "root"


def _process(name: str, level: str, event: Any) -> Any:
    pipeline.write(name, level, event.pop("event"), event)
    return event


# One list for good: all loggers hold it, and structlog's `capture_logs` changes it in place.
_PROCESSORS: list[Callable[[Any, str, Any], Any]] = [_process]
