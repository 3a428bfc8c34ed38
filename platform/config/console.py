"""The one log of `manage up`: each line with the name of the process that wrote it, in colour on a terminal."""

import os
import sys
import threading
from contextlib import suppress

_COLOURS = {
    "postgres": 34,
    "redis": 31,
    "migrate": 35,
    "demo data": 35,
    "web": 32,
    "sockets": 36,
    "worker": 33,
    "beat": 33,
}
_WIDTH = max(map(len, _COLOURS))


class Console:
    """Writes to standard output; one that is gone (a closed terminal, a dead pipe) stops nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def write(self, name: str, line: str) -> None:
        """Write one line of the process `name`."""
        prefix = f"{name:<{_WIDTH}} |"
        if self._is_coloured:
            prefix = f"\x1b[{_COLOURS.get(name, 37)}m{prefix}\x1b[0m"
        self.say(f"{prefix} {line}")

    def say(self, text: str) -> None:
        """Write text of `manage up` itself."""
        # ValueError: the stream is closed
        with self._lock, suppress(OSError, ValueError):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
