"""Messages: numbered without gaps, stored once, plain text."""

import threading
import uuid

import pytest
from django.db import connection, transaction

from accounts.models import User
from audit.models import Event
from chat import actions, queries
from chat.errors import InvalidMessageError
from chat.models import Message, Room

pytestmark = pytest.mark.django_db(transaction=True)


def say(room: Room, user: User, body: str, client_id: uuid.UUID | None = None) -> Message:
    return actions.send_message(room, actor=user, body=body, client_id=client_id)


def test_messages_are_numbered_from_one(room: Room, ann: User, bob: User) -> None:
    assert [say(room, ann, "one").sequence, say(room, bob, "two").sequence] == [1, 2]
    room.refresh_from_db()
    assert room.last_sequence == 2


def test_numbers_have_no_gaps_though_many_speak_at_once(room: Room, ann: User, bob: User) -> None:
    begin = threading.Barrier(4)

    def speak(user: User) -> None:
        try:
            begin.wait(60)
            for number in range(10):
                say(room, user, f"message {number}")
        finally:
            connection.close()

    threads = [threading.Thread(target=speak, args=(user,)) for user in (ann, bob, ann, bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert list(room.messages.values_list("sequence", flat=True)) == list(range(1, 41))


def test_a_rollback_leaves_no_gap(room: Room, ann: User) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        say(room, ann, "lost")
        raise RuntimeError
    assert say(room, ann, "kept").sequence == 1


def test_the_same_client_id_is_stored_once(room: Room, ann: User, bob: User) -> None:
    client_id = uuid.uuid4()
    first = say(room, ann, "hello", client_id)
    assert say(room, ann, "hello", client_id) == first
    assert say(room, bob, "hello", client_id) != first
    assert room.messages.count() == 2


@pytest.mark.parametrize("body", ["", "  \n ", "x" * 4_001, "a\x00b", "a\x1b[31mb", "\x07", "\ud800"])
def test_what_is_no_message_is_refused(room: Room, ann: User, body: str) -> None:
    with pytest.raises(InvalidMessageError):
        say(room, ann, body)
    assert not room.messages.exists()


def test_what_is_a_message_is_kept(room: Room, ann: User) -> None:
    assert say(room, ann, "  a\r\nb\rc\td <script> é 🙂  ").body == "a\nb\nc\td <script> é 🙂"
    assert len(say(room, ann, "x" * 4_000).body) == 4_000


def test_each_message_is_in_the_ledger_and_the_number_is_not(room: Room, ann: User) -> None:
    say(room, ann, "hello")
    events = Event.objects.filter(object_type__startswith="chat.").order_by("id")
    assert [event.action for event in events] == ["chat.room.created", "chat.message.created"]


def test_a_room_is_opened_once(room: Room) -> None:
    assert actions.open_room("a-room", name="Another", actor=None) == room


def test_history_is_read_in_both_directions(room: Room, ann: User) -> None:
    for number in range(1, 11):
        say(room, ann, f"message {number}")
    assert [message.sequence for message in queries.messages_after(room, 7)] == [8, 9, 10]
    assert [message.sequence for message in queries.messages_after(room, 0, 2)] == [1, 2]
    assert [message.sequence for message in queries.messages_before(room, 4, 2)] == [2, 3]
    assert [message.sequence for message in queries.messages_before(room, limit=2)] == [9, 10]
    assert queries.messages_after(room, queries.LARGEST_SEQUENCE) == []
