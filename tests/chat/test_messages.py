"""What becomes of messages: edited, deleted, answered with signs, pinned, found; and how their Markdown looks."""

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import User
from audit.models import Event
from caching.errors import AwayError
from chat import actions, queries
from chat.actions.messages import EMOJI
from chat.errors import ConflictError, InvalidError, NotAllowedError
from chat.markdown import names_in, render_message
from chat.models import Message, Role, Room
from images.models import Picture, State

pytestmark = pytest.mark.django_db(transaction=True)
JSON = "application/json"


@pytest.fixture
def message(room: Room, ann: User) -> Message:
    return actions.send_message(room, actor=ann, body="Hello *world*")


def test_people_edit_their_own_words_for_an_hour(room: Room, message: Message, ann: User, bob: User) -> None:
    edited = actions.edit_message(message, actor=ann, body="Hello **all**")
    assert (edited.body, edited.html) == ("Hello **all**", "<p>Hello <strong>all</strong></p>")
    assert (edited.sequence, edited.version, edited.edited_at is not None) == (1, 2, True)
    actions.edit_message(message, actor=ann, body="Hello **all**")
    assert room.events.count() == 2  # nothing changed, so nothing is told
    with pytest.raises(NotAllowedError):
        actions.edit_message(message, actor=bob, body="Not mine")
    Message.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    with pytest.raises(NotAllowedError):
        actions.edit_message(message, actor=ann, body="Too late")


def test_a_deleted_message_keeps_its_place_and_the_ledger_its_words(
    client: Client, room: Room, message: Message, ann: User, bob: User
) -> None:
    with pytest.raises(NotAllowedError):
        actions.delete_message(message, actor=bob)
    actions.edit_message(message, actor=ann, body="Second thoughts")
    actions.delete_message(message, actor=ann)
    with pytest.raises(NotAllowedError):
        actions.delete_message(message, actor=ann)
    client.force_login(ann)
    path = f"/api/chat/rooms/a-room/messages/{message.pk}/"
    shown = client.get(path).json()
    assert (shown["body"], shown["html"], shown["sequence"], shown["version"]) == ("", "", 1, 3)
    history = client.get(f"{path}history/").json()
    assert [(one["before"], one["after"]) for one in history] == [
        ("Second thoughts", ""),
        ("Hello *world*", "Second thoughts"),
        (None, "Hello *world*"),
    ]
    client.force_login(bob)
    assert client.get(f"{path}history/").status_code == 403
    assert client.patch(path, {"body": "x"}, content_type=JSON).status_code == 403


def test_signs_are_given_once_and_taken_back(
    client: Client, room: Room, message: Message, ann: User, bob: User
) -> None:
    path = f"/api/chat/rooms/a-room/messages/{message.pk}/reactions"
    for user in (bob, ann):
        client.force_login(user)
        client.put(f"{path}/👍/")
        assert client.put(f"{path}/👍/").status_code == 200
    assert client.get(f"/api/chat/rooms/a-room/messages/{message.pk}/").json()["reactions"] == {"👍": [bob.pk, ann.pk]}
    assert client.delete(f"{path}/👍/").json()["reactions"] == {"👍": [bob.pk]}
    assert client.put(f"{path}/x/").status_code == 400
    assert room.events.filter(kind="message.reacted").count() == 3
    assert len(set(EMOJI)) == len(EMOJI)


