"""The file of one process' exemplars, `slot-<n>.exemplars`: for a counter or a bucket, the newest trace that moved it.

The first record is a header: the form's name `GLASSX01`, the identity of the values' file whose cells are meant, and
how many records are in use (8 bytes each). Each record after it has 640 bytes: CRC-32 of what follows (4 bytes), length
of the labels (4), the cell (8), the value and the time in seconds (floats of 8), and the labels as JSON. There are
1,024; a further cell takes the place of the one that came longest ago. Records are overwritten while others read: one
whose check fails is half-written, and passed over.
"""

import mmap
import os
import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from time import time
from typing import NamedTuple
from zlib import crc32

import orjson

MOST_CHARACTERS = 128  # of names and values together, by OpenMetrics
MOST_EXEMPLARS = 1_024
_RECORD_BYTES = 640
_FILE_BYTES = _RECORD_BYTES * (MOST_EXEMPLARS + 1)
_MAGIC = b"GLASSX01"
_HEADER = struct.Struct("=8sQQ")
_RECORD = struct.Struct("=IIQdd")
_CHECK = struct.Struct("=I")
_REST = struct.Struct("=IQdd")
_CHECK_BYTES = 4
_COUNT = 2  # the header's third word
_is_name = lru_cache(maxsize=64)(re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*").fullmatch)


class Exemplar(NamedTuple):
    """One exemplar: the labels as JSON, the value, and when, in seconds since 1970."""

    labels: bytes
    value: float
    seconds: float


class ExemplarFile:
    """The exemplars of this process. Whoever calls holds the lock; a path of None keeps them in memory."""

    def __init__(self, path: Path | None, identity: int) -> None:
        self._cells: list[int] = []  # by record
        self._records: dict[int, int] = {}  # by cell
        self._next = 0
        header = _HEADER.pack(_MAGIC, identity, 0)
        if path is None:
            self._bytes = memoryview(bytearray(header.ljust(_FILE_BYTES, b"\0")))
        else:
            self._open(path, header)
        self._words = self._bytes.cast("Q")
        known, newest = read_records(self._bytes.tobytes(), identity), 0.0
        if known is None:
            self._bytes[: len(header)] = header
            return
        self._words[_COUNT] = min(self._words[_COUNT], MOST_EXEMPLARS)
        self._cells = [-1] * self._words[_COUNT]
        for number, (cell, exemplar) in known.items():
            self._cells[number] = cell
            self._records[cell] = number
            if exemplar.seconds > newest and len(self._cells) == MOST_EXEMPLARS:
                newest, self._next = exemplar.seconds, (number + 1) % MOST_EXEMPLARS

    def keep(self, cell: int, labels: bytes, value: float) -> None:
        """Keep the newest exemplar of a cell."""
        number = self._records.get(cell)
        if number is None:
            number = self._place(cell)
        rest = _REST.pack(len(labels), cell, value, time()) + labels
        at = (number + 1) * _RECORD_BYTES
        self._bytes[at : at + _CHECK_BYTES + len(rest)] = _CHECK.pack(crc32(rest)) + rest
        if number >= self._words[_COUNT]:
            self._words[_COUNT] = number + 1

    def copy(self) -> bytes:
        """Return the file's bytes."""
        return self._bytes.tobytes()

    def _place(self, cell: int) -> int:
        if len(self._cells) < MOST_EXEMPLARS:
            self._cells.append(cell)
            number = len(self._cells) - 1
        else:
            number = self._next
            self._next = (number + 1) % MOST_EXEMPLARS
            self._records.pop(self._cells[number], None)
            self._cells[number] = cell
        self._records[cell] = number
        return number

    def _open(self, path: Path, header: bytes) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_size != _FILE_BYTES:
                os.ftruncate(file, 0)
                if hasattr(os, "posix_fallocate"):  # a store to a hole on a full disk would kill the process
                    os.posix_fallocate(file, 0, _FILE_BYTES)
                else:
                    os.ftruncate(file, _FILE_BYTES)
                os.pwrite(file, header, 0)
            self._bytes = memoryview(mmap.mmap(file, _FILE_BYTES))
        finally:
            os.close(file)


def labels_of(exemplar: Mapping[str, str]) -> bytes | None:
    """Return an exemplar's labels as they are kept; None where OpenMetrics, or a record, doesn't take them."""
    try:
        labels = orjson.dumps(exemplar)
        for name, value in exemplar.items():
            if not _is_name(name) or not isinstance(value, str):
                return None
    except TypeError:  # a mapping of something else, or text that is none
        return None
    if len(labels) > MOST_CHARACTERS and sum(map(len, (*exemplar, *exemplar.values()))) > MOST_CHARACTERS:
        return None
    return labels if len(labels) <= _RECORD_BYTES - _RECORD.size else None


def read_file(path: Path, identity: int) -> dict[int, tuple[int, Exemplar]]:
    """Return what `read_records` does of a file; nothing where there is none, or one of other values."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    try:
        header = os.pread(file, _RECORD_BYTES, 0)
        count = min(_HEADER.unpack_from(header)[_COUNT], MOST_EXEMPLARS) if len(header) == _RECORD_BYTES else 0
        return read_records(os.pread(file, (count + 1) * _RECORD_BYTES, 0), identity) or {}
    finally:
        os.close(file)


def read_records(data: bytes, identity: int) -> dict[int, tuple[int, Exemplar]] | None:
    """Return each whole record's cell and exemplar, by its number; None where they are of other values."""
    if len(data) < _RECORD_BYTES:
        return None
    magic, known, count = _HEADER.unpack_from(data)
    if magic != _MAGIC or known != identity:
        return None
    found = {}
    for number in range(min(count, MOST_EXEMPLARS, len(data) // _RECORD_BYTES - 1)):
        at = (number + 1) * _RECORD_BYTES
        check, length, cell, value, seconds = _RECORD.unpack_from(data, at)
        first = at + _RECORD.size
        if length <= _RECORD_BYTES - _RECORD.size and crc32(data[at + _CHECK_BYTES : first + length]) == check:
            found[number] = (cell, Exemplar(data[first : first + length], value, seconds))
    return found
