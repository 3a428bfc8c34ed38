"""How long the queues are, and how old their oldest messages, asked by one process of all.

Every worker's parent and beat run a poller, in a thread, and a lease in Redis picks the one that polls: so there is one
on whatever machine is alive, and one is left where all workers are gone and the queues grow. Gauges are summed over
processes: one that doesn't poll shows 0, and one that should but can't shows NaN, never what it last saw.
"""

import math
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable
from functools import cache
from typing import Any

import redis

from telemetry import conf
from telemetry.celery import metrics
from telemetry.celery.carriers import SENT_AT_KEY, timestamp_of
from telemetry.faults import fails_open
from telemetry.metrics import gauge
from telemetry.tracing.work import unobserved

LEASE_KEY = "celery:poller"
_LEASE_INTERVALS = 3
_MOST_QUEUES = 100

LENGTH = gauge("celery_queue_length", "Messages that wait in a queue, of all priorities.", ["queue"])
AGE = gauge(
    "celery_queue_oldest_message_age_seconds",
    "How long the oldest message has waited, after its ETA if it has one; brokers other than Redis don't tell.",
    ["queue"],
)
_length = cache(LENGTH.labels)
_age = cache(AGE.labels)

# A message's headers come after its body, which may be large: only the end is sent here.
_PEEK = """
local tails = {}
for i, key in ipairs(KEYS) do
    local message = redis.call('LINDEX', key, -1)
    tails[i] = message and string.sub(message, -8192) or ''
end
return tails
"""
_RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
_GIVE_BACK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
# In an argument's text the quotes would be escaped.
_SENT_AT = re.compile(rf'(?<!\\)"{SENT_AT_KEY}": ?"([0-9.]+)"')
_ETA = re.compile(r'(?<!\\)"eta": ?"([^"]+)"')
# A child forked while the thread holds a metric's lock would wait for it for ever.
_telling = threading.Lock()
os.register_at_fork(before=_telling.acquire, after_in_parent=_telling.release, after_in_child=_telling.release)


class Poller:
    """Asks the broker every few seconds, while it holds the lease."""

    def __init__(self, app: Any, interval_seconds: float) -> None:
        self._app = app
        self._interval = interval_seconds
        self._lease: Any = redis.Redis.from_url(conf.redis_url(), socket_timeout=1, socket_connect_timeout=1)
        self._token = secrets.token_hex(8)
        self._connection: Any = None
        self._channel: Any = None
        self._shown: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry-queues", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and let another process go on at once."""
        self._stopping.set()
        self._thread.join(2)
        self._show({}, 0.0)
        self._give_back()

    def poll(self) -> None:
        """Do what is done every few seconds, once."""
        with unobserved():
            try:
                if not self._holds_lease():
                    self._show({}, 0.0)
                    return
                figures = {queue: (self._length_of(queue), self._age_of(queue)) for queue in self._queues()}
            except Exception:
                self._show({}, math.nan)
                self._disconnect()
                raise
            self._show(figures, math.nan)

    def _run(self) -> None:
        while True:
            fails_open("celery.poll")(self.poll)()
            if self._stopping.wait(self._interval):
                self._disconnect()
                return

    def _holds_lease(self) -> bool:
        milliseconds = max(1, round(self._interval * _LEASE_INTERVALS * 1_000))
        if self._lease.set(LEASE_KEY, self._token, nx=True, px=milliseconds):
            return True
        return bool(self._lease.eval(_RENEW, 1, LEASE_KEY, self._token, milliseconds))

    @fails_open("celery.give_back")
    def _give_back(self) -> None:
        self._lease.eval(_GIVE_BACK, 1, LEASE_KEY, self._token)
        self._lease.close()

    def _queues(self) -> Iterable[str]:
        return list(self._app.amqp.queues)[:_MOST_QUEUES]

    def _open_channel(self) -> Any:
        if self._channel is None:
            self._connection = self._app.connection_for_read()
            self._channel = self._connection.channel()  # its `default_channel` would try for ever
        return self._channel

    def _length_of(self, queue: str) -> int:
        try:
            return int(self._open_channel().queue_declare(queue=queue, passive=True).message_count)
        except self._connection.channel_errors:  # it doesn't exist: in Redis, where it's empty
            if not _is_redis(self._connection):
                self._disconnect()  # such an error closes an AMQP channel
            return 0

    def _age_of(self, queue: str) -> float:
        """Seconds since the oldest message was due; NaN where that isn't to be known."""
        channel = self._open_channel()
        if not _is_redis(self._connection):
            return math.nan
        keys = [f"{channel.global_keyprefix}{channel._q_for_pri(queue, step)}" for step in channel.priority_steps]
        with channel.conn_or_acquire() as client:
            # Past the client's own `eval`, whose prefixes would depend on the command.
            tails = redis.Redis(connection_pool=client.connection_pool).eval(_PEEK, len(keys), *keys)
        found = [tail.decode("utf-8", "replace") if isinstance(tail, bytes) else str(tail) for tail in tails if tail]
        if not found:
            return 0.0
        due = [at for at in map(self._due_at, found) if at is not None]
        return max(0.0, time.time() - min(due)) if due else math.nan

    def _due_at(self, message: str) -> float | None:
        sent = _SENT_AT.search(message)
        if sent is None:
            return None
        eta = _ETA.search(message)
        return max(float(sent[1]), timestamp_of(self._app, eta[1]) if eta else 0.0)

    def _show(self, figures: dict[str, tuple[int, float]], otherwise: float) -> None:
        """Set the gauges, those of queues that were shown before and aren't told now to `otherwise`."""
        with _telling:
            for queue in self._shown - set(figures):
                _length(queue).set(otherwise)
                _age(queue).set(otherwise)
            for queue, (length, age) in figures.items():
                _length(queue).set(length)
                _age(queue).set(age)
            self._shown |= set(figures)

    def _disconnect(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            fails_open("celery.close")(connection.close)()


_poller: Poller | None = None


@fails_open("celery.start_poller")
def start_poller(sender: Any = None, **kwargs: Any) -> None:
    """Begin to poll in this process, the worker's parent or beat (`worker_ready`, `beat_init`)."""
    global _poller
    app = getattr(sender, "app", None)
    interval = conf.celery_poll_seconds()
    if _poller is None and app is not None and interval > 0 and conf.redis_url():
        _poller = Poller(app, interval)
        _poller.start()


@fails_open("celery.stop_poller")
def stop_poller(**kwargs: Any) -> None:
    """Stop polling in this process (`worker_shutdown`)."""
    global _poller
    poller, _poller = _poller, None
    if poller is not None:
        poller.stop()


@fails_open("celery.count_worker")
def count_worker(**kwargs: Any) -> None:
    """Note that this worker takes tasks (`worker_ready`)."""
    metrics.WORKERS.set(1)


@fails_open("celery.uncount_worker")
def uncount_worker(**kwargs: Any) -> None:
    """Note that this worker takes no more tasks (`worker_shutdown`)."""
    metrics.WORKERS.set(0)


def _is_redis(connection: Any) -> bool:
    return bool(connection.transport.driver_type == "redis")
