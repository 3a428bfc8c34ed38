"""One `manage up` in a LOCAL_DIR at a time. The kernel keeps the lock, and drops it with the process."""

import fcntl
import os
from pathlib import Path
from typing import IO

from config.embedded.folders import explained, prepare_local_directory


class AlreadyRunningError(Exception):
    """Another `manage up` holds this LOCAL_DIR. The message says which, and what to do."""


def hold(local_dir: Path) -> IO[str]:
    """Take the lock of `local_dir`, which lasts until the file returned is closed or the process ends.

    Raises AlreadyRunningError: another process has it. EmbeddedServerError: the folder can't be written to.
    """
    prepare_local_directory(local_dir)
    with explained(local_dir):
        file = open(local_dir / "up.lock", "a+", encoding="ascii")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        pid = file.read().strip()
        file.close()
        raise AlreadyRunningError(
            f"Already running (pid {pid or 'unknown'}). Stop it with Ctrl-C there, "
            "or set LOCAL_DIR, PORT and SOCKET_PORT to run a second one."
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
