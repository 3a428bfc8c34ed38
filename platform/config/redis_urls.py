"""One Redis, a database for each use: the URLs that its clients understand."""

from urllib.parse import urlsplit, urlunsplit

BROKER, CACHE, CHANNELS, TELEMETRY = range(4)


def with_database(url: str, database: int) -> str:
    """Return `url` (`redis://`, `rediss://` or `unix://`) with the database's number in it, for redis-py."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}?db={database}"  # urlunsplit would drop the empty host's slashes
    return urlunsplit(parts._replace(path=f"/{database}"))


def for_kombu(url: str, database: int) -> str:
    """Return the same for Celery, whose scheme for a unix socket is `redis+socket://`."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"redis+socket://{parts.path}?virtual_host={database}"
    return with_database(url, database)