def test_those_in_charge_pin_and_a_room_holds_some(
    room: Room, message: Message, ann: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.members.create(user=bob, role=Role.MODERATOR)
    with pytest.raises(NotAllowedError):
        actions.pin(message, actor=ann, is_on=True)
    actions.pin(message, actor=bob, is_on=True)
    second = actions.send_message(room, actor=ann, body="Two")
    monkeypatch.setattr(queries, "MOST_PINS", 1)
    with pytest.raises(ConflictError):
        actions.pin(second, actor=bob, is_on=True)
    assert [one.pk for one in queries.pins_of(room)] == [message.pk]
    actions.pin(message, actor=bob, is_on=False)
    assert queries.pins_of(room) == []


def test_an_answer_is_to_a_message_of_the_same_room(room: Room, message: Message, ann: User) -> None:
    other = actions.create_room(actor=ann, name="Other")
    assert actions.send_message(room, actor=ann, body="yes", reply_to=message.pk).reply_to_id == message.pk
    with pytest.raises(InvalidError):
        actions.send_message(other, actor=ann, body="no", reply_to=message.pk)


def test_pictures_are_ones_own_and_ready(client: Client, room: Room, ann: User, bob: User) -> None:
    def picture(user: User, state: str) -> Picture:
        made = {"file": "images/a.png", "width": 3, "height": 2} if state == State.READY else {}
        return Picture.objects.create(uploader=user, name="a.png", state=state, key=uuid.uuid4().hex, **made)

    mine, waiting, theirs = picture(ann, State.READY), picture(ann, State.WAITING), picture(bob, State.READY)
    client.force_login(ann)
    path = "/api/chat/rooms/a-room/messages/"
    sent = client.post(path, {"body": "", "pictures": [mine.pk]}, content_type=JSON)
    assert sent.status_code == 201
    (shown,) = sent.json()["pictures"]
    assert (shown["id"], shown["width"], shown["url"]) == (mine.pk, 3, "/media/images/a.png")
    for wrong in (waiting.pk, theirs.pk, 10**6):
        refused = client.post(path, {"body": "x", "pictures": [wrong]}, content_type=JSON)
        assert list(refused.json()["errors"]) == ["pictures"]
    assert client.post(path, {"body": ""}, content_type=JSON).status_code == 400


def test_words_are_found_in_rooms_that_one_may_enter(client: Client, room: Room, ann: User, bob: User) -> None:
    secret = actions.create_room(actor=ann, name="Secret")
    for where, body in ((room, "Red apples and pears"), (room, "Green apples"), (secret, "Golden apples")):
        actions.send_message(where, actor=ann, body=body)
    gone = actions.send_message(room, actor=ann, body="Rotten apples")
    actions.delete_message(gone, actor=ann)

    def found(user: User, query: str) -> list[str]:
        client.force_login(user)
        return [one["body"] for one in client.get(f"/api/chat/search/?{query}").json()]

    assert found(ann, "q=APPLES") == ["Golden apples", "Green apples", "Red apples and pears"]
    assert found(bob, "q=apples") == ["Green apples", "Red apples and pears"]
    assert found(bob, 'q="apples and"') == ["Red apples and pears"]
    assert found(bob, "q=apples -red") == ["Green apples"]
    assert found(ann, "q=apples&room=secret") == ["Golden apples"]
    assert found(ann, "q=apples&limit=1") == ["Golden apples"]
    for wrong in ("", "q=", f"q={'x' * 201}", "q=%00", "q=x&before=y"):
        assert client.get(f"/api/chat/search/?{wrong}").status_code == 400


def test_what_is_unread_is_counted_for_each_person(client: Client, room: Room, ann: User, bob: User) -> None:
    actions.join_room(room, actor=bob)
    for body in ("one", "two for @bob", "three"):
        actions.send_message(room, actor=ann, body=body)
    actions.send_message(room, actor=bob, body="my own")
    client.force_login(bob)
    assert client.get("/api/chat/unread/").json() == [
        {"room": "a-room", "read": 0, "last_sequence": 5, "unread": 3, "mentions": 1}
    ]
    path = "/api/chat/rooms/a-room/read/"
    assert client.post(path, {"sequence": 3}, content_type=JSON).json()["unread"] == 1
    assert client.post(path, {"sequence": 2}, content_type=JSON).json()["read"] == 3  # it never goes back
    assert client.post(path, {"sequence": 99}, content_type=JSON).json()["read"] == 5  # nor beyond what there is
    client.force_login(ann)
    assert client.get("/api/chat/unread/").json() == []  # she neither belongs here nor read anything


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a *b* **c** ~~d~~ `e`", "<p>a <em>b</em> <strong>c</strong> <s>d</s> <code>e</code></p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("<b onclick=x>", "<p>&lt;b onclick=x&gt;</p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        (
            "![x](https://e.org/a.png)",
            '<p>!<a href="https://e.org/a.png" rel="noopener noreferrer nofollow ugc">x</a></p>',
        ),
        ("# no heading", "<p># no heading</p>"),
        (
            "see https://e.org/?a=1&b=2.",
            '<p>see <a href="https://e.org/?a=1&amp;b=2" rel="noopener noreferrer nofollow ugc">'
            "https://e.org/?a=1&amp;b=2</a>.</p>",
        ),
        (
            "hi @ann, @ann. and x@ann",
            '<p>hi <span class="mention" data-user="7">@ann</span>, '
            '<span class="mention" data-user="7">@ann</span>. and x@ann</p>',
        ),
        ("`@ann`", "<p><code>@ann</code></p>"),
        ("@nobody", "<p>@nobody</p>"),
    ],
)
def test_markdown_is_shown_safely(text: str, html: str) -> None:
    assert render_message(text, {"ann": 7}) == html


