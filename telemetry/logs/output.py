"""Where lines go: standard output for services, standard error for commands, whose standard output is their answer.

Each line is one write, without a lock and without a buffer. A reader that is slow is waited for, a second at most;
until it reads again further lines are dropped at once, and counted. So is what nobody reads any more, and what a full
disk refuses.
"""

import os
import select
import stat
import sys
import time
from typing import TextIO

from telemetry.metrics import counter

LOST = counter("telemetry_log_lines_dropped_total", "Log lines that were lost, by reason.", ["reason"])
_LOST = {
    reason: LOST.labels(reason)
    for reason in (
        "full",  # the reader didn't read
        "gone",  # there is none any more
        "refused",  # the write failed for another reason, such as a full disk
        "failed",  # the line couldn't be made
        "listener",  # it was written, but one that listens to lines failed
    )
}
_LONGEST_WAIT_SECONDS = 1.0


def count_lost(reason: str) -> None:
    """Count a line that was lost."""
    _LOST[reason].inc()


class Output:
    """Writes lines to what the standard stream is at that moment."""

    def __init__(self) -> None:
        self._is_beside = False
        self._stream: TextIO | None = None
        self._is_known = False
        self._fd = -1  # of the process' own stream; -1 where something else stands in for it
        self._asks_first = False
        self._is_stuck = False
        self._reopened: dict[tuple[int, int], int] = {}

    def use(self, *, is_beside: bool) -> None:
        """Write to standard error where `is_beside`, else to standard output."""
        self._is_beside = is_beside
        self._is_known = False

    @property
    def stream(self) -> TextIO | None:
        """The standard stream; None where the process has none."""
        return sys.stderr if self._is_beside else sys.stdout

    def write(self, line: bytes) -> bool:
        """Write one line with its end; False where it was lost."""
        stream = self.stream
        if stream is not self._stream or not self._is_known:
            self._look_at(stream)
        try:
            if self._fd < 0:
                return self._write_text(line)
            if self._asks_first:
                return self._write_when_there_is_room(line)
            try:
                written = os.write(self._fd, line)
            except BlockingIOError:
                written = 0
            if written < len(line):
                return self._write_when_there_is_room(line[written:])
        except (BrokenPipeError, ConnectionError):
            return self._lose("gone")
        except (OSError, ValueError):  # ValueError: the stream is closed
            return self._lose("refused")
        if self._is_stuck:
            self._is_stuck = False
        return True

    def _write_when_there_is_room(self, rest: bytes) -> bool:
        """Write once the reader has made room; at once or not at all where it made none for the line before."""
        deadline = time.monotonic() + (0 if self._is_stuck else _LONGEST_WAIT_SECONDS)
        room = select.poll()
        room.register(self._fd, select.POLLOUT)
        while room.poll(max(0.0, deadline - time.monotonic()) * 1_000):
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # others were faster
                if time.monotonic() > deadline:
                    break
            if not rest:
                self._is_stuck = False
                return True
        self._is_stuck = True
        return self._lose("full")

    def _write_text(self, line: bytes) -> bool:
        if self._stream is None:
            return self._lose("gone")
        self._stream.write(line.decode(errors="replace"))
        self._stream.flush()
        return True

    def _lose(self, reason: str) -> bool:
        count_lost(reason)
        return False

    def _look_at(self, stream: TextIO | None) -> None:
        self._stream, self._fd, self._asks_first = stream, -1, False
        self._is_known = True
        if stream not in (sys.__stdout__, sys.__stderr__) or stream is None:
            return
        try:
            fd = stream.fileno()
            mode = os.fstat(fd).st_mode
        except (OSError, ValueError):
            return
        if stat.S_ISFIFO(mode):
            self._fd = self._reopen(fd)
            self._asks_first = self._fd == fd
        else:
            self._fd = fd
            self._asks_first = stat.S_ISSOCK(mode)

    def _reopen(self, fd: int) -> int:
        """Return a descriptor of the same pipe that never waits, or `fd`.

        To make `fd` itself so would do it to everybody who shares it: to print, and to the programs around this one.
        """
        status = os.fstat(fd)
        pipe = (status.st_dev, status.st_ino)
        if pipe not in self._reopened:
            try:
                self._reopened[pipe] = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:  # no Linux, or the pipe is another user's
                return fd
        return self._reopened[pipe]


OUTPUT = Output()
