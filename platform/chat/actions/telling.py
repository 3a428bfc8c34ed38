"""Whom a message concerns, besides those who look at the room: they are notified, by a background task each."""

from collections.abc import Iterable

from accounts.models import User
from chat.models import Message
from chat.queries import members_of, people_who_may_enter
from notifications.actions import request_notification


def tell_people(message: Message, mentioned: Iterable[User], answered: Message | None) -> None:
    """Notify those who are named, the author of what it answers, and the other one in a direct conversation; each once.

    The tasks are sent on commit.
    """
    room, author = message.room, message.author
    title_of_room = f"your conversation with {author.name}" if room.is_direct else room.name
    told: dict[int, tuple[User, str, str]] = {}
    for person in mentioned:
        told[person.pk] = person, "chat_mention", f"{author.name} mentioned you in {title_of_room}"
    if room.is_direct:
        for member in members_of(room):
            told.setdefault(member.user_id, (member.user, "chat_message", f"{author.name} wrote to you"))
    elif answered is not None:
        people = people_who_may_enter(room, User.objects.filter(pk=answered.author_id))
        for person in people:
            told.setdefault(person.pk, (person, "chat_message", f"{author.name} answered you in {room.name}"))
    for person, kind, title in told.values():
        request_notification(
            person,
            kind=kind,
            title=title,
            url=f"{room.get_absolute_url()}#message-{message.pk}",
            body=message.body,
            topic=room.notification_topic,
            topic_title=title_of_room,
            actor=author,
        )
