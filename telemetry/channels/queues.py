"""Queues between a channel layer and its consumers: bounded, and what they lose is counted."""

import asyncio
from collections.abc import Callable
from typing import Any


class BoundedQueue(asyncio.Queue[Any]):
    """Loses its oldest item rather than grow, and tells of each that it loses."""

    def __init__(self, capacity: int, on_drop: Callable[[Any], None]) -> None:
        super().__init__(capacity)
        self._on_drop = on_drop

    def put_nowait(self, item: Any) -> None:
        """Add an item, at the cost of the oldest where there's no room."""
        if self.full():
            self._on_drop(self.get_nowait())
        super().put_nowait(item)
