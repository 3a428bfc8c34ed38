"""Slots: whoever counts holds one, by a lock on `slot-<n>.lock` that ends with the process, however it ends.

A process takes the first that is free, and counts on in its files: there are as many as processes ever ran at once. Two
bytes are locked, one after the other: the first is the slot; the second says that the gauges in its files are of a
process that lives. Between the two the gauges of the process before are set to nought, so that nobody reads a ghost.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

_SLOT, _GAUGES = 0, 1  # bytes of the lock's file
_FILE = re.compile(r"slot-(\d{1,6})\.metrics")
_TRIES = 200


class Slot:
    """The slot that this process holds."""

    def __init__(self, directory: Path, number: int, file: int) -> None:
        self.directory = directory
        self.number = number
        self._file = file

    @property
    def values_path(self) -> Path:
        """Where its values lie."""
        return values_path(self.directory, self.number)

    @property
    def exemplars_path(self) -> Path:
        """Where its exemplars lie."""
        return exemplars_path(self.directory, self.number)

    def announce(self) -> None:
        """Say that the gauges are of a process that lives. A reader that looks holds the lock for microseconds."""
        for _ in range(_TRIES):
            if _lock(self._file, _GAUGES):
                return
            time.sleep(0.001)

    def forget(self) -> None:
        """Close a file that was inherited by a fork; the lock is the parent's, and stays."""
        os.close(self._file)


def take(directory: Path) -> Slot:
    """Return a free slot, now held; OSError where the folder can't be written or doesn't lock."""
    directory.mkdir(parents=True, exist_ok=True)
    for number in count():
        file = os.open(_lock_path(directory, number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if _lock(file, _SLOT):
                return Slot(directory, number, file)
        except BaseException:
            os.close(file)
            raise
        os.close(file)
    raise AssertionError("unreachable")


def is_alive(directory: Path, number: int) -> bool:
    """Whether a process holds the slot. Never asked for one's own: to close a second handle would end our lock."""
    try:
        file = os.open(_lock_path(directory, number), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _lock(file, _GAUGES)
    except OSError:
        return False
    finally:
        os.close(file)


def numbers(directory: Path) -> Iterator[int]:
    """Give the slots that have values, in no order."""
    with os.scandir(directory) as files:
        for file in files:
            if match := _FILE.fullmatch(file.name):
                yield int(match[1])


def values_path(directory: Path, number: int) -> Path:
    """Where a slot's values lie."""
    return directory / f"slot-{number}.metrics"


def exemplars_path(directory: Path, number: int) -> Path:
    """Where a slot's exemplars lie."""
    return directory / f"slot-{number}.exemplars"


def _lock_path(directory: Path, number: int) -> Path:
    return directory / f"slot-{number}.lock"


def _lock(file: int, byte: int) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as systems differ
        return False
    return True
