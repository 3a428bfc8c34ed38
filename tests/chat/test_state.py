"""State plus events is the state fetched anew: for random actions, of which pushes are dropped, doubled and shuffled.

In the manner of Zulip's `verify_action`. What happens to real sockets when Redis and the socket server are restarted is
in `tests/chat/faults`.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import orjson
import pytest

from accounts.models import User
from chat import actions, queries, replay, showing
from chat.actions.messages import EMOJI
from chat.errors import ConflictError
from chat.models import Message, Role, Room
from tests.chat.client import RoomState

pytestmark = pytest.mark.django_db(transaction=True)

ACTIONS = 60
Frame = dict[str, Any]


def snapshot(room: Room) -> Frame:
    """Return what a fresh client fetches, in the order in which it does."""
    room = Room.objects.get(pk=room.pk)
    return {
        "last_sequence": room.last_sequence,
        "room": showing.room(room),
        "messages": [showing.message(one) for one in queries.messages_before(room, limit=queries.LARGEST_PAGE)],
        "members": showing.members(queries.members_of(room)),
    }


def fetch(client: RoomState, room: Room, limit: int) -> None:
    """Fetch until nothing is missing, or begin anew."""
    after: int | None = client.have
    while after is not None:
        missed = replay.events_after(room, after, limit)
        if missed.must_resync:
            client.begin(snapshot(room))
            return
        frame = {"type": "events", "events": missed.events, "upto": missed.upto, "last_sequence": missed.last_sequence}
        after = client.receive(orjson.loads(orjson.dumps(frame)))


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """Catch what is pushed."""
    frames: list[Frame] = []
    monkeypatch.setattr("chat.actions.log.push_to_group", lambda group, told: frames.append(orjson.loads(told["text"])))
    monkeypatch.setattr("chat.conf.messages_per_minute", lambda: 10_000)
    return frames


class Story:
    """Random people who do random things in one room."""

    def __init__(self, room: Room, owner: User, others: list[User], source: Random) -> None:
        self.room, self.owner, self.others, self.source = room, owner, others, source
        self.sent: list[tuple[User, uuid.UUID, str]] = []

    def act(self) -> None:
        """Do something; what isn't possible just now isn't done."""
        do: list[Callable[[], object]] = [self._say, self._say, self._say_again, self._edit, self._delete, self._react]
        do += [self._react, self._pin, self._topic, self._member, self._archive]
        with suppress(ConflictError):
            self.source.choice(do)()

    def _say(self) -> None:
        author, client_id = self.source.choice([self.owner, *self.others]), uuid.UUID(int=self.source.getrandbits(128))
        earlier = self._any()
        body = f"Message **{len(self.sent)}** for @{self.owner.username}"
        if not Room.objects.get(pk=self.room.pk).is_archived:
            self.sent.append((author, client_id, body))
            answered = earlier.pk if earlier and self.source.random() < 0.3 else None
            actions.send_message(self._room(), actor=author, body=body, client_id=client_id, reply_to=answered)

    def _say_again(self) -> None:
        if self.sent and not self._room().is_archived:
            author, client_id, body = self.source.choice(self.sent)
            actions.send_message(self._room(), actor=author, body=body, client_id=client_id)

    def _edit(self) -> None:
        message = self._any()
        if message and not message.is_deleted and not self._room().is_archived:
            actions.edit_message(message, actor=message.author, body=f"Changed {self.source.randrange(3)}")

    def _delete(self) -> None:
        message = self._any()
        if message and not message.is_deleted and not self._room().is_archived and self.source.random() < 0.5:
            actions.delete_message(message, actor=self.owner)

    def _react(self) -> None:
        message = self._any()
        if message and not self._room().is_archived:
            user, emoji = self.source.choice(self.others), self.source.choice(EMOJI[:3])
            actions.react(message, actor=user, emoji=emoji, is_on=self.source.random() < 0.7)

    def _pin(self) -> None:
        message = self._any()
        if message and not self._room().is_archived:
            actions.pin(message, actor=self.owner, is_on=self.source.random() < 0.6)

    def _topic(self) -> None:
        actions.describe_room(self._room(), actor=self.owner, topic=f"Topic {self.source.randrange(3)}")

    def _member(self) -> None:
        user = self.source.choice(self.others)
        if not self.room.members.filter(user=user).exists():
            actions.add_member(self._room(), user, actor=self.owner)
        elif self.source.random() < 0.5:
            actions.remove_member(self._room(), user, actor=self.owner)
        else:
            role = self.source.choice([Role.MEMBER, Role.MODERATOR])
            actions.change_role(self._room(), user, actor=self.owner, role=role)

    def _archive(self) -> None:
        # Not for long: little happens in an archived room.
        is_archived = not self._room().is_archived and self.source.random() < 0.2
        actions.archive_room(self._room(), actor=self.owner, is_archived=is_archived)

    def _room(self) -> Room:
        return Room.objects.get(pk=self.room.pk)

    def _any(self) -> Message | None:
        messages = list(Message.objects.filter(room=self.room).select_related("author", "room").order_by("-pk")[:8])
        return self.source.choice(messages) if messages else None


@pytest.mark.parametrize("seed", range(4))
def test_state_and_events_are_the_state_fetched_anew(seed: int, ann: User, bob: User, pushed: list[Frame]) -> None:
    source = Random(seed)
    room = actions.open_room("a-room", name="A room", actor=None)
    room.members.create(user=ann, role=Role.OWNER)
    story = Story(room, ann, [bob, User.objects.create_user("cid", password="x")], source)
    steady, patchy, absent = (RoomState(snapshot(room)) for _ in range(3))
    on_the_way: list[Frame] = []
    for number in range(ACTIONS):
        story.act()
        new, pushed[:] = list(pushed), []
        for frame in new:
            assert steady.receive(frame) is None  # nothing was missing
        # What is pushed to the other client is lost, doubled, or comes later than what follows it.
        on_the_way += [frame for frame in new for _ in range(source.choice([0, 1, 1, 1, 2]))]
        source.shuffle(on_the_way)
        for _ in range(source.randrange(len(on_the_way) + 1)):
            if patchy.receive(on_the_way.pop()) is not None and source.random() < 0.5:
                fetch(patchy, room, source.choice([1, 2, 500]))
        if number in (20, 45):  # it was away, and comes back with what it has
            on_the_way.clear()
            fetch(absent, room, 7)
            fetch(patchy, room, 3)
    fetch(patchy, room, 2)
    fetch(absent, room, 500)
    truth = RoomState(snapshot(room)).shown()
    assert len(truth["messages"]) > 5
    assert steady.shown() == truth
    assert patchy.shown() == truth
    assert absent.shown() == truth
    assert steady.have == patchy.have == absent.have == room.events.count()
    assert steady.applied == room.events.count()  # each once


def test_who_is_too_far_behind_is_told_to_begin_anew(room: Room, ann: User, pushed: list[Frame]) -> None:
    for number in range(5):
        actions.send_message(room, actor=ann, body=str(number))
    room.events.filter(sequence__lte=2).delete()  # as the clean-up does
    assert replay.events_after(room, 1).must_resync
    assert replay.events_after(room, 0).must_resync
    assert not replay.events_after(room, 2).must_resync
    assert replay.events_after(room, 6).must_resync  # a number that this room never gave
    client = RoomState({"last_sequence": 1, "room": {}, "messages": [], "members": []})
    fetch(client, room, 500)
    assert client.shown() == RoomState(snapshot(room)).shown()


def test_a_long_log_is_told_in_pages_and_a_very_long_one_not_at_all(
    room: Room, ann: User, pushed: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        actions.send_message(room, actor=ann, body=str(number))
    page = replay.events_after(room, 1, limit=3)
    assert [event["sequence"] for event in page.events] == [2, 3, 4]
    assert (page.upto, page.last_sequence) == (4, 7)
    monkeypatch.setattr(replay, "LONGEST_REPLAY", 5)
    assert replay.events_after(room, 1).must_resync
    assert not replay.events_after(room, 2).must_resync


def test_a_persons_end_takes_their_messages_and_clients_begin_anew(room: Room, ann: User, bob: User) -> None:
    actions.send_message(room, actor=ann, body="one")
    actions.send_message(room, actor=bob, body="two")
    bob.delete()
    assert replay.events_after(room, 1).must_resync
    assert not replay.events_after(room, 2).must_resync
