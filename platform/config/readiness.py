"""Tells `manage up` that the worker takes tasks. The worker alone includes this module."""

import os
from pathlib import Path
from typing import Any

from celery.signals import worker_ready


@worker_ready.connect  # type: ignore[untyped-decorator]
def write_ready_file(**kwargs: Any) -> None:
    """Write the file whose path is in GLASSHOUSE_READY_FILE, if any."""
    if path := os.environ.get("GLASSHOUSE_READY_FILE"):
        Path(path).write_text(f"{os.getpid()}\n", encoding="ascii")
