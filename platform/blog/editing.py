"""Who has a post's editor open: a heartbeat each, that expires. Where Redis is away, nobody is told of."""

import time

from django_redis import get_redis_connection
from redis.exceptions import RedisError

from accounts.models import User
from blog.models import Post
from telemetry.logs import get_logger

log = get_logger(__name__)

BEAT_SECONDS = 15
EXPIRE_SECONDS = 45


def note_editing(post: Post, user: User) -> list[User]:
    """Note that `user` has the editor open, and return who else has, by name."""
    now = time.time()
    try:
        pipe = get_redis_connection("default").pipeline()
        pipe.zadd(_key(post), {str(user.pk): now})
        pipe.zremrangebyscore(_key(post), "-inf", now - EXPIRE_SECONDS)
        pipe.expire(_key(post), EXPIRE_SECONDS)
        pipe.zrange(_key(post), 0, -1)
        present = {int(member) for member in pipe.execute()[-1]} - {user.pk}
    except RedisError as error:
        log.warning("blog.editing_unknown", error=type(error).__name__)
        return []
    return _by_name(present)


def editors_of(post: Post, *, but_for: User) -> list[User]:
    """Return who has the editor open, by name, without noting anything."""
    try:
        found = get_redis_connection("default").zrangebyscore(_key(post), time.time() - EXPIRE_SECONDS, "+inf")
    except RedisError as error:
        log.warning("blog.editing_unknown", error=type(error).__name__)
        return []
    return _by_name({int(member) for member in found} - {but_for.pk})


def stop_editing(post: Post, user: User) -> None:
    """Note that `user` has left the editor."""
    try:
        get_redis_connection("default").zrem(_key(post), str(user.pk))
    except RedisError as error:
        log.warning("blog.editing_unknown", error=type(error).__name__)


def _by_name(keys: set[int]) -> list[User]:
    return list(User.objects.filter(pk__in=keys).order_by("display_name", "username")) if keys else []


def _key(post: Post) -> str:
    return f"glasshouse:blog.editing:{post.pk}"
