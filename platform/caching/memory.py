"""The small level in the process: what was used last, within a number and a size. What it holds is compared with the
generations in Redis at each use, so it saves the way of the value, and not the question whether it's still good."""

import threading
from collections import OrderedDict

from caching.entries import Entry


class Memory:
    """Entries by name; the least recently used goes first."""

    def __init__(self, *, most_entries: int = 256, most_bytes: int = 16_000_000) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0

    def get(self, name: str) -> Entry | None:
        """Return the entry, which isn't known to be good."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None:
                self._entries.move_to_end(name)
            return entry

    def put(self, name: str, entry: Entry) -> None:
        """Keep an entry, unless it's so big that few others would fit beside it."""
        self.drop(name)
        if entry.size_bytes > self._most_bytes // 8:
            return
        with self._lock:
            self._entries[name] = entry
            self._bytes += entry.size_bytes
            while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= oldest.size_bytes

    def drop(self, name: str) -> None:
        """Let an entry go, if it's there."""
        with self._lock:
            if (entry := self._entries.pop(name, None)) is not None:
                self._bytes -= entry.size_bytes

    def clear(self) -> None:
        """Let all go."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)
