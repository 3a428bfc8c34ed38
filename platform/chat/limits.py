"""How much one person, or one address, may say or ask in a minute: counted in Redis, for all processes together.

Where Redis is away nobody is counted: messages are worth more than the limit, and each socket has one of its own.
"""

import time
from functools import partial
from typing import Any, TypeAlias

import audit
from accounts.models import User
from caching.connection import ask
from caching.errors import AwayError
from chat import conf, metrics
from chat.errors import TooManyError
from telemetry import context

MOST_QUESTIONS_PER_MINUTE = 120  # for people's names, while one types
_WINDOW_SECONDS = 60
_Limit: TypeAlias = tuple[str, str, int]  # what counts, of whom, and how many may be


def take_message(actor: User) -> None:
    """Count one message; the first refusal of a person in a minute goes into the ledger.

    Raises:
        TooManyError: too many were sent by this person, or from this address.
    """
    address = context.current().client_address
    limits = [("user", str(actor.pk), conf.messages_per_minute())]
    if address:
        limits.append(("address", address, conf.messages_per_minute_of_address()))
    _take("said", limits, action="chat.message.limited", called="messages")


def take_question(actor: User) -> None:
    """Count one question for people's names, as `take_message` counts messages.

    Raises:
        TooManyError: too many were asked by this person.
    """
    limit = "questions", str(actor.pk), MOST_QUESTIONS_PER_MINUTE
    _take("asked", [limit], action="chat.people.limited", called="questions")


def _take(what: str, limits: list[_Limit], *, action: str, called: str) -> None:
    window, passed = divmod(time.time(), _WINDOW_SECONDS)
    keys = [f"chat:{what}:{kind}:{who}:{window:.0f}" for kind, who, _ in limits]
    try:
        counts: list[int] = ask(partial(_count, keys))
    except AwayError:
        return
    for (kind, _, most), count in zip(limits, counts, strict=True):
        if count > most:
            metrics.LIMITED.labels(kind).inc()
            if count == most + 1:  # whoever keeps trying doesn't fill the ledger
                audit.record(action, outcome="denied", changes={"limit": kind, "per_minute": most})
            wait = max(1, round(_WINDOW_SECONDS - passed))
            raise TooManyError(f"At most {most} {called} a minute; wait {wait} s.", retry_after_seconds=wait)


def _count(keys: list[str], client: Any) -> list[int]:
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.incr(key)
        counts = [int(count) for count in pipe.execute()]
        for key, count in zip(keys, counts, strict=True):
            if count == 1:
                pipe.expire(key, 2 * _WINDOW_SECONDS)
        pipe.execute()
    return counts
