"""The ledger's own restore brings a message back as it was, and open pages hear of it."""

from datetime import UTC, datetime

import pytest
from channels.db import database_sync_to_async

from accounts.models import User
from audit.history import restoring
from chat import actions, replay
from chat.models import Message, Room
from tests.chat.conftest import Enter

pytestmark = pytest.mark.django_db(transaction=True)


def restored(message: Message, at: datetime) -> None:
    restoring.apply(restoring.plan("chat.message", str(message.pk), at), "a test")


def test_a_message_comes_back_with_its_words_and_a_number_of_its_own(room: Room, ann: User, bob: User) -> None:
    message = actions.send_message(room, actor=ann, body="Hello *world*, @bob")
    shown, at = message.html, datetime.now(UTC)
    actions.edit_message(message, actor=ann, body="Nonsense")
    actions.delete_message(message, actor=ann)
    restored(message, at)
    message.refresh_from_db()
    assert (message.html, message.is_deleted, message.version) == (shown, False, 4)
    assert "<em>world</em>" in shown
    assert f'data-user="{bob.pk}"' in shown
    (event,) = replay.events_after(room, 3).events
    assert (event["type"], event["message"]["html"]) == ("message.edited", shown)


async def test_open_pages_hear_of_what_came_back(enter: Enter, room: Room, ann: User) -> None:
    message = await database_sync_to_async(actions.send_message)(room, actor=ann, body="Hello")
    at = datetime.now(UTC)
    await database_sync_to_async(actions.delete_message)(message, actor=ann)
    socket = await enter(ann)
    assert (await socket.receive())["last_sequence"] == 2
    await database_sync_to_async(restored)(message, at)
    heard = await socket.receive()
    assert (heard["type"], heard["sequence"], heard["message"]["version"]) == ("message.edited", 3, 3)
    assert (heard["message"]["body"], heard["message"]["deleted_at"]) == ("Hello", None)
