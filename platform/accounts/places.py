"""How many sockets of a kind one person, and one address, has open: over all processes, by leases in Redis.

A process writes how many it holds, with the time until which that's believed: at each connect and disconnect for the
one that it concerns, and every 15 seconds for all. So what a process that died held is free within a minute, and what
Redis forgot comes back. Where Redis is away a process goes by its own numbers, and counts that it did.
"""

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from accounts import metrics
from caching.connection import ask
from caching.errors import AwayError
from telemetry import context

BELIEVED_SECONDS = 45.0
RENEW_SECONDS = 15.0
_REFUSAL_SECONDS = 60
# All of it happens in this one thread: what Redis is told, it's told in the order in which it came about.
THREAD = ThreadPoolExecutor(1, thread_name_prefix="places")

# KEYS: a hash for each that counts, with an entry for each process, "<how many> <until when>".
# ARGV: the process, for how many seconds it's believed, then for each key how many it would hold, and how many may be.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
for i, key in ipairs(KEYS) do
    local total = tonumber(ARGV[1 + 2 * i])
    local entries = redis.call('HGETALL', key)
    for n = 1, #entries, 2 do
        local count, ends = string.match(entries[n + 1], '(%d+) (.+)')
        if entries[n] ~= ARGV[1] and tonumber(ends) > now then total = total + tonumber(count) end
        if tonumber(ends) <= now then redis.call('HDEL', key, entries[n]) end
    end
    if total > tonumber(ARGV[2 + 2 * i]) then return 0 end
end
for i, key in ipairs(KEYS) do
    redis.call('HSET', key, ARGV[1], ARGV[1 + 2 * i] .. ' ' .. string.format('%.3f', now + ARGV[2]))
    redis.call('EXPIRE', key, math.ceil(ARGV[2]))
end
return 1
"""


@dataclass(eq=False, slots=True)
class Place:
    """One socket's place: where it counts, and how many may be there."""

    limits: dict[str, int]
    is_held: bool = False


def place_of(kind: str, user_id: int, of_user: int, of_address: int) -> Place:
    """Return a place for a socket of a kind, of which one person and their address may have so many."""
    limits = {f"places:{kind}:user:{user_id}": of_user}
    if address := context.current().client_address:
        limits[f"places:{kind}:address:{address}"] = of_address
    return Place(limits)


class Places:
    """What one process holds. Its methods block: they are called in `THREAD`."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._held: Counter[str] = Counter()  # by where it counts

    def take(self, place: Place) -> bool:
        """Hold a place; False where as many as may be are held already, here or anywhere."""
        limits = place.limits
        if any(self._held[key] >= most for key, most in limits.items()):
            return False
        arguments = [argument for key, most in limits.items() for argument in (self._held[key] + 1, most)]
        try:
            if not ask(
                lambda redis: redis.eval(_TAKE, len(limits), *limits, self._process, BELIEVED_SECONDS, *arguments)
            ):
                return False
        except AwayError:
            metrics.UNCOUNTED.inc()
        self._held.update(limits.keys())
        place.is_held = True
        return True

    def leave(self, place: Place) -> None:
        """Let somebody else have the place; nothing happens where it wasn't got."""
        if not place.is_held:
            return
        place.is_held = False
        keys = list(place.limits)
        self._held -= Counter(keys)
        self._tell(keys)

    def is_first_refusal(self, place: Place) -> bool:
        """Whether it's the first in a minute: whoever keeps trying doesn't fill the ledger."""
        key = f"{next(iter(place.limits))}:refused"
        try:
            return bool(ask(lambda redis: redis.set(key, 1, nx=True, ex=_REFUSAL_SECONDS)))
        except AwayError:
            return True

    def renew(self) -> None:
        """Hold all places for a while longer."""
        self._tell(list(self._held))

    def _tell(self, keys: list[str]) -> None:
        try:
            ask(partial(self._write, keys))
        except AwayError:
            return  # the next renewal tells it

    def _write(self, keys: list[str], client: Any) -> None:
        seconds, microseconds = client.time()
        ends = seconds + microseconds / 1e6 + BELIEVED_SECONDS
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                if count := self._held[key]:
                    pipe.hset(key, self._process, f"{count} {ends:.3f}")
                    pipe.pexpire(key, int(BELIEVED_SECONDS * 1000))
                else:
                    pipe.hdel(key, self._process)
            pipe.execute()


OWN = Places(uuid.uuid4().hex[:12])
_renewed_at = time.monotonic()


def renew_when_due() -> None:
    """Hold this process' places for longer, in the background; whoever has sockets calls it every few seconds."""
    global _renewed_at
    if time.monotonic() - _renewed_at > RENEW_SECONDS:
        _renewed_at = time.monotonic()
        THREAD.submit(OWN.renew)
