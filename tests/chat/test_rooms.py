"""Rooms: who finds, enters, keeps and moderates them. What a stranger asks for doesn't exist, and is recorded."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from audit.models import Event
from chat import actions, queries, replay
from chat.errors import ConflictError, InvalidError, NotAllowedError
from chat.models import Member, Message, Restriction, Role, Room
from notifications.delivery import actions as delivery
from notifications.models import Notification
from tasks.messages import thaw
from tasks.models import TaskRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mod(transactional_db: None) -> User:
    user = User.objects.create_user("mod", display_name="Mod", password="x")
    user.groups.add(Group.objects.get(name="moderator"))
    return user


@pytest.fixture
def cave(ann: User) -> Room:
    """Ann's private room."""
    return actions.create_room(actor=ann, name="The cave", topic="Secrets")


def denials(action: str) -> list[tuple[str, str]]:
    found = Event.objects.filter(action=action, outcome="denied").order_by("id")
    return list(found.values_list("actor_label", "object_type"))


@pytest.fixture
def run_notifications() -> Callable[[], None]:
    """Return a function that does what the worker does with all that was asked of it."""

    def run() -> None:
        for run in TaskRun.objects.filter(name="notifications.notify_user").order_by("enqueued_at"):
            _, arguments, _ = thaw(run.message)
            delivery.create_notification(
                User.objects.get(pk=arguments.pop("recipient_id")), source_task_id=run.pk, **arguments
            )

    return run


def test_what_was_read_in_the_room_is_no_news(
    room: Room, ann: User, bob: User, run_notifications: Callable[[], None]
) -> None:
    User.objects.filter(pk=bob.pk).update(email="bob@example.org")
    mine = Notification.objects.filter(recipient=bob).order_by("pk")
    for body in ("one for @bob", "two for @bob"):
        actions.send_message(room, actor=ann, body=body)
    run_notifications()
    actions.mark_read(room, 1, actor=bob)
    assert not mine.filter(read_at__isnull=False).exists()  # the other one isn't read
    actions.mark_read(room, 2, actor=bob)
    assert mine.filter(read_at__isnull=False).count() == 2
    # The worker is late: it was read before it's told.
    actions.send_message(room, actor=ann, body="three for @bob")
    actions.mark_read(room, 3, actor=bob)
    run_notifications()
    last = mine.last()
    assert last is not None
    assert (last.body, last.is_read, last.email_due_at) == ("three for @bob", True, None)
    # One who is named by an edit later on hasn't read that.
    said = actions.send_message(room, actor=ann, body="four")
    actions.mark_read(room, 4, actor=bob)
    actions.edit_message(said, actor=ann, body="four for @bob")
    run_notifications()
    last = mine.last()
    assert last is not None
    assert (last.body, last.is_read) == ("four for @bob", False)


def test_a_private_room_exists_for_its_members_alone(
    client: Client, cave: Room, ann: User, bob: User, mod: User
) -> None:
    admin = User.objects.create_superuser("admin", password="x")
    message = actions.send_message(cave, actor=ann, body="psst")
    for stranger in (bob, mod, admin):
        client.force_login(stranger)
        for path in (
            "/chat/the-cave/",
            "/api/chat/rooms/the-cave/",
            "/api/chat/rooms/the-cave/messages/",
            "/api/chat/rooms/the-cave/events/?after=0",
            "/api/chat/rooms/the-cave/members/",
            "/api/chat/rooms/the-cave/pins/",
            "/api/chat/rooms/the-cave/presence/",
            f"/api/chat/rooms/the-cave/messages/{message.pk}/",
            f"/api/chat/rooms/the-cave/messages/{message.pk}/history/",
            "/api/chat/search/?q=psst&room=the-cave",
        ):
            assert client.get(path).status_code == 404, path
            assert client.get(path.replace("the-cave", "no-room")).status_code == 404
        assert "the-cave" not in [room["slug"] for room in client.get("/api/chat/rooms/").json()]
        assert client.get("/api/chat/search/?q=psst").json() == []
        assert client.post("/api/chat/rooms/the-cave/messages/", {"body": "hi"}).status_code == 404
    told = Event.objects.filter(action="chat.room.entered", outcome="denied")
    assert set(told.values_list("actor_label", flat=True)) == {"bob", "mod", "admin"}
    assert set(told.values_list("object_id", flat=True)) == {str(cave.pk)}
    assert told.count() == 3 * 11
    client.force_login(ann)
    assert client.get("/api/chat/rooms/the-cave/").json()["you"]["role"] == "owner"


