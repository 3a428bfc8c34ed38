"""Whoever acts, and wherever from, is named in the event, with the request, the operation and the reason."""

import contextvars
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import login
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client
from django.urls import include, path

import audit
from accounts.actions import create_token
from accounts.models import User
from audit.models import Event
from blog.actions import create_post, publish_post
from blog.models import Post
from chat.models import Room
from telemetry.context import Actor, Context, bind, current, use

pytestmark = pytest.mark.django_db(transaction=True)
COMMENTS = "/api/blog/posts/on-being-seen/comments/"
MANAGE = str(Path(__file__).parents[2] / "platform" / "manage.py")


# --- views of this test's own --------------------------------------------------------------------------------------


def write_before_and_after_the_login(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        Room.objects.create(slug="before", name="x")
        login(request, User.objects.get(username="reader"))
        Room.objects.create(slug="after", name="x")
    return HttpResponse("done")


def write_as_whoever_a_view_finds(request: HttpRequest) -> HttpResponse:
    request.user = User.objects.get(username=request.GET["as"])
    Room.objects.create(slug="late", name="x")
    return HttpResponse("done")


def write_while_streaming(request: HttpRequest) -> StreamingHttpResponse:
    def rows() -> Iterator[bytes]:
        for number in range(3):
            Room.objects.create(slug=f"streamed-{number}", name="x")
            yield b"row\n"

    return StreamingHttpResponse(rows())


urlpatterns = [
    path("", include("config.urls")),
    path("login-within/", write_before_and_after_the_login),
    path("late/", write_as_whoever_a_view_finds),
    path("stream/", write_while_streaming),
]


@pytest.fixture
def reader() -> User:
    return User.objects.create_user("reader", password="right-horse-9")


@pytest.fixture
def post() -> Post:
    author = User.objects.create_superuser("author")
    return publish_post(create_post(actor=author, title="On being seen", body="Short."), actor=author)


def only(action: str) -> Event:
    return Event.objects.get(action=action)


def rooms() -> dict[str, Event]:
    return {event.changes["slug"]: event for event in Event.objects.filter(action="chat.room.created")}


def told(event: Event) -> tuple[str, str, str, str]:
    return event.actor_type, event.actor_id, event.actor_label, event.origin


# --- HTTP ----------------------------------------------------------------------------------------------------------


def test_a_session_is_named(client: Client, reader: User, post: Post) -> None:
    client.force_login(reader)
    headers = {"X-Audit-Reason": "ticket 50% 'done'", "User-Agent": "browser/1"}
    answer = client.post(COMMENTS, {"body": "Well said."}, content_type="application/json", headers=headers)
    event = only("blog.comment.created")

    assert answer.status_code == 201
    assert told(event) == ("user", str(reader.pk), "reader", "http")
    assert (event.request_id, event.operation) == (answer["X-Request-ID"], f"POST {COMMENTS}")
    assert event.trace_id
    assert event.trace_id in answer["traceparent"]
    assert event.context["reason"] == "ticket 50% 'done'"
    assert (event.context["address"], event.context["agent"]) == ("127.0.0.1", "browser/1")
    assert "token_id" not in event.context


def test_a_token_is_named_though_it_is_read_within_the_view(client: Client, reader: User, post: Post) -> None:
    token, text = create_token(reader, actor=reader, scopes=["blog:write", "chat:write"])
    room = Room.objects.create(slug="here", name="Here")
    headers = {"Authorization": f"Bearer {text}", "X-Audit-Reason": "by program"}
    answers = [
        client.post(address, data, content_type="application/json", headers=headers)
        for address, data in (
            (COMMENTS, {"body": "Said."}),
            (f"/api/chat/rooms/{room.slug}/messages/", {"body": "Hello"}),
        )
    ]
    events = [only("blog.comment.created"), only("chat.message.created")]

    assert [answer.status_code for answer in answers] == [201, 201]
    for answer, event in zip(answers, events, strict=True):
        assert told(event) == ("user", str(reader.pk), "reader", "http")
        assert event.request_id == answer["X-Request-ID"]
        assert (event.context["token_id"], event.context["reason"]) == (str(token.pk), "by program")


def test_the_next_request_knows_nothing_of_the_one_before(client: Client, reader: User, post: Post) -> None:
    _, text = create_token(reader, actor=reader, scopes=["blog:write"])
    headers = {"Authorization": f"Bearer {text}", "X-Audit-Reason": "once"}
    client.post(COMMENTS, {"body": "One."}, content_type="application/json", headers=headers)
    client.post("/accounts/login/", {"username": "reader", "password": "wrong"})
    denied = only("accounts.user.login_failed")

    assert (denied.actor_type, denied.actor_id or "") == ("anonymous", "")
    assert not {"token_id", "reason"} & set(denied.context)
    assert current() == Context()


def test_a_reason_from_outside_is_capped_and_cleaned(client: Client, reader: User, post: Post) -> None:
    client.force_login(reader)
    given = "why\x1b[31m\u202e password=canary-pw " + "x" * 5_000
    headers = {"X-Audit-Reason": given}
    client.post(COMMENTS, {"body": "Said."}, content_type="application/json", headers=headers)
    reason = only("blog.comment.created").context["reason"]

    assert reason.startswith("why\\u001b[31m")
    assert len(reason) < 600
    assert "canary-pw" not in reason
    assert reason.isprintable()


@pytest.mark.urls(__name__)
def test_a_login_within_a_request_changes_who_acts(client: Client, reader: User) -> None:
    answer = client.post("/login-within/")
    events = rooms()

    assert told(events["before"])[0] == "anonymous"
    assert told(events["after"]) == ("user", str(reader.pk), "reader", "http")
    assert {event.request_id for event in events.values()} == {answer["X-Request-ID"]}
    assert told(only("accounts.user.logged_in"))[:3] == ("user", str(reader.pk), "reader")


def test_logging_in_and_out_by_the_form_is_told_of_the_person(client: Client, reader: User) -> None:
    client.post("/accounts/login/", {"username": "reader", "password": "right-horse-9"})
    client.post("/accounts/logout/")

    for action in ("logged_in", "logged_out"):
        assert told(only(f"accounts.user.{action}")) == ("user", str(reader.pk), "reader", "http")


@pytest.mark.urls(__name__)
def test_a_user_whom_the_view_itself_found_is_named(client: Client, reader: User) -> None:
    client.force_login(User.objects.create_user("another"))
    client.post("/late/?as=reader")

    assert told(rooms()["late"]) == ("user", str(reader.pk), "reader", "http")


@pytest.mark.urls(__name__)
def test_what_is_written_while_a_response_streams_is_named(client: Client, reader: User) -> None:
    client.force_login(reader)
    answer = client.post("/stream/")
    assert b"".join(answer) == b"row\n" * 3

    assert len(rooms()) == 3
    assert {(*told(event), event.request_id) for event in rooms().values()} == {
        ("user", str(reader.pk), "reader", "http", answer["X-Request-ID"])
    }


def test_a_deleted_user_stays_named_in_what_they_did(client: Client, reader: User, post: Post) -> None:
    client.force_login(reader)
    client.post(COMMENTS, {"body": "Said."}, content_type="application/json")
    key = str(reader.pk)
    post.comments.all().delete()
    reader.delete()

    assert told(only("blog.comment.created")) == ("user", key, "reader", "http")
    assert only("accounts.user.deleted").object_id == key


# --- threads -------------------------------------------------------------------------------------------------------


def test_a_thread_has_its_own_context_and_takes_over_what_it_is_given() -> None:
    def write(slug: str) -> None:
        try:
            Room.objects.create(slug=slug, name="x")
        finally:
            connections.close_all()

    with use(Context(request_id="request-of-alice", actor_source=Actor("user", "alice"))):
        copied = contextvars.copy_context()
        threads = [
            threading.Thread(target=write, args=["bare"]),
            threading.Thread(target=copied.run, args=[write, "copied"]),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    events = rooms()

    assert (events["bare"].actor_type, events["bare"].origin, events["bare"].request_id or "") == (
        "anonymous",
        "unknown",
        "",
    )
    assert (events["copied"].actor_id, events["copied"].request_id) == ("alice", "request-of-alice")


# --- reasons -------------------------------------------------------------------------------------------------------


def test_reasons_nest_end_and_change_within_a_transaction() -> None:
    def create(slug: str) -> None:
        Room.objects.create(slug=slug, name="x")

    with audit.reason("outer"):
        with transaction.atomic():
            create("one")
            with audit.reason("inner"):
                create("two")
                with transaction.atomic():
                    create("three")
            create("four")
        create("five")
    create("six")

    assert {slug: event.context.get("reason") for slug, event in rooms().items()} == {
        "one": "outer",
        "two": "inner",
        "three": "inner",
        "four": "outer",
        "five": "outer",
        "six": None,
    }


def test_a_reason_ends_with_its_block_though_it_raises() -> None:
    with pytest.raises(RuntimeError), audit.reason("why"):
        raise RuntimeError
    Room.objects.create(slug="after", name="x")

    assert "reason" not in rooms()["after"].context


def test_a_reason_of_any_text_is_kept_as_it_is_up_to_its_limit() -> None:
    texts = ["''; DROP TABLE x; --", "50%s %(x)s", 'a "quoted" \\ word', "NUL \x00 and \x1f", "ünïcødé 🙂", "x" * 900]
    for number, text in enumerate(texts):
        with audit.reason(text):
            Room.objects.create(slug=f"room-{number}", name="x")
    kept = [rooms()[f"room-{number}"].context["reason"] for number in range(len(texts))]

    assert kept == [*texts[:3], "NUL  and \x1f", texts[4], "x" * 500]


def test_a_label_of_any_text_can_not_be_taken_for_another_field() -> None:
    label = "al'ice\x1fuser\x1f1\x00; SET LOCAL audit.context = ''"
    with bind(actor_source=Actor("user", "7", label), operation="POST /x\x1fy"):
        Room.objects.create(slug="a", name="x")
    event = rooms()["a"]

    assert (event.actor_type, event.actor_id) == ("user", "7")
    assert event.actor_label.replace("\x1f", "") == label.replace("\x1f", "").replace("\x00", "")


# --- commands ------------------------------------------------------------------------------------------------------


def test_commands_and_the_shell_name_their_operation_and_the_person_at_the_machine(reader: User) -> None:
    code = "from chat.models import Room; Room.objects.create(slug='from-shell', name='x')"
    commands = [
        [sys.executable, MANAGE, "create_token", "reader", "--scope", "blog:read"],
        [sys.executable, MANAGE, "shell", "-v0", "-c", code],
    ]
    running = [
        subprocess.Popen(command, cwd=django_settings.LOCAL_DIR, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for command in commands
    ]
    for process in running:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output.decode()
    made, shell = only("accounts.apitoken.created"), rooms()["from-shell"]

    assert (made.actor_type, made.origin, made.operation) == ("system", "command", "create_token")
    assert (shell.actor_type, shell.origin, shell.operation) == ("system", "shell", "shell")
    assert made.actor_label == shell.actor_label != ""
    assert len({made.request_id, shell.request_id}) == 2
