"""Many people who are logged in, without a login each."""

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from accounts.models import User

_BACKEND = "django.contrib.auth.backends.ModelBackend"


def make_people(count: int, *, prefix: str = "talker") -> list[User]:
    """Return so many people."""
    return User.objects.bulk_create(
        [User(username=f"{prefix}-{number:04}", password=f"!{number}") for number in range(count)]
    )


def log_in(user: User) -> str:
    """Return the cookie of a session of theirs."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = _BACKEND
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return f"sessionid={session.session_key}"
