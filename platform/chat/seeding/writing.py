"""Seeded rooms, in which people talk to each other; and out again."""

import tomllib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import User
from accounts.seeding.marks import FIRST_ID, LAST_ID, marked_id
from accounts.seeding.wording import phrase
from chat.markdown import render_message
from chat.models import Message, Room

_WORDS = Path(__file__).parent / "words.toml"
_DAYS = 45
_MESSAGES_AT_ONCE = 1_000
_IS_SEEDED = Q(client_id__range=(FIRST_ID, LAST_ID))
Line = tuple[datetime, User, str]


def seeded_rooms() -> QuerySet[Room]:
    """Return the rooms that `seed_rooms` made: those that hold messages of it."""
    return Room.objects.filter(Exists(Message.objects.filter(_IS_SEEDED, room=OuterRef("pk"))))


@transaction.atomic
def seed_rooms(seed: int, messages: int, *, people: Sequence[User], until: datetime) -> Counter[str]:
    """Open rooms that hold `messages` messages in all, the last of them just before `until`; return how many of each.

    A room that is there stays as it is.
    """
    words = tomllib.loads(_WORDS.read_text(encoding="utf-8"))
    shares = sum(share for _, _, _, share in words["rooms"])
    made: Counter[str] = Counter()
    for slug, name, topic, share in words["rooms"]:
        count = messages * share // shares
        if not count or Room.objects.filter(slug=slug).exists():
            continue
        lines = _lines(Random(f"{seed}/room/{slug}"), count, words, people, until)
        opened_at = lines[0][0] - timedelta(days=1)
        room = Room.objects.create(slug=slug, name=name, topic=topic, created_at=opened_at, last_sequence=count)
        said = [
            Message(
                room=room,
                sequence=number,
                version=number,
                author=author,
                body=body,
                html=render_message(body),
                client_id=marked_id(number),
                created_at=said_at,
            )
            for number, (said_at, author, body) in enumerate(lines, 1)
        ]
        Message.objects.bulk_create(said, batch_size=_MESSAGES_AT_ONCE)
        made += Counter(rooms=1, messages=count)
    return made


def _lines(source: Random, count: int, words: dict[str, Any], people: Sequence[User], until: datetime) -> list[Line]:
    """Return `count` lines of conversations, in the order of time; two may go on at once."""
    lines: list[Line] = []
    while len(lines) < count:
        talk = source.choice(words["talk"])
        said_at = until - timedelta(days=source.uniform(0.1, _DAYS))
        said_at = said_at.replace(hour=0, minute=0) + timedelta(hours=source.triangular(6, 22, 11))
        if said_at > until - timedelta(hours=2):
            said_at -= timedelta(days=1)
        speaker = _someone(source, people)
        lines.append((said_at, speaker, phrase(source, source.choice(talk["openings"]), words)))
        for answer in source.sample(talk["answers"], source.randint(0, 5)):
            before, speaker = speaker, _someone(source, people)
            said_at += timedelta(seconds=source.uniform(4, 240))
            name = before.name.partition(" ")[0]
            lines.append((said_at, speaker, phrase(source, answer, {**words, "name": (name,)})))
    return sorted(lines[:count], key=lambda line: line[0])


def _someone(source: Random, people: Sequence[User]) -> User:
    return people[int(len(people) * source.random() ** 1.5)]


@transaction.atomic
def delete_seeded_rooms() -> Counter[str]:
    """Delete seeded rooms with their messages, and return how many of each.

    Rooms in which others have spoken stay, as `kept_rooms`.
    """
    others = Message.objects.filter(room=OuterRef("pk")).exclude(_IS_SEEDED & Q(client_id__isnull=False))
    rooms = list(seeded_rooms().exclude(Exists(others)).select_for_update().values_list("pk", flat=True))
    _, rows = Room.objects.filter(pk__in=rooms).delete()
    return Counter(
        rooms=rows.get("chat.Room", 0), messages=rows.get("chat.Message", 0), kept_rooms=seeded_rooms().count()
    )
