"""What people can be told of: each kind with its words, and the ways by which it's told where nobody chose others."""

from dataclasses import dataclass
from typing import Literal

from notifications.errors import UnknownKindError

Digest = Literal["off", "daily", "weekly"]
DIGESTS: tuple[tuple[Digest, str], ...] = (("off", "No digest"), ("daily", "Daily digest"), ("weekly", "Weekly digest"))


@dataclass(frozen=True, slots=True)
class Channels:
    """The ways to a person: the site's pages, an e-mail of its own soon, and a line in a digest."""

    page: bool = True
    email: bool = False
    digest: Digest = "off"

    @property
    def is_silent(self) -> bool:
        """Whether nothing is told at all."""
        return not self.page and not self.email and self.digest == "off"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of notification. `many` goes between a number and a topic: "3 comments on “Clocks”"."""

    name: str
    label: str
    many: str
    defaults: Channels


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("comment", "Comments on what you wrote", "comments on", Channels(email=True)),
        Kind("reply", "Replies to your comments", "replies on", Channels(email=True)),
        Kind("mention", "Mentions of you", "mentions in", Channels(email=True)),
        Kind("subscription", "News of what you follow", "news of", Channels(digest="daily")),
        Kind("schedule", "Posts that go out by themselves", "scheduled changes of", Channels(email=True)),
        Kind("review", "Reviews of posts before they're published", "steps in the review of", Channels(email=True)),
        Kind("task_result", "Results of tasks that you started", "results of", Channels()),
        Kind("moderation", "Decisions of moderators", "decisions on", Channels(email=True)),
        Kind("chat_message", "Messages in your rooms", "messages in", Channels()),
        Kind("chat_mention", "Mentions of you in rooms", "mentions in", Channels(email=True)),
    )
}


def kind_named(name: str) -> Kind:
    """Return the kind of this name; raises UnknownKindError."""
    if kind := KINDS.get(name):
        return kind
    raise UnknownKindError(f"There is no kind of notification {name[:50]!r}. Kinds are: {', '.join(KINDS)}.")


def headline(kind: str, count: int, topic_title: str) -> str:
    """Return what stands for many of a kind on one topic."""
    return f"{count} {KINDS[kind].many} {topic_title}"
