"""The Pub/Sub channel layer, with telemetry mixed in as a project does it."""

from channels_redis.pubsub import RedisPubSubChannelLayer

from telemetry.channels import TracedChannelLayer


class TracedLayer(TracedChannelLayer, RedisPubSubChannelLayer):
    """Redis Pub/Sub with the context carried."""
