"""Who is suggested to who types a name: people who may read it, and nobody else."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from audit.models import Event
from chat import actions, limits
from chat.models import Room
from chat.queries import MOST_SUGGESTED

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ask(client: Client, ann: User) -> Any:
    client.force_login(ann)

    def asked(room: str, beginning: str, status: int = 200) -> Any:
        answer = client.get(f"/api/chat/rooms/{room}/people/", {"q": beginning})
        assert answer.status_code == status, answer.content
        return [one["username"] for one in answer.json()] if status == 200 else answer.json()

    return asked


def test_in_a_private_room_its_members_are_suggested_alone(ask: Any, ann: User, bob: User) -> None:
    room = actions.create_room(actor=ann, name="The cave")
    for username in ("bea", "eve"):
        User.objects.create_user(username, display_name="Brave Newman", password="x")
    actions.add_member(room, bob, actor=ann)
    actions.add_member(room, User.objects.get(username="bea"), actor=ann)
    assert ask("the-cave", "") == ["bea", "bob"]  # not oneself
    assert ask("the-cave", "B") == ["bea", "bob"]
    assert ask("the-cave", "new") == ["bea"]
    assert ask("the-cave", "eve") == []
    actions.restrict(bob, room=room, kind="ban", reason="noise", actor=ann)
    assert ask("the-cave", "") == ["bea"]
    User.objects.filter(username="bea").update(is_active=False)
    assert ask("the-cave", "") == []


def test_in_a_public_room_those_who_belong_to_it_or_talk_there_come_first(
    ask: Any, room: Room, ann: User, bob: User
) -> None:
    for number in range(20):
        User.objects.create_user(f"bo-{number:02}", display_name=f"Number {number}", password="x")
    talker, joiner = User.objects.get(username="bo-15"), User.objects.get(username="bo-17")
    actions.send_message(room, actor=talker, body="Hello")
    actions.join_room(room, actor=joiner)
    assert ask("a-room", "") == ["bo-15", "bo-17"]  # all others only by their beginning
    assert ask("a-room", "number") == ["bo-15", "bo-17"]
    found = ask("a-room", "Bo")
    assert found == ["bo-15", "bo-17", "bo-00", "bo-01", "bo-02", "bo-03", "bo-04", "bo-05"]
    assert len(found) == MOST_SUGGESTED
    assert ask("a-room", "b%") == ask("a-room", "_o") == []


def test_a_room_that_one_may_not_enter_suggests_nobody(ask: Any, ann: User, bob: User, client: Client) -> None:
    actions.create_room(actor=bob, name="The cave")
    ask("the-cave", "", status=404)
    assert Event.objects.filter(action="chat.room.entered", outcome="denied").count() == 1
    client.logout()
    assert client.get("/api/chat/rooms/the-cave/people/?q=").status_code == 401


def test_nobody_asks_for_all_names_there_are(
    ask: Any, room: Room, in_one_minute: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_QUESTIONS_PER_MINUTE", 3)
    assert "at most 30" in str(ask("a-room", "x" * 31, status=400))
    for _ in range(3):
        ask("a-room", "b")
    for _ in range(2):
        assert "At most 3 questions a minute" in ask("a-room", "b", status=429)["detail"]
    assert Event.objects.filter(action="chat.people.limited", outcome="denied").count() == 1
