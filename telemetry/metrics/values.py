"""The file in which one process' values lie, `slot-<n>.metrics`, as its owner writes it and anybody may read it.

All numbers are in the machine's byte order; everything begins at a multiple of 8 bytes, and a *cell* is 8 bytes that
hold a float, counted from the file's beginning.

    cell 0          the form's name, `GLASSM01`
    cell 1          a random number, another one where what was said of cells before no longer holds
    cell 2          how many bytes are in use; what lies behind isn't there yet
    cell 3          always 0
    cells 4 to 127  scratch: values that found no room, read by nobody
    then entries    length of the key (4 bytes), number of cells (4), CRC-32 of both and the key (4), 0 (4),
                    the key, padded with blanks, and the cells

A key is JSON. `{"name", "type", "labels", "buckets"}` defines a family and has no cells, `{"of", "help"}` is the help
of the family defined at that byte, the last one counting, and `[<byte of the definition>, <value of a label>, …]` is
one of its series: one cell for a counter or a gauge, and for a histogram the sum and then each bucket, not cumulated.

Entries are only ever added. An entry is written first and then counted in cell 2, by one store of 8 bytes, so that a
process that dies in between leaves nothing half done. A cell is changed by one store too.
"""

import mmap
import os
import secrets
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import orjson

ZERO_CELL = 3
SCRATCH_CELL = 4
HEADER_BYTES = 1_024
MOST_CELLS = HEADER_BYTES // 8 - SCRATCH_CELL  # of one series, since it may have to do with the scratch
LARGEST_FILE_BYTES = 64 << 20
_SMALLEST_FILE_BYTES = 64 << 10
_MAGIC = b"GLASSM01"
_HEADER = struct.Struct("=8sQQ")
_ENTRY = struct.Struct("=IIII")
_IDENTITY, _USED = 1, 2


class UnreadableFileError(Exception):
    """What lies there is no file of values."""


class Entry(NamedTuple):
    """One entry: the byte where it begins, its key, its first cell and the number of them."""

    at: int
    key: bytes
    cell: int
    cells: int


