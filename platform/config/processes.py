"""Child processes: each in a session of its own, its lines handed on, and stopped for certain."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# Receives the process's name and one line of its output, without the line's end.
LineWriter = Callable[[str, str], None]

_POLL_SECONDS = 0.03
_LINE_BYTES = 65_536
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def discard(name: str, line: str) -> None:
    """Write nothing."""


def proceed() -> None:
    """Let a wait go on; what interrupts one raises here instead."""


def wait_for(condition: Callable[[], bool], *, timeout_seconds: float, pause: Callable[[], None] = proceed) -> bool:
    """Return whether `condition` came true in time. `pause` is called between looks, and may raise to end the wait."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        pause()
        time.sleep(_POLL_SECONDS)
    return True


@dataclass(frozen=True)
class Program:
    """What to run. `signals` are what ends it: each is sent when so many seconds of the stopping have passed."""

    name: str
    arguments: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    user_id: int | None = None
    group_id: int | None = None
    signals: Sequence[tuple[float, signal.Signals]] = ((0, signal.SIGTERM), (4, signal.SIGKILL))


class Process:
    """A running `Program`. Start it from the main thread: on Linux it ends when the thread that started it does."""

    def __init__(self, program: Program, write: LineWriter = discard) -> None:
        self.program = program
        self.name = program.name
        self.last_lines: deque[str] = deque(maxlen=50)
        self.is_stopping = False
        self._write = write
        self._signalled: set[signal.Signals] = set()
        self._popen = subprocess.Popen(
            program.arguments,
            cwd=program.directory,
            env=dict(program.environment),
            user=program.user_id,
            group=program.group_id,
            extra_groups=[] if program.user_id is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_before_exec(program, os.getpid()),
        )
        self._reader = threading.Thread(target=self._read, name=f"read-{program.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, -N where signal N ended the process, or None while it runs."""
        return self._popen.poll()

    @property
    def is_running(self) -> bool:
        return self.exit_code is None

    def describe_end(self) -> str:
        """Return how the process ended, as words for a person."""
        code = self.exit_code
        if code is None:
            return "runs"
        if code >= 0:
            return f"ended with exit code {code}"
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"

    def finish_reading(self, timeout_seconds: float = 1) -> None:
        """Wait until all that an ended process wrote has been handed on."""
        self._reader.join(timeout_seconds)

    def _read(self) -> None:
        assert self._popen.stdout is not None  # noqa: S101
        with self._popen.stdout as output:
            while raw := output.readline(_LINE_BYTES):
                line = raw.decode(errors="replace").rstrip("\r\n")
                self.last_lines.append(line)
                self._write(self.name, line)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, or SIGKILL to all that is left of its group."""
        with suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                self._popen.send_signal(number)

    def stop_further(self, seconds: float) -> bool:
        """Send what is due after so many seconds of stopping; return whether the process has ended."""
        self.is_stopping = True
        if not self.is_running:
            if signal.SIGKILL not in self._signalled:
                self._signalled.add(signal.SIGKILL)
                self.send(signal.SIGKILL)  # children that it left behind
                self.finish_reading()
            return True
        for due, number in self.program.signals:
            if seconds >= due and number not in self._signalled:
                self._signalled.add(number)
                self.send(number)
        return False


def stop_all(processes: Sequence[Process]) -> None:
    """Stop processes side by side, the last one started first, and return when all of them have ended."""
    begun = time.monotonic()

    def have_ended() -> bool:
        elapsed = time.monotonic() - begun
        remaining = [process for process in reversed(processes) if not process.stop_further(elapsed)]
        return not remaining

    wait_for(have_ended, timeout_seconds=30)


def run_to_end(program: Program, *, write: LineWriter = discard, pause: Callable[[], None] = proceed) -> Process:
    """Run a program until it ends by itself and return it. Where `pause` raises, it's stopped first."""
    process = Process(program, write)
    try:
        wait_for(lambda: not process.is_running, timeout_seconds=float("inf"), pause=pause)
    finally:
        stop_all([process])
    return process


def _before_exec(program: Program, parent_pid: int) -> Callable[[], None]:
    """Return what the child does before it becomes the program; it runs after the change of user, which it must."""
    gentle = program.signals[0][1]

    def prepare() -> None:
        # A shell's background job ignores SIGINT, and so would all that it starts.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(gentle), 0, 0, 0)
            if os.getppid() != parent_pid:  # the parent died before the line above
                os._exit(1)

    return prepare
