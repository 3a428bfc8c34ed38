"""Servers that an earlier run left behind, told by the folder they work in: a pid in a file proves nothing."""

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from config.embedded.errors import EmbeddedServerError
from config.processes import proceed, wait_for


def servers_in(directory: Path, names: Sequence[str]) -> list[psutil.Process]:
    """Return the running processes of these names (beginnings count) whose working directory is `directory`."""
    wanted = str(directory.resolve())
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name().startswith(tuple(names)) and process.cwd() == wanted:
                found.append(process)
    return found


def stop_servers_in(
    directory: Path,
    names: Sequence[str],
    signals: Sequence[tuple[float, signal.Signals]],
    pause: Callable[[], None] = proceed,
) -> None:
    """Stop what an earlier run left running in `directory`, gently first.

    `signals` are sent to the servers, each when so many seconds have passed, and SIGKILL to all after 20.

    Raises EmbeddedServerError: something outlives even that.
    """
    begun = time.monotonic()
    sent: set[signal.Signals] = set()

    def are_gone() -> bool:
        remaining = servers_in(directory, names)
        if not remaining:
            return True
        elapsed = time.monotonic() - begun
        pids = {process.pid for process in remaining}
        for due, number in (*signals, (20.0, signal.SIGKILL)):
            if elapsed >= due and number not in sent:
                sent.add(number)
                for process in remaining:
                    with suppress(psutil.Error):
                        # A server's own children end with it; only SIGKILL is for them too.
                        if number == signal.SIGKILL or process.ppid() not in pids:
                            process.send_signal(number)
        return False

    if not wait_for(are_gone, timeout_seconds=30, pause=pause):
        left = servers_in(directory, names)
        if left:
            raise EmbeddedServerError(
                f"{left[0].name()} (pid {left[0].pid}) of an earlier run still works in {directory} "
                "and can't be stopped. Stop it, then try again."
            )