def test_one_rule_says_the_same_of_one_room_and_of_all(cave: Room, room: Room, ann: User, bob: User, mod: User) -> None:
    actions.restrict(bob, room=room, kind="ban", reason="noise", actor=mod, minutes=5)
    everybody = (ann, bob, mod)
    rooms = list(Room.objects.all())
    at_once = queries.accesses_to((user.pk, one.pk) for user in everybody for one in rooms)
    for user in everybody:
        listed = set(queries.rooms_visible_to(user))
        for one in rooms:
            access = queries.access_to(user, one)
            assert access == at_once[user.pk, one.pk]
            assert access is not None
            assert access.can_enter == (one in listed)


def test_who_may_open_which_rooms(ann: User, mod: User) -> None:
    with pytest.raises(NotAllowedError):
        actions.create_room(actor=ann, name="Mine", kind="public")
    assert denials("chat.access.denied") == [("", "")]
    public = actions.create_room(actor=mod, name="All of us", kind="public")
    assert (public.slug, queries.access_to(ann, public).can_enter) == ("all-of-us", True)  # type: ignore[union-attr]
    with pytest.raises(ConflictError):
        actions.create_room(actor=ann, name="All of us")
    for wrong in ({"name": ""}, {"name": "x" * 101}, {"name": "ok", "slug": "Not OK"}, {"name": "Direct 1 2"}):
        with pytest.raises(InvalidError):
            actions.create_room(actor=ann, **wrong)


def test_two_people_have_one_conversation(client: Client, ann: User, bob: User) -> None:
    client.force_login(ann)
    first = client.post("/api/chat/direct/", {"username": "bob"}, content_type="application/json").json()
    client.force_login(bob)
    again = client.post("/api/chat/direct/", {"username": "ann"}, content_type="application/json").json()
    assert first["slug"] == again["slug"] == f"direct-{ann.pk}-{bob.pk}"
    assert first["kind"] == "direct"
    assert client.post("/api/chat/direct/", {"username": "bob"}, content_type="application/json").status_code == 400
    room = Room.objects.get(slug=first["slug"])
    cid = User.objects.create_user("cid")
    with pytest.raises(NotAllowedError):
        actions.add_member(room, cid, actor=ann)
    with pytest.raises(ConflictError):
        actions.remove_member(room, ann, actor=ann)


def test_members_come_get_roles_and_go(cave: Room, ann: User, bob: User) -> None:
    with pytest.raises(NotAllowedError):
        actions.join_room(cave, actor=bob)
    actions.add_member(cave, bob, actor=ann)
    with pytest.raises(NotAllowedError):
        actions.describe_room(cave, actor=bob, topic="mine now")
    actions.change_role(cave, bob, actor=ann, role=Role.MODERATOR)
    actions.describe_room(cave, actor=bob, topic="ours")
    with pytest.raises(NotAllowedError):
        actions.archive_room(cave, actor=bob, is_archived=True)
    with pytest.raises(ConflictError):
        actions.remove_member(cave, ann, actor=ann)  # it would be nobody's
    actions.remove_member(cave, bob, actor=bob)
    assert list(cave.members.values_list("user__username", flat=True)) == ["ann"]
    assert list(cave.events.values_list("kind", flat=True)) == [
        "member.changed",
        "member.changed",
        "room.changed",
        "member.changed",
    ]
    changed = Event.objects.get(action="chat.member.updated")
    assert changed.changes["role"] == ["member", "moderator"]


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/api/chat/rooms/?kind=secret", "kind"),
        ("/api/chat/rooms/?archived=perhaps", "archived"),
        ("/api/chat/reports/?state=lost", "state"),
    ],
)
def test_a_list_says_which_narrowing_it_does_not_know(client: Client, ann: User, address: str, field: str) -> None:
    client.force_login(ann)
    answer = client.get(address)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_an_archived_room_is_read_and_not_written(client: Client, cave: Room, ann: User) -> None:
    message = actions.send_message(cave, actor=ann, body="last words")
    client.force_login(ann)
    path = "/api/chat/rooms/the-cave/"
    assert client.patch(path, {"is_archived": True}, content_type="application/json").json()["archived_at"]
    assert client.get(f"{path}messages/").json()["results"][0]["body"] == "last words"
    assert client.post(f"{path}messages/", {"body": "more"}, content_type="application/json").status_code == 403
    assert client.put(f"{path}messages/{message.pk}/reactions/👍/").status_code == 403
    assert client.delete(f"{path}messages/{message.pk}/").status_code == 403
    assert client.post("/chat/the-cave/", {"body": "more"}).status_code == 403
    assert "the-cave" not in [room["slug"] for room in client.get("/api/chat/rooms/").json()]
    assert "the-cave" in [room["slug"] for room in client.get("/api/chat/rooms/?archived=true").json()]
    assert not client.patch(path, {"is_archived": False}, content_type="application/json").json()["archived_at"]
    assert client.post(f"{path}messages/", {"body": "more"}, content_type="application/json").status_code == 201


