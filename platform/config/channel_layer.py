"""The channel layer: Redis Pub/Sub, with the causing request's context in every message and a bound to every queue.

The layer's own queues have none, so a browser that reads slowly would fill the process' memory. Here it loses its
oldest messages instead; a client sees the gap in their numbers and fetches what it missed.
"""

import asyncio
from functools import partial
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer, RedisPubSubLoopLayer

from telemetry.channels import DISCONNECTED, SLOW_CONSUMER, BoundedQueue, TracedChannelLayer, note_dropped

CAPACITY = 500  # messages that wait for one consumer


class ChannelLayer(TracedChannelLayer, RedisPubSubChannelLayer):  # type: ignore[misc]
    """Redis Pub/Sub with the context carried. `capacity` is how many messages may wait for one consumer."""

    def __init__(self, *args: Any, capacity: int = CAPACITY, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._capacity = capacity

    def note_dropped(self, data: bytes, reason: str) -> None:
        """Count a message that is lost, as it came from Redis."""
        note_dropped(self.deserialize(data), reason)

    def _get_layer(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._layers:
            super()._get_layer()  # sees to it that the loop's layer ends with the loop
            self._layers[loop] = _LoopLayer(*self._args, capacity=self._capacity, channel_layer=self, **self._kwargs)
        return self._layers[loop]


class _LoopLayer(RedisPubSubLoopLayer):  # type: ignore[misc]
    def __init__(self, *args: Any, capacity: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._capacity = capacity
        self._abandoned: list[str] = []  # channels that Redis still sends us

    async def new_channel(self, *args: Any, **kwargs: Any) -> str:
        """Return a new channel for the running task's consumer, and forget it when that task ends."""
        while self._abandoned:
            channel = self._abandoned.pop()
            await self._get_shard(channel).unsubscribe(channel)
        name: str = await super().new_channel(*args, **kwargs)
        if (task := asyncio.current_task()) is not None:
            task.add_done_callback(lambda _: self._forget(name))
        return name

    async def _subscribe_to_channel(self, channel: str) -> None:
        on_drop = partial(self.channel_layer.note_dropped, reason=SLOW_CONSUMER)
        self.channels[channel] = BoundedQueue(self._capacity, on_drop)
        await self._get_shard(channel).subscribe(channel)

    def _forget(self, channel: str) -> None:
        # A consumer that was waiting gave its queue back; one that failed or was cancelled in a handler didn't, and
        # its queue would go on filling.
        queue = self.channels.pop(channel, None)
        if queue is None:
            return
        for members in self.groups.values():
            members.discard(channel)
        self._abandoned.append(channel)
        while not queue.empty():
            self.channel_layer.note_dropped(queue.get_nowait(), DISCONNECTED)
