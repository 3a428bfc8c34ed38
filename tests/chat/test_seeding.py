"""Seeded rooms: they read like rooms, work like rooms, and go."""

from datetime import UTC, datetime

import pytest

from accounts.models import User
from accounts.seeding.people import seed_people
from chat.actions import clean_body, open_room, send_message
from chat.models import Message, Room
from chat.seeding.writing import delete_seeded_rooms, seed_rooms, seeded_rooms

pytestmark = pytest.mark.django_db
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def people() -> list[User]:
    return seed_people(10, writers=2, until=UNTIL)[0]


def test_messages_are_numbered_without_gaps_in_the_order_of_time(people: list[User]) -> None:
    made = seed_rooms(1, 400, people=people, until=UNTIL)
    assert made == {"rooms": 6, "messages": Message.objects.count()}
    assert 390 < made["messages"] <= 400
    for room in seeded_rooms():
        messages = list(room.messages.order_by("sequence"))
        assert [message.sequence for message in messages] == list(range(1, room.last_sequence + 1))
        times = [room.created_at, *(message.created_at for message in messages)]
        assert times == sorted(times)
        assert times[-1] < UNTIL
        assert len({message.author_id for message in messages}) > 3


def test_messages_are_what_the_chat_accepts(people: list[User]) -> None:
    seed_rooms(1, 400, people=people, until=UNTIL)
    bodies = list(Message.objects.values_list("body", flat=True))
    assert all(clean_body(body) == body for body in bodies)
    assert len(set(bodies)) > 150


def test_the_same_seed_gives_the_same_talk(people: list[User]) -> None:
    def said() -> list[tuple[str, int, str]]:
        return list(Message.objects.order_by("room__slug", "sequence").values_list("room__slug", "author_id", "body"))

    seed_rooms(1, 100, people=people, until=UNTIL)
    first = said()
    assert not seed_rooms(2, 100, people=people, until=UNTIL)
    delete_seeded_rooms()
    seed_rooms(1, 100, people=people, until=UNTIL)
    assert said() == first
    delete_seeded_rooms()
    seed_rooms(2, 100, people=people, until=UNTIL)
    assert said() != first


def test_rooms_where_others_spoke_stay_and_so_do_rooms_of_others(people: list[User]) -> None:
    visitor = User.objects.create_user("visitor")
    before = set(Room.objects.all())
    own = open_room("seed-swap", name="Seed swap", actor=visitor)
    send_message(own, actor=visitor, body="Beans for basil?")
    made = seed_rooms(1, 200, people=people, until=UNTIL)
    room = Room.objects.get(slug="seed-kitchen")
    message = send_message(room, actor=visitor, body="Hello?")
    assert message.sequence == room.last_sequence + 1
    deleted = delete_seeded_rooms()
    assert (deleted["rooms"], deleted["kept_rooms"]) == (5, 1)
    assert deleted["messages"] == made["messages"] - room.last_sequence
    assert set(Room.objects.all()) == {*before, own, room}
    assert list(seeded_rooms()) == [room]
