"""Who is in which room: in Redis, with an end to each entry, so that nobody stays who is gone.

A room's sorted set holds a member for each person and process, with the time until which it's believed; a process
renews its own every two seconds. Several tabs are one entry or a few of the same person; a process that died is
forgotten within seconds. Times are Redis' own, so no two clocks are compared.
"""

import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from caching.connection import ask
from caching.errors import AwayError

BELIEVED_SECONDS = 15
_KEPT_SECONDS = 60
_PROCESS = uuid.uuid4().hex[:12]

Here = dict[int, set[int]]  # room id → the ids of people who are there


def renew(
    mine: Mapping[int, Iterable[int]], gone: Iterable[tuple[int, int]], *, process: str = _PROCESS
) -> Here | None:
    """Say who is in which room here, and who isn't any more (pairs of room and person); return who is there at all.

    None where Redis is away: then nobody knows.
    """
    try:
        here: Here = ask(partial(_renew, mine, list(gone), process))
    except AwayError:
        return None
    return here


def people_in(room_id: int) -> set[int]:
    """Return the ids of those who are in a room; nobody where Redis is away."""
    here = renew({room_id: ()}, ())
    return here[room_id] if here else set()


def _renew(mine: Mapping[int, Iterable[int]], gone: list[tuple[int, int]], process: str, client: Any) -> Here:
    seconds, microseconds = client.time()
    now = seconds + microseconds / 1e6
    with client.pipeline(transaction=False) as pipe:
        for room_id, user_id in gone:
            pipe.zrem(_key(room_id), f"{user_id}:{process}")
        for room_id, user_ids in mine.items():
            entries = {f"{user_id}:{process}": now + BELIEVED_SECONDS for user_id in user_ids}
            if entries:
                pipe.zadd(_key(room_id), entries)
                pipe.expire(_key(room_id), _KEPT_SECONDS)
        pipe.execute()
        for room_id in mine:
            pipe.zremrangebyscore(_key(room_id), "-inf", now)
            pipe.zrange(_key(room_id), 0, -1)
        answers = pipe.execute()[1::2]
    return {
        room_id: {int(entry.partition(b":")[0]) for entry in entries}
        for room_id, entries in zip(mine, answers, strict=True)
    }


def _key(room_id: int) -> str:
    return f"chat:here:{room_id}"
