"""How many rooms one person, and one address, has open: counted over all processes, by leases in Redis.

A process writes how many it holds, with the time until which that's believed: at each connect and disconnect for the
one that it concerns, and every 15 seconds for all. So what a process that died held is free within a minute, and what
Redis forgot comes back. Where Redis is away a process goes by its own numbers, and counts that it did.
"""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from caching.connection import ask
from caching.errors import AwayError
from chat import conf, metrics

BELIEVED_SECONDS = 45.0
RENEW_SECONDS = 15.0
# All of it happens in this one thread: what Redis is told, it's told in the order in which it came about.
THREAD = ThreadPoolExecutor(1, thread_name_prefix="chat-places")

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
    """One socket's place."""

    user_id: int
    address: str
    is_held: bool = False

    @property
    def limits(self) -> dict[str, int]:
        """Return where it counts, and how many may be there."""
        limits = {f"chat:places:user:{self.user_id}": conf.sockets_of_user()}
        if self.address:
            limits[f"chat:places:address:{self.address}"] = conf.sockets_of_address()
        return limits


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
