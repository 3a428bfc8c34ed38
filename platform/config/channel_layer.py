"""The channel layer: Redis Pub/Sub, with the causing request's context in every message."""

from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer

from telemetry.channels import TracedChannelLayer


class ChannelLayer(TracedChannelLayer, RedisPubSubChannelLayer):  # type: ignore[misc]
    """Redis Pub/Sub with the context carried."""

    async def forward(self, method: str, address: str, message: dict[str, Any]) -> None:
        # The Pub/Sub layer has a layer for each event loop and finds its methods by `__getattr__`.
        await getattr(self._get_layer(), method)(address, message)