def test_who_is_muted_reads_and_who_is_banned_is_not_let_in(
    client: Client, room: Room, ann: User, bob: User, mod: User
) -> None:
    client.force_login(mod)
    path = "/api/chat/restrictions/"
    frame = {"username": "bob", "room": "a-room", "kind": "mute", "reason": "noise", "minutes": 10}
    mute = client.post(path, frame, content_type="application/json").json()
    assert mute["expires_at"]
    client.force_login(bob)
    assert client.post(path, frame, content_type="application/json").status_code == 403
    assert client.get(path).json() == []
    assert client.get("/api/chat/rooms/a-room/messages/").status_code == 200
    assert client.post("/api/chat/rooms/a-room/messages/", {"body": "x"}).status_code == 415
    said = client.post("/api/chat/rooms/a-room/messages/", {"body": "x"}, content_type="application/json")
    assert said.status_code == 403
    client.force_login(mod)
    assert client.delete(f"{path}{mute['id']}/").status_code == 204
    ban = client.post(path, {**frame, "kind": "ban", "room": None}, content_type="application/json")
    assert ban.status_code == 201
    client.force_login(bob)
    assert client.get("/api/chat/rooms/").json() == []
    assert client.get("/api/chat/rooms/a-room/").status_code == 404
    Restriction.objects.update(expires_at="2020-01-01T00:00Z")
    assert client.get("/api/chat/rooms/a-room/").status_code == 200


def test_a_second_ban_takes_the_place_of_the_first(room: Room, bob: User, mod: User) -> None:
    for minutes in (10, None):
        actions.restrict(bob, room=room, kind="ban", reason="noise", actor=mod, minutes=minutes)
    actions.restrict(bob, room=None, kind="ban", reason="noise", actor=mod, minutes=5)
    in_force = Restriction.objects.filter(lifted_at=None).order_by("id")
    assert [(one.room, one.expires_at is None) for one in in_force] == [(room, True), (None, False)]


def test_moderators_do_not_mute_each_other(room: Room, mod: User) -> None:
    other = User.objects.create_user("other")
    other.groups.add(Group.objects.get(name="moderator"))
    with pytest.raises(NotAllowedError):
        actions.restrict(other, room=None, kind="mute", reason="no", actor=mod)


