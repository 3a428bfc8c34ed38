"""A process of any kind that writes lines from many threads, as fast as its reader lets it; each line is numbered."""

import logging
import os
import threading
from typing import Any

from celery import signals

from telemetry.logs import get_logger

WRITERS = 6
_LENGTHS = (0, 10, 500, 3_000, 9_000)

log = get_logger("chatty")
library = logging.getLogger("chatty.library")
_pause = threading.Event()


def chat(writer: int) -> None:
    """Write without end: long lines and short ones, ours and a library's."""
    number = 0
    while not _pause.wait(0.0005):
        fields: dict[str, Any] = {"pid": os.getpid(), "writer": writer, "number": number}
        fields["text"] = "ä\n" * _LENGTHS[number % len(_LENGTHS)]
        if number % 3:
            log.info("chatty.said", **fields)
        else:
            library.warning("Said %s", "much", extra=fields)
        number += 1


def begin(**kwargs: Any) -> None:
    """Start the threads, in each child of a worker too."""
    signals.worker_process_init.connect(begin)
    for writer in range(WRITERS):
        threading.Thread(target=chat, args=(writer,), daemon=True).start()