class ValueFile:
    """The values of this process. Whoever calls holds the lock; a path of None keeps them in memory."""

    def __init__(self, path: Path | None) -> None:
        self._file = -1
        self._positions: dict[bytes, int] = {}
        self._helps: dict[int, str] = {}
        self.series_counts: dict[int, int] = {}  # of each family, by the byte of its definition
        self._gauge_definitions: set[int] = set()
        self.gauges: list[int] = []  # their cells
        self.was_damaged = False
        if path is None:
            self._bytes = memoryview(bytearray(_new_file(_SMALLEST_FILE_BYTES)))
            self._cast()
            return
        try:
            self._open(path)
            self._read_in()
        except BaseException:
            self._close_file()
            raise

    @property
    def identity(self) -> int:
        """The random number in cell 1."""
        return int(self._words[_IDENTITY])

    def copy(self) -> bytes:
        """Return what is in use."""
        return self._bytes[: self._words[_USED]].tobytes()

    def define(self, name: str, kind: str, labels: Sequence[str], buckets: Sequence[float], text: str) -> int:
        """Return the byte where a family is defined; OSError where there is no room."""
        key = orjson.dumps({"name": name, "type": kind, "labels": [*labels], "buckets": [*buckets]})
        at = self._positions.get(key)
        if at is None:
            at = self._add(key, 0).at
        if self._helps.get(at) != text:
            with suppress(OSError):  # a help is no value
                self._add(orjson.dumps({"of": at, "help": text}), 0)
        return at

    def find(self, definition: int, values: Sequence[str]) -> int | None:
        """Return the first cell of a series that is there already."""
        return self._positions.get(orjson.dumps([definition, *values]))

    def add(self, definition: int, values: Sequence[str], cells: int) -> int:
        """Return the first cell of a new series; OSError where there is no room."""
        return self._add(orjson.dumps([definition, *values]), cells).cell

    def close(self) -> None:
        """Let the file go."""
        self.cells.release()
        self._words.release()
        self._bytes.release()
        self._close_file()

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            size = os.fstat(self._file).st_size
            _check(os.pread(self._file, HEADER_BYTES, 0))
        except FileNotFoundError:
            self._replace(path)
        except UnreadableFileError:
            self._close_file()
            self.was_damaged = True
            self._replace(path)
        else:
            _reserve(self._file, max(size + -size % 8, _SMALLEST_FILE_BYTES))
        self._map()

    def _replace(self, path: Path) -> None:
        """Put an empty file there, whole from the first moment on."""
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        _reserve(self._file, _SMALLEST_FILE_BYTES)
        os.pwrite(self._file, _new_file(HEADER_BYTES), 0)
        new.replace(path)

    def _map(self) -> None:
        self._bytes = memoryview(mmap.mmap(self._file, os.fstat(self._file).st_size))
        self._cast()

    def _cast(self) -> None:
        self.cells: memoryview[float] = self._bytes.cast("d")
        self._words = self._bytes.cast("Q")

    def _read_in(self) -> None:
        """Learn what the file holds. What comes after a damaged entry is given up, and its place used again."""
        used = min(self._words[_USED], len(self._bytes))
        entries, end = read_entries(self._bytes[:used], HEADER_BYTES)
        for entry in entries:
            self._note(entry)
        if end != self._words[_USED]:
            self.was_damaged = True
            self._words[_IDENTITY] = secrets.randbits(64)
            self._words[_USED] = end

    def _note(self, entry: Entry) -> None:
        if entry.key[:1] == b"[":
            definition: int = orjson.loads(entry.key)[0]
            self._positions[entry.key] = entry.cell
            self.series_counts[definition] = self.series_counts.get(definition, 0) + 1
            if definition in self._gauge_definitions:
                self.gauges.append(entry.cell)
        elif entry.key.startswith(b'{"of"'):
            said = orjson.loads(entry.key)
            self._helps[said["of"]] = said["help"]
        else:
            self._positions[entry.key] = entry.at
            if orjson.loads(entry.key)["type"] == "gauge":
                self._gauge_definitions.add(entry.at)

    def _add(self, key: bytes, cells: int) -> Entry:
        at = self._words[_USED]
        padded = len(key) + -len(key) % 8
        size = _ENTRY.size + padded + 8 * cells
        if at + size > len(self._bytes):
            self._grow(at + size)
        head = _ENTRY.pack(len(key), cells, crc32(key, cells), 0)
        self._bytes[at : at + size] = head + key.ljust(padded) + bytes(8 * cells)
        self._words[_USED] = at + size
        entry = Entry(at, key, (at + _ENTRY.size + padded) // 8, cells)
        self._note(entry)
        return entry

    def _grow(self, least: int) -> None:
        size = len(self._bytes)
        while size < least:
            size *= 2
        if size > LARGEST_FILE_BYTES:
            raise OSError(f"A process' metrics may take {LARGEST_FILE_BYTES} bytes.")
        if self._file >= 0:
            _reserve(self._file, size)
            self._map()
        else:
            self._bytes = memoryview(bytearray(self._bytes.tobytes().ljust(size, b"\0")))
            self._cast()


def read_file(path: Path) -> tuple[int, int, bytes]:
    """Return a file's identity, how many bytes are in use, and as many of them as there are.

    Its owner may be writing meanwhile. UnreadableFileError where it's none of ours, OSError where it can't be opened.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        identity, used = _check(os.pread(file, HEADER_BYTES, 0))
        return identity, used, os.pread(file, used, 0)
    finally:
        os.close(file)


def read_entries(data: bytes | memoryview, begin: int) -> tuple[list[Entry], int]:
    """Return the entries from the byte `begin` on, and where the last good one ends."""
    entries: list[Entry] = []
    at, end = begin, len(data)
    while at + _ENTRY.size <= end:
        length, cells, check, _ = _ENTRY.unpack_from(data, at)
        padded = length + -length % 8
        first = at + _ENTRY.size + padded
        if first + 8 * cells > end or cells > MOST_CELLS:
            break
        key = bytes(data[at + _ENTRY.size : at + _ENTRY.size + length])
        if not key or crc32(key, cells) != check:
            break
        entries.append(Entry(at, key, first // 8, cells))
        at = first + 8 * cells
    return entries, at


def _check(header: bytes) -> tuple[int, int]:
    if len(header) < HEADER_BYTES:
        raise UnreadableFileError("The header is cut short.")
    magic, identity, used = _HEADER.unpack_from(header)
    if magic != _MAGIC or not HEADER_BYTES <= used <= LARGEST_FILE_BYTES:
        raise UnreadableFileError("The header isn't ours.")
    return identity, used


def _new_file(size: int) -> bytes:
    return _HEADER.pack(_MAGIC, secrets.randbits(64), HEADER_BYTES).ljust(size, b"\0")


def _reserve(file: int, size: int) -> None:
    """Give a file its length. Where the disk is full this raises; a store to a hole would kill the process instead."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:  # macOS
        os.ftruncate(file, size)
