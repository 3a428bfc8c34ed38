"""Slows down whoever guesses passwords, without shutting out the person whose password it is.

Failures are counted for one account from one address. From the tenth in ten minutes on, one attempt is let through
a minute, then one in two minutes, in four, and so on, at most fifteen. Another address isn't slowed, nor another
account. The counters live in the cache; where that is down, logins work without a brake, and the log says so.
"""

import hashlib
import time
from typing import Any

from django.core.cache import cache

from telemetry.logs import get_logger
from telemetry.metrics import counter

log = get_logger(__name__)
REFUSED = counter("accounts_logins_throttled_total", "Login attempts that had to wait.")

FREE_ATTEMPTS = 10
WINDOW_SECONDS = 600
FIRST_WAIT_SECONDS = 60
LONGEST_WAIT_SECONDS = 900


def seconds_to_wait(username: str, address: str) -> int:
    """Count an attempt before it's made, so that many at once can't slip by; return 0 where it may be made now."""
    attempts_key, wait_key = _keys(username, address)
    try:
        if remaining := _remaining(wait_key):
            return _refused(remaining)
        cache.add(attempts_key, 0, timeout=WINDOW_SECONDS)
        attempts: int | None = cache.incr(attempts_key)
        if attempts is None:  # the cache is down, and told to keep that to itself
            log.warning("accounts.login_throttle_unavailable")
            return 0
        if attempts < FREE_ATTEMPTS:
            return 0
        wait = wait_after(attempts)
        cache.touch(attempts_key, timeout=wait + WINDOW_SECONDS)
        if cache.add(wait_key, time.time() + wait, timeout=wait):
            return 0  # the one attempt for which there is no wait; the next one has to
        return _refused(_remaining(wait_key))
    except Exception:  # whatever ails the cache, people can log in
        log.warning("accounts.login_throttle_unavailable", exc_info=True)
        return 0


def forget_attempts(username: str, address: str) -> None:
    """Start anew after a login that succeeded."""
    try:
        cache.delete_many(list(_keys(username, address)))
    except Exception:
        log.warning("accounts.login_throttle_unavailable", exc_info=True)


def wait_after(attempts: int) -> int:
    """Return how long the next attempt waits, in seconds."""
    return min(FIRST_WAIT_SECONDS << min(attempts - FREE_ATTEMPTS, 10), LONGEST_WAIT_SECONDS)


def _refused(remaining: int) -> int:
    if remaining:
        REFUSED.inc()
    return remaining


def _remaining(wait_key: str) -> int:
    until: Any = cache.get(wait_key)
    return max(1, round(until - time.time())) if until else 0


def _keys(username: str, address: str) -> tuple[str, str]:
    # A digest, since a name may hold anything and the cache should know nobody.
    digest = hashlib.sha256(f"{username.strip().lower()}\0{address}".encode(errors="replace")).hexdigest()[:32]
    return f"login-attempts:{digest}", f"login-wait:{digest}"
