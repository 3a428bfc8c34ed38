"""Who reads over a socket that stays open: the same person still, and in how many places at once."""

from contextlib import suppress
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model, load_backend
from django.core.cache import cache
from django.utils.crypto import constant_time_compare

from audit import conf, recording
from audit.errors import NotLoggedInError, TooManyTailsError

PLACE_KEPT_SECONDS = 30
_REFUSALS_RECORDED_EVERY_SECONDS = 60


def user_of(scope: dict[str, Any]) -> Any:
    """Return the user of a socket's ASGI scope, anew from the database; None where the account is gone or closed.

    Raises:
        NotLoggedInError: nobody is logged in, or the session has ended since.
    """
    known = scope.get("user")
    if known is None or not known.is_authenticated:
        raise NotLoggedInError
    if "session" not in scope:  # the project tells by other means who it is
        return get_user_model()._default_manager.filter(pk=known.pk, is_active=True).first()
    # Not by Django's own `get_user`, which ends or renews a session that isn't right any more: this only looks.
    session = import_module(settings.SESSION_ENGINE).SessionStore(scope["session"].session_key)
    backend = session.get(BACKEND_SESSION_KEY)
    if session.get(SESSION_KEY) != str(known.pk) or backend not in settings.AUTHENTICATION_BACKENDS:
        raise NotLoggedInError
    user: Any = load_backend(backend).get_user(known.pk)
    if user is not None:
        hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
        if not any(constant_time_compare(session.get(HASH_SESSION_KEY, ""), one) for one in hashes):
            raise NotLoggedInError  # the password was changed
    return user


# A place is a lease in the cache: so they count over all processes that share one, and those of a process that died
# come free by themselves. A cache that is away, or not shared, keeps nobody from the ledger.


def take_place(user_pk: Any) -> str:
    """Take one of the `AUDIT_TAIL_CONNECTIONS` places of a person, and return its name.

    Raises:
        TooManyTailsError: all are taken; that is recorded, once a minute.
    """
    for number in range(conf.tail_connections()):
        place = f"audit-tail-{user_pk}-{number}"
        if _is_added(place, PLACE_KEPT_SECONDS):
            return place
    # A client that keeps trying must not fill the ledger.
    if _is_added(f"audit-tail-{user_pk}-refused", _REFUSALS_RECORDED_EVERY_SECONDS):
        recording.record("audit.ledger.read_denied", outcome="denied", changes={"tails": conf.tail_connections()})
    raise TooManyTailsError


def keep_place(place: str) -> None:
    """Keep a place for `PLACE_KEPT_SECONDS` more."""
    with suppress(Exception):
        cache.set(place, 1, PLACE_KEPT_SECONDS)


def leave_place(place: str) -> None:
    """Let somebody else have the place."""
    with suppress(Exception):
        cache.delete(place)


def _is_added(key: str, seconds: int) -> bool:
    try:
        return cache.add(key, 1, seconds) is not False  # some caches that are away say None
    except Exception:
        return True
