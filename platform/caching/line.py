"""A connection of its own for each thread, for the one question that each look at the cache asks.

redis-py's client takes a connection from a pool, retries, and looks for a callback: three times the processor time of
the question itself.
"""

import os
import threading
from functools import partial
from typing import Any

from redis.exceptions import ConnectionError as ClosedError

from caching.connection import ask


class _Line(threading.local):
    pool: Any = None
    process_id = 0
    connection: Any = None
    command: tuple[str, ...] = ()
    packed: Any = None


_line = _Line()


def ask_shortly(*command: str) -> Any:
    """Return Redis' answer to a command that changes nothing, as it is. Raises AwayError."""
    return ask(partial(_send, command))


def _send(command: tuple[str, ...], redis: Any) -> Any:
    line, pool = _line, redis.connection_pool
    if line.pool is not pool or line.process_id != os.getpid():  # other settings, or a child that inherited it
        line.connection = pool.connection_class(**pool.connection_kwargs)
        line.pool, line.process_id, line.command = pool, os.getpid(), ()
    if line.command != command:
        line.command, line.packed = command, line.connection.pack_command(*command)
    try:
        return _exchange(line)
    except ClosedError:  # by a server that was restarted, or found it idle for long
        return _exchange(line)


def _exchange(line: _Line) -> Any:
    try:
        line.connection.send_packed_command(line.packed)
        return line.connection.read_response()
    except BaseException:  # even one that a signal raised: its answer would be taken for the next one's
        line.connection.disconnect()
        raise