def test_names_are_found_with_and_without_a_sentences_end() -> None:
    assert names_in("@ann. (@bob-b) x@cid @dan") == ["ann.", "ann", "bob-b", "dan"]


def test_a_list_of_messages_costs_the_same_however_many_they_are(
    room: Room, ann: User, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    for number in range(5):
        sent = actions.send_message(room, actor=ann, body=str(number))
        actions.react(sent, actor=ann, emoji="👍", is_on=True)
    with django_assert_num_queries(3):  # type: ignore[operator]
        assert len(queries.messages_before(room)) == 5


def test_who_says_too_much_by_the_api_is_told_to_wait(
    client: Client, room: Room, ann: User, bob: User, settings: Any, in_one_minute: None
) -> None:
    path = "/api/chat/rooms/a-room/messages/"
    settings.CHAT_MESSAGES_PER_MINUTE = 2
    settings.CHAT_MESSAGES_PER_MINUTE_OF_ADDRESS = 4

    def say(user: User) -> Any:
        client.force_login(user)
        return client.post(path, {"body": "Hello"}, content_type=JSON)

    assert [say(ann).status_code for _ in range(3)] == [201, 201, 429]
    refused = say(ann)
    assert refused["Retry-After"] == "30"
    assert refused.json()["detail"] == "At most 2 messages a minute; wait 30 s."
    assert refused["Content-Type"].startswith("application/problem+json")
    assert say(bob).status_code == 429  # the same address, which said four things by now
    denied = Event.objects.filter(action="chat.message.limited", outcome="denied").order_by("id")
    assert [event.changes["limit"] for event in denied] == ["user", "address"]


def test_a_limit_that_cannot_be_asked_for_refuses_nobody(
    room: Room, ann: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(question: Any) -> None:
        raise AwayError

    settings.CHAT_MESSAGES_PER_MINUTE = 1
    monkeypatch.setattr("chat.limits.ask", away)
    for body in ("one", "two"):
        actions.send_message(room, actor=ann, body=body)


def test_two_that_send_the_same_at_once_store_it_once(room: Room, ann: User) -> None:
    client_id = uuid.uuid4()
    begin = threading.Barrier(4)
    stored: list[int] = []

    def send() -> None:
        try:
            begin.wait(60)
            stored.append(actions.send_message(room, actor=ann, body="Hello", client_id=client_id).pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(stored) == 4
    assert len(set(stored)) == room.messages.count() == room.events.count() == 1
    room.refresh_from_db()
    assert room.last_sequence == 1
