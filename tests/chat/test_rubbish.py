"""Old events are cleaned up, and clients that need them begin anew."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from chat import actions, replay
from chat.models import ReadMark, Room
from chat.rubbish import chat_events, chat_read_marks

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_beginning_of_a_log_goes_and_its_last_event_stays(room: Room, ann: User) -> None:
    for number in range(3):
        actions.send_message(room, actor=ann, body=str(number))
    assert not chat_events(None).exists()
    room.events.update(created_at=timezone.now() - timedelta(days=31))
    assert list(chat_events(None).order_by("sequence").values_list("sequence", flat=True)) == [1, 2]
    chat_events(None).delete()
    assert replay.events_after(room, 1).must_resync
    assert [event["sequence"] for event in replay.events_after(room, 2).events] == [3]


def test_read_marks_of_those_who_left_long_ago_go(room: Room, ann: User, bob: User) -> None:
    actions.send_message(room, actor=ann, body="Hello")
    actions.join_room(room, actor=ann)
    actions.mark_read(room, 1, actor=bob)
    assert not chat_read_marks(None).exists()
    ReadMark.objects.update(read_at=timezone.now() - timedelta(days=366))
    assert [mark.user_id for mark in chat_read_marks(None)] == [bob.pk]
