"""The pages and the API of the chat."""

import uuid

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from audit.models import Event
from chat import actions
from chat.models import Member, ReadMark, Report, ReportState, Restriction, Role, Room

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


@pytest.fixture
def moderator(transactional_db: None) -> User:
    user = User.objects.create_user("mona", password="x")
    user.groups.add(Group.objects.get(name="moderator"))
    return user


def test_rooms_stand_where_one_looks_for_them(client: Client, room: Room, ann: User, bob: User) -> None:
    actions.join_room(room, actor=ann)
    actions.send_message(room, actor=bob, body="Hello @ann")
    actions.open_direct(bob, actor=ann)
    hidden = actions.create_room(actor=bob, name="Hidden")
    client.force_login(ann)
    listing = client.get("/chat/").context["listing"]
    assert [(one.title, one.unread, one.mentions) for one in listing.own] == [("A room", 1, 1)]
    assert [one.title for one in listing.direct] == ["bob"]
    assert "A room" not in [one.title for one in listing.other]
    actions.add_member(hidden, ann, actor=bob)
    actions.archive_room(hidden, actor=bob, is_archived=True)
    listing = client.get("/chat/").context["listing"]
    assert [one.title for one in listing.archived] == ["Hidden"]


def test_a_room_is_opened_by_its_form(client: Client, ann: User, moderator: User) -> None:
    client.force_login(ann)
    assert client.post("/chat/-/new/", {"name": "Mine", "kind": "private"})["Location"] == "/chat/mine/"
    assert Room.objects.get(slug="mine").members.get().role == Role.OWNER
    again = client.post("/chat/-/new/", {"name": "Mine", "kind": "private"})
    assert again.status_code == 400
    assert "There is a room of this address already" in again.content.decode()
    assert client.post("/chat/-/new/", {"name": "All", "kind": "public"}).status_code == 400
    assert "Public" not in client.get("/chat/-/new/").content.decode()
    client.force_login(moderator)
    assert client.post("/chat/-/new/", {"name": "All", "kind": "public"})["Location"] == "/chat/all/"


def test_a_conversation_is_opened_by_a_username(client: Client, ann: User, bob: User) -> None:
    client.force_login(ann)
    first = client.post("/chat/-/direct/", {"username": "bob"})["Location"]
    assert "<h1 data-chat-name>bob</h1>" in client.get(first).content.decode()
    assert client.post("/chat/-/direct/", {"username": " bob "})["Location"] == first
    for name in ("nobody", "ann", ""):
        assert client.post("/chat/-/direct/", {"username": name}).status_code == 400
    client.force_login(User.objects.create_user("eve", password="x"))
    for path in (first, f"{first}about/", f"{first}messages/1/"):
        assert client.get(path).status_code == 404


def test_messages_are_found_by_who_may_read_them(client: Client, room: Room, ann: User, bob: User) -> None:
    hidden = actions.create_room(actor=bob, name="Hidden")
    actions.send_message(room, actor=bob, body="the blue lake")
    actions.send_message(hidden, actor=bob, body="the secret lake")
    client.force_login(ann)
    page = client.get("/chat/-/search/?q=lake").content.decode()
    assert "the blue lake" in page
    assert "the secret lake" not in page
    assert "No message holds" in client.get("/chat/-/search/?q=mountain").content.decode()
    assert client.get("/chat/-/search/?q=lake&room=hidden").status_code == 404
    for words in ("", "%00", "'", '"', "-", "x" * 500):
        assert client.get("/chat/-/search/", {"q": words}).status_code == 200


def test_who_is_in_charge_changes_a_room_on_its_page(client: Client, room: Room, ann: User, bob: User) -> None:
    mine = actions.create_room(actor=ann, name="Mine")
    client.force_login(ann)

    def change(do: str, **fields: object) -> None:
        assert client.post("/chat/mine/change/", {"do": do, **fields}).status_code == 302

    change("describe", name="Ours", topic="All of it")
    change("bring", username="bob")
    change("role", user=bob.pk, role="moderator")
    assert Member.objects.get(room=mine, user=bob).role == Role.MODERATOR
    change("role", user=bob.pk, role="member")
    change("restrict", username="bob", kind="mute", reason="Too loud", minutes="5")
    muted = Restriction.objects.get(user=bob)
    assert (muted.room, muted.kind, muted.reason) == (mine, "mute", "Too loud")
    assert "Too loud" in client.get("/chat/mine/about/").content.decode()
    change("lift", restriction=muted.pk)
    muted.refresh_from_db()
    assert muted.lifted_at is not None
    change("remove", user=bob.pk)
    change("archive")
    mine.refresh_from_db()
    assert (mine.name, mine.topic, mine.is_archived, mine.members.count()) == ("Ours", "All of it", True, 1)
    assert "it can be read, not written in" in client.get("/chat/mine/").content.decode()