def test_a_report_is_looked_at_and_acted_on(client: Client, room: Room, ann: User, bob: User, mod: User) -> None:
    message = actions.send_message(room, actor=bob, body="Buy my pills")
    client.force_login(ann)
    path = f"/api/chat/rooms/a-room/messages/{message.pk}/report/"
    first = client.post(path, {"reason": "spam"}, content_type="application/json")
    again = client.post(path, {"reason": "spam!"}, content_type="application/json")
    assert (first.status_code, first.json()["id"]) == (201, again.json()["id"])
    resolve = f"/api/chat/reports/{first.json()['id']}/resolve/"
    assert client.get("/api/chat/reports/").json() == []
    assert client.post(resolve, {"action": "ban"}, content_type="application/json").status_code == 404
    assert denials("chat.report.resolved") == [("ann", "chat.report")]
    client.force_login(mod)
    (listed,) = client.get("/api/chat/reports/?state=open").json()
    assert (listed["body"], listed["reason"], listed["room"]) == ("Buy my pills", "spam", "a-room")
    frame = {"action": "mute", "note": "No adverts.", "minutes": 60}
    assert client.post(resolve, frame, content_type="application/json").json()["state"] == "acted"
    assert client.post(resolve, frame, content_type="application/json").status_code == 409
    message.refresh_from_db()
    assert (message.body, message.is_deleted) == ("", True)
    assert not queries.access_to(bob, room).can_write  # type: ignore[union-attr]
    kinds = set(Event.objects.filter(actor_label="mod").values_list("action", flat=True))
    assert {"chat.report.updated", "chat.message.updated", "chat.restriction.created"} <= kinds


@pytest.mark.parametrize("verdict", ["dismiss", "delete", "ban"])
def test_each_verdict_does_what_it_says(room: Room, ann: User, bob: User, mod: User, verdict: Any) -> None:
    message = actions.send_message(room, actor=bob, body="Hm")
    report = actions.report_message(message, actor=ann, reason="rude")
    actions.resolve_report(report, actor=mod, verdict=verdict)
    message.refresh_from_db()
    assert message.is_deleted == (verdict != "dismiss")
    assert queries.access_to(bob, room).can_enter == (verdict != "ban")  # type: ignore[union-attr]


def test_who_is_named_answered_or_written_to_is_told_once(
    room: Room, cave: Room, ann: User, bob: User, run_notifications: Callable[[], None]
) -> None:
    first = actions.send_message(room, actor=bob, body="Who knows?")
    actions.send_message(room, actor=ann, body="Ask @bob, not @nobody nor @ann.", reply_to=first.pk)
    actions.send_message(room, actor=ann, body="I do", reply_to=first.pk)
    actions.send_message(cave, actor=ann, body="@bob isn't here")
    direct = actions.open_direct(bob, actor=ann)
    actions.send_message(direct, actor=ann, body="Psst")
    run_notifications()
    told = Notification.objects.order_by("id").values_list("recipient__username", "kind", "topic")
    assert list(told) == [
        ("bob", "chat_mention", f"chat.room-{room.pk}"),
        ("bob", "chat_message", f"chat.room-{room.pk}"),
        ("bob", "chat_message", f"chat.room-{direct.pk}"),
    ]
    assert Message.objects.get(body__startswith="Ask").mentions == sorted([ann.pk, bob.pk])


def test_everything_that_changes_is_in_the_ledger(room: Room, ann: User, mod: User) -> None:
    Member.objects.create(room=room, user=mod, role=Role.OWNER)
    message = actions.send_message(room, actor=ann, body="one")
    actions.edit_message(message, actor=ann, body="two")
    actions.react(message, actor=mod, emoji="👍", is_on=True)
    actions.pin(message, actor=mod, is_on=True)
    actions.delete_message(message, actor=mod)
    actions.describe_room(room, actor=mod, topic="new")
    told = list(Event.objects.filter(object_type__startswith="chat.").order_by("id").values_list("action", flat=True))
    assert told[2:] == [
        "chat.message.created",
        "chat.message.updated",
        "chat.reaction.created",
        "chat.message.updated",
        "chat.reaction.deleted",
        "chat.message.updated",
        "chat.room.updated",
    ]


def test_what_is_changed_in_the_admin_is_an_event_too(client: Client, room: Room) -> None:
    client.force_login(User.objects.create_superuser("admin", password="x"))
    frame = {"name": "Renamed", "slug": "a-room", "topic": "", "kind": "public"}
    assert client.post(f"/admin/chat/room/{room.pk}/change/", frame).status_code == 302
    (event,) = replay.events_after(room, 0).events
    assert (event["type"], event["room_state"]["name"]) == ("room.changed", "Renamed")
    for page in ("report", "restriction"):
        assert client.get(f"/admin/chat/{page}/").status_code == 200
        assert client.get(f"/admin/chat/{page}/add/").status_code == 403
