"""Redis as the carrier of messages that may get lost, since a row knows of their tasks.

By itself Celery notes in Redis which messages a worker has taken, and strikes them out once a child has them: two
round trips, and more than a third of what a worker's parent does. A task with a row needs none of it: the sweep sends
what got lost with a worker. Other messages are kept as ever.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual

# In the headers of a task's message: it has a row.
ROW_HEADER = "glasshouse_row"


def use() -> None:
    """Have Celery's connections to Redis made by this module, from now on."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"


class QoS(redis.QoS):
    """What a worker has taken and not begun; of what has a row only this process knows."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Keep a message that was taken."""
        if ROW_HEADER in message.headers:
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message that was begun."""
        if self._is_only_here(delivery_tag):
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Forget a message, or put it back."""
        if not self._is_only_here(delivery_tag):
            super().reject(delivery_tag, requeue)
            return
        if requeue:
            self.restore_by_tag(delivery_tag, leftmost=True)
        virtual.QoS.ack(self, delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        """Put a message back into its queue."""
        if not self._is_only_here(tag):
            super().restore_by_tag(tag, client, leftmost)
            return
        message = self._delivered[tag]
        to = message.delivery_info
        with self.channel.conn_or_acquire(client) as pushing:
            self.channel._do_restore_message(message._raw, to["exchange"], to["routing_key"], pushing, leftmost)

    def _is_only_here(self, delivery_tag: str) -> bool:
        message = self._delivered.get(delivery_tag)
        return message is not None and ROW_HEADER in message.headers


class Channel(redis.Channel):
    """A channel that makes one client of Redis, and not a new one for each command."""

    QoS = QoS
    _kept_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:  # after a fork it's another
            self._kept_client = super()._create_client()
        return self._kept_client


class Transport(redis.Transport):
    """Redis, with these channels."""

    Channel = Channel
