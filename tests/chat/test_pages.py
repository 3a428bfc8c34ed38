"""The pages and the API of the chat."""

import uuid

import pytest
from django.test import Client

from accounts.models import User
from chat import actions
from chat.models import Room

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_stranger_is_sent_to_the_login(client: Client, room: Room) -> None:
    for path in ("/chat/", "/chat/a-room/"):
        response = client.get(path)
        assert response.status_code == 302
        assert "/accounts/login/" in response["Location"]
    assert client.get("/api/chat/rooms/").status_code in (401, 403)


def test_the_rooms_are_listed(client: Client, room: Room, ann: User) -> None:
    client.force_login(ann)
    assert "/chat/a-room/" in client.get("/chat/").content.decode()


def test_an_unknown_room_is_not_found(client: Client, ann: User) -> None:
    client.force_login(ann)
    assert client.get("/chat/nowhere/").status_code == 404
    response = client.get("/api/chat/rooms/nowhere/messages/")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("application/problem+json")


def test_the_page_shows_the_last_messages_as_text(client: Client, room: Room, ann: User) -> None:
    actions.send_message(room, actor=ann, body="<script>alert(1)</script> https://example.org/?a=1")
    client.force_login(ann)
    page = client.get("/chat/a-room/").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert '<a href="https://example.org/?a=1" rel="noopener noreferrer nofollow ugc">' in page
    assert '"last_sequence": 1' in page


def test_earlier_messages_are_a_page_away(client: Client, room: Room, ann: User) -> None:
    for number in range(60):
        actions.send_message(room, actor=ann, body=f"number {number:02}")
    client.force_login(ann)
    page = client.get("/chat/a-room/").content.decode()
    assert "number 59" in page
    assert "number 09" not in page
    assert '"?before=11"' in page
    earlier = client.get("/chat/a-room/?before=11").content.decode()
    assert "number 09" in earlier
    assert "number 10" not in earlier
    assert "data-chat-form" not in earlier
    assert client.get("/chat/a-room/?before=nonsense").status_code == 200
    assert client.get("/chat/a-room/?before=" + "9" * 30).status_code == 200


def test_the_form_works_without_scripts(client: Client, room: Room, ann: User) -> None:
    client.force_login(ann)
    assert client.post("/chat/a-room/", {"body": "Hello"}).status_code == 302
    assert room.messages.get().body == "Hello"
    response = client.post("/chat/a-room/", {"body": "x" * 4_001})
    assert response.status_code == 400
    assert room.messages.count() == 1


def test_messages_by_the_api(client: Client, room: Room, ann: User) -> None:
    client.force_login(ann)
    path = "/api/chat/rooms/a-room/messages/"
    frame = {"body": "Hello", "client_id": str(uuid.uuid4())}
    created = client.post(path, frame, content_type="application/json")
    assert created.status_code == 201
    assert created.json()["sequence"] == 1
    again = client.post(path, frame, content_type="application/json")
    assert (again.status_code, again.json()) == (200, created.json())
    actions.send_message(room, actor=ann, body="two")
    page = client.get(path, {"after": 1}).json()
    assert [message["body"] for message in page["results"]] == ["two"]
    assert page["last_sequence"] == 2
    assert [message["sequence"] for message in client.get(path).json()["results"]] == [1, 2]
    assert client.get("/api/chat/rooms/").json()[0]["slug"] == "a-room"


@pytest.mark.parametrize("body", [{}, {"body": ""}, {"body": "a\u0000b"}, {"body": "x", "client_id": "mine"}])
def test_a_bad_message_is_a_problem(client: Client, room: Room, ann: User, body: dict[str, str]) -> None:
    client.force_login(ann)
    response = client.post("/api/chat/rooms/a-room/messages/", body, content_type="application/json")
    assert response.status_code == 400
    assert response["Content-Type"].startswith("application/problem+json")
    assert client.get("/api/chat/rooms/a-room/messages/?after=x").status_code == 400