def test_what_is_asked_wrongly_of_a_room_is_explained(client: Client, room: Room, ann: User) -> None:
    actions.create_room(actor=ann, name="Mine")
    client.force_login(ann)
    for fields, words in (
        ({"do": "bring", "username": "nobody"}, "There is nobody called"),
        ({"do": "leave"}, "A room needs an owner"),
        ({"do": "restrict", "username": "ann", "kind": "mute", "reason": "x", "minutes": "soon"}, "a whole number"),
        ({"do": "lift", "restriction": "7"}, "There is no such mute or ban here"),
        ({"do": "dance"}, "There is no such change"),
    ):
        assert words in client.post("/chat/mine/change/", fields, follow=True).content.decode()


def test_who_is_not_in_charge_is_refused_and_that_is_recorded(client: Client, room: Room, ann: User, bob: User) -> None:
    said = actions.send_message(room, actor=bob, body="Hello")
    client.force_login(ann)
    about = client.get("/chat/a-room/about/").content.decode()
    assert 'value="describe"' not in about
    assert 'value="restrict"' not in about
    for path, fields in (
        ("/chat/a-room/change/", {"do": "describe", "name": "Mine"}),
        ("/chat/a-room/change/", {"do": "restrict", "username": "bob", "kind": "ban", "reason": "x"}),
        (f"/chat/a-room/messages/{said.pk}/change/", {"do": "edit", "body": "Bye"}),
        (f"/chat/a-room/messages/{said.pk}/change/", {"do": "delete"}),
        (f"/chat/a-room/messages/{said.pk}/change/", {"do": "pin"}),
        ("/chat/-/moderation/restrictions/", {"username": "bob", "kind": "ban", "reason": "x"}),
    ):
        before = Event.objects.filter(outcome="denied").count()
        assert client.post(path, fields).status_code == 403, fields
        assert Event.objects.filter(outcome="denied").count() > before, fields
    assert client.get("/chat/-/moderation/").status_code == 403
    said.refresh_from_db()
    assert (said.body, said.pinned_at) == ("Hello", None)


def test_reports_are_resolved_on_the_page_of_moderation(
    client: Client, room: Room, ann: User, bob: User, moderator: User
) -> None:
    said = actions.send_message(room, actor=bob, body="Buy <b>watches</b>")
    report = actions.report_message(said, actor=ann, reason="Advertising")
    client.force_login(moderator)
    assert '1<span class="visually-hidden"> reports wait' in client.get("/chat/").content.decode()
    page = client.get("/chat/-/moderation/").content.decode()
    assert "Buy &lt;b&gt;watches&lt;/b&gt;" in page
    address = f"/chat/-/moderation/reports/{report.pk}/"
    assert client.post(address, {"verdict": "hang"}).status_code == 302
    report.refresh_from_db()
    assert report.state == ReportState.OPEN
    client.post(address, {"verdict": "ban", "note": "No shops here", "minutes": "60"})
    report.refresh_from_db()
    said.refresh_from_db()
    assert (report.state, report.note, said.is_deleted) == (ReportState.ACTED, "No shops here", True)
    banned = Restriction.objects.get(user=bob, kind="ban")
    page = client.get("/chat/-/moderation/?state=all").content.decode()
    assert "No shops here" in page
    client.post(f"/chat/-/moderation/restrictions/{banned.pk}/lift/")
    banned.refresh_from_db()
    assert banned.lifted_at is not None
    assert Report.objects.count() == 1
    assert client.post("/chat/-/moderation/reports/999/", {"verdict": "ban"}).status_code == 404


def test_all_is_marked_as_read_without_scripts(client: Client, room: Room, ann: User, bob: User) -> None:
    actions.send_message(room, actor=bob, body="Hello")
    client.force_login(ann)
    assert client.post("/chat/a-room/", {"read": "1"}).status_code == 302
    assert ReadMark.objects.get(user=ann, room=room).sequence == 1
    assert client.post("/chat/a-room/", {"read": "9" * 40}).status_code == 302


def test_later_messages_are_a_page_away_too(client: Client, room: Room, ann: User) -> None:
    for number in range(60):
        actions.send_message(room, actor=ann, body=f"number {number:02}")
    client.force_login(ann)
    page = client.get("/chat/a-room/?before=11").content.decode()
    assert '"?after=10"' in page
    later = client.get("/chat/a-room/?after=10").content.decode()
    assert "number 10" in later
    assert "number 09" not in later


def test_a_room_with_many_messages_takes_as_many_queries_as_one_with_few(
    client: Client, room: Room, ann: User, bob: User
) -> None:
    client.force_login(ann)

    def queries_of(path: str) -> int:
        client.get(path)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        return len(captured)

    def talk(count: int) -> None:
        for number in range(count):
            said = actions.send_message(room, actor=(ann, bob)[number % 2], body=f"lake {number} @ann")
            actions.react(said, actor=ann, emoji="👍", is_on=True)
            actions.send_message(room, actor=bob, body="lake", reply_to=said.pk)
            actions.pin(said, actor=owner, is_on=True)

    owner = User.objects.create_superuser("owner", password="x")
    talk(2)
    paths = ("/chat/", "/chat/a-room/", "/chat/a-room/?before=99", "/chat/a-room/about/", "/chat/-/search/?q=lake")
    before = {path: queries_of(path) for path in paths}
    talk(6)
    assert {path: queries_of(path) for path in paths} == before
