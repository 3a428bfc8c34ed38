"""One pipeline for every line: ours by structlog, libraries' by the standard library, redacted and joined by ids."""

from telemetry.logs.configuration import configure, configured_handler
from telemetry.logs.logger import Logger, get_logger
from telemetry.logs.pipeline import listen

__all__ = ["Logger", "configure", "configured_handler", "get_logger", "listen"]
