"""The way to Redis, with a fuse: a Redis that is down or hangs costs one try a second, not one a page."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import caches
from django.core.signals import setting_changed
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from caching.errors import AwayError
from caching.metrics import FAILURES
from telemetry.logs import get_logger

log = get_logger(__name__)
T = TypeVar("T")

ALIAS = "default"
_PAUSE_SECONDS = 1.0
_away_until = 0.0


def ask(question: Callable[[Any], T], *, is_trying: bool = False) -> T:
    """Return what `question` gives when called with a redis-py client of the cache's Redis.

    For a second after a failure it isn't asked at all, unless `is_trying`; then one thread tries, and the others go on
    without, since a Redis that hangs would hold them all.

    Raises:
        AwayError: it failed, or just did.
    """
    global _away_until
    if _away_until and not is_trying:
        now = time.monotonic()
        if now < _away_until:
            raise AwayError(AwayError.__doc__)
        _away_until = now + _PAUSE_SECONDS
    try:
        answer = question(get_redis_connection(ALIAS))
    except (RedisError, OSError) as error:
        if not _away_until:  # once, however long it's away
            log.warning("caching.redis_away", error=type(error).__name__)
        _away_until = time.monotonic() + _PAUSE_SECONDS
        FAILURES.inc()
        raise AwayError(AwayError.__doc__) from error
    if _away_until:
        _away_until = 0.0
        log.info("caching.redis_back")
    return answer


@cache
def key_for(name: str) -> str:
    """Return the key of a few fixed names, as the Django cache would write it."""
    return str(caches[ALIAS].make_key(f"caching:{name}"))


@cache
def release() -> str:
    """Return what stands in the key of all that code makes: another release makes other pages."""
    return str(settings.CACHING_RELEASE)


def _forget(*, setting: str, **kwargs: Any) -> None:
    global _away_until
    if setting in {"CACHES", "CACHING_RELEASE"}:
        key_for.cache_clear()
        release.cache_clear()
        _away_until = 0.0


setting_changed.connect(_forget)
