"""What a notification may hold, asked both where it's requested and where it's written."""

from notifications.errors import TopicError, UnsafeUrlError

LONGEST_TOPIC = 100


def require_url(url: str) -> None:
    """Raise UnsafeUrlError where `url` leads off this site."""
    if url and (not url.startswith("/") or url.startswith(("//", "/\\")) or not url.isprintable()):
        raise UnsafeUrlError(UnsafeUrlError.__doc__)


def require_topic(topic: str, topic_title: str) -> None:
    """Raise TopicError where one is given without the other, or the key is long or odd."""
    if bool(topic) != bool(topic_title) or len(topic) > LONGEST_TOPIC or not topic.isprintable():
        raise TopicError(TopicError.__doc__)


def one_line(text: str, length: int) -> str:
    """People's words end up in titles: one line, without what PostgreSQL can't store, cut with a sign of it."""
    line = " ".join(text.replace("\x00", "").split())
    return line if len(line) <= length else line[: length - 1] + "…"
