"""Secrets that are sent in by every way are in no sink: ledger, tables, logs, spans, echoes, metrics, answers."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from django.urls import path

from accounts.actions import create_token
from accounts.models import ApiToken, User
from audit.models import Event
from chat.actions import open_room
from chat.consumers import ChatConsumer
from telemetry.channels import HandshakeMiddleware
from tests.audit.sinks import OTHER, PASSWORD, TOKEN, WRONG, Sinks
from tests.notifications.client import SocketClient

pytestmark = pytest.mark.django_db(transaction=True)

MANAGE = str(Path(__file__).parents[2] / "platform" / "manage.py")


# --- passwords -----------------------------------------------------------------------------------------------------


def test_a_password_on_its_way_in_and_in_every_change(sinks: Sinks, una: User, client: Client) -> None:
    hashes = [una.password]
    una.set_password(OTHER)
    una.save()
    hashes.append(una.password)
    User.objects.filter(pk=una.pk).update(password="Zk7-canary-set-by-hand")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET password = 'Zk7-canary-literal' WHERE username = 'una'")
    boss = User.objects.create_superuser("boss", password=WRONG)
    hashes.append(boss.password)
    client.force_login(boss)
    form = {"username": "new", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    sinks.answers.append(client.post("/admin/accounts/user/add/", form))
    sinks.answers.append(client.post("/admin/accounts/user/add/", {**form, "username": "", "password2": OTHER}))
    sinks.answers.append(client.get("/admin/accounts/user/"))
    assert User.objects.filter(username="new").exists()
    User.objects.all().delete()

    sinks.assert_none_holds(
        PASSWORD,
        OTHER,
        WRONG,
        "Zk7-canary-set-by-hand",
        "Zk7-canary-literal",
        *(each.rpartition("$")[2] for each in hashes),
    )


def test_a_password_typed_into_the_login_form_right_wrong_and_misplaced(sinks: Sinks, una: User) -> None:
    client = Client()
    for username, password in (("una", PASSWORD), ("una", WRONG), (OTHER, WRONG), ("", OTHER)):
        answer = client.post("/accounts/login/", {"username": username, "password": password})
        if username != OTHER:  # the form shows the name again to whoever typed it
            sinks.answers.append(answer)
        client.post("/accounts/logout/")
    for _ in range(12):
        sinks.answers.append(client.post("/accounts/login/", {"username": "una", "password": WRONG}))
    assert sinks.answers[-1].status_code == 429

    sinks.assert_none_holds(PASSWORD, WRONG, OTHER)


def test_a_password_in_a_body_that_is_refused(sinks: Sinks, una: User, client: Client) -> None:
    client.force_login(una)
    headers = {"Accept": "application/json"}
    for body in (
        json.dumps({"password": PASSWORD, "title": "", "nested": {"token": OTHER}}),
        '{"password": "' + PASSWORD + '", broken',
        json.dumps([PASSWORD]),
        json.dumps(PASSWORD),
    ):
        for address in ("/api/blog/posts/", "/api/chat/rooms/", "/api/chat/rooms/lobby/messages/"):
            answer = client.post(address, body, content_type="application/json", headers=headers)
            sinks.answers.append(answer)
    assert {answer.status_code for answer in sinks.answers} <= {400, 403, 405}

    sinks.assert_none_holds(PASSWORD, OTHER)


# --- tokens, cookies and headers -----------------------------------------------------------------------------------


def test_a_token_that_works_and_ones_that_do_not(sinks: Sinks, una: User) -> None:
    token, text = create_token(una, actor=una, scopes=["blog:write", "audit:read"])
    digest = token.digest_hex
    client = Client()
    for given in (text, text[:-1], TOKEN, f"{text} {TOKEN}", "x" * 300 + TOKEN):
        for address in ("/api/audit/events/", "/api/blog/posts/", "/api/nowhere/", "/blog/new/"):
            sinks.answers.append(client.get(address, headers={"Authorization": f"Bearer {given}"}))
            sinks.answers.append(client.post(address, headers={"Authorization": f"bearer {given}"}))
    ApiToken.objects.filter(pk=token.pk).update(revoked_at="2026-01-01T00:00Z")
    sinks.answers.append(client.get("/api/audit/events/", headers={"Authorization": f"Bearer {text}"}))
    token.delete()

    sinks.assert_none_holds(text, text[3:], TOKEN[3:], digest)


def test_a_secret_in_an_address(sinks: Sinks, una: User, client: Client) -> None:
    client.force_login(una)
    referer = f"http://testserver/?token={OTHER}"
    for address in (
        "/",
        "/blog/",
        "/nowhere/",
        "/api/blog/posts/",
        "/api/audit/events/",
        "/accounts/login/",
        "/audit/",
    ):
        for query in (f"?token={TOKEN}", f"?password={PASSWORD}", f"?access_token={TOKEN}&new_password1={PASSWORD}"):
            sinks.answers.append(client.get(address + query, headers={"Referer": referer}))
    strict = Client(enforce_csrf_checks=True)
    elsewhere = f"https://elsewhere.example/?token={OTHER}"
    sinks.answers.append(strict.post(f"/accounts/login/?token={TOKEN}", secure=True, headers={"Referer": elsewhere}))
    assert sinks.answers[-1].status_code == 403
    # A page may show a person the address that they called, as a link to come back to; an error tells nothing of it.
    sinks.answers = [answer for answer in sinks.answers if answer.status_code >= 400]

    sinks.assert_none_holds(TOKEN[3:], PASSWORD, OTHER)


def test_cookies_and_credentials_in_headers(sinks: Sinks, una: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(una)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.get("/accounts/login/")
    csrf = client.cookies[settings.CSRF_COOKIE_NAME].value
    basic = base64.b64encode(f"una:{PASSWORD}".encode()).decode()
    headers = {
        "Authorization": f"Basic {basic}",
        "X-CSRFToken": csrf[:-1] + "x",
        "User-Agent": f"curl -H 'Authorization: Bearer {TOKEN}'",
        "X-Audit-Reason": f"because password={OTHER}",
        "X-Forwarded-For": f"token={WRONG}",
        "X-Request-ID": f"password={WRONG}",
        "Referer": "http://testserver/",
    }
    for address in ("/api/blog/posts/", "/accounts/logout/", "/blog/new/", "/api/audit/events/"):
        for send in (client.get, client.post):
            sinks.answers.append(send(address, headers=headers))
    sinks.answers.append(client.post("/accounts/logout/", {"csrfmiddlewaretoken": csrf}, headers={"X-CSRFToken": csrf}))

    sinks.assert_none_holds(session, csrf, basic, PASSWORD, TOKEN[3:], OTHER, WRONG)


# --- sockets -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def enter(sinks: Sinks) -> AsyncIterator[Callable[..., Any]]:
    application = HandshakeMiddleware(URLRouter([path("ws/chat/<slug:room>/", ChatConsumer.as_asgi())]))
    opened = []

    async def open_socket(user: User) -> SocketClient:
        socket = SocketClient(application, "/ws/chat/a-room/", user)
        scope = socket._communicator.scope
        scope["query_string"] = f"token={TOKEN}".encode()
        scope["headers"] = [(b"cookie", f"sessionid={OTHER}".encode()), (b"authorization", f"Bearer {TOKEN}".encode())]
        opened.append(socket)
        await socket.connect()
        return socket

    yield open_socket
    for socket in opened:
        await socket.disconnect()
    await database_sync_to_async(connections.close_all)()


async def test_frames_and_the_handshake_of_a_socket(sinks: Sinks, una: User, enter: Callable[..., Any]) -> None:
    await sync_to_async(open_room)("a-room", name="A room", actor=None)
    socket = await enter(una)
    await socket.receive()
    await socket.send({"type": "send", "body": 7, "password": PASSWORD})
    await socket.send({"type": f"password={PASSWORD}", "token": TOKEN})
    await socket.send({"type": "send", "body": "fine", "client_id": f"token={PASSWORD}"})
    await socket.send_frame(text=f"password={PASSWORD}")
    await socket.send({"type": "send", "body": "Hello", "password": PASSWORD, "authorization": f"Bearer {TOKEN}"})
    for _ in range(6):
        await socket.receive()
    await socket.disconnect()

    await sync_to_async(sinks.assert_none_holds)(PASSWORD, TOKEN[3:], OTHER)


# --- commands ------------------------------------------------------------------------------------------------------


def test_a_token_made_by_a_command_is_shown_to_its_maker_alone(sinks: Sinks, una: User) -> None:
    out, err = StringIO(), StringIO()
    call_command("create_token", "una", "--scope", "blog:read", stdout=out, stderr=err)
    text = out.getvalue().strip()
    command = [sys.executable, MANAGE, "create_token", "una", "--scope", "blog:read", "--format", "token"]
    environment = {**os.environ, "LOG_LEVEL": "DEBUG"}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
    *lines, made = ended.stdout.splitlines()

    assert len(text) == len(made) == 46
    assert text not in err.getvalue()
    assert made not in ended.stderr + "".join(lines)
    sinks.assert_none_holds(text, made, text[3:], made[3:])


# --- masking -------------------------------------------------------------------------------------------------------


def test_equal_values_have_equal_digests_under_a_key_that_only_this_database_has(sinks: Sinks, superuser: Any) -> None:
    for name, password in (("one", OTHER), ("two", OTHER), ("three", WRONG)):
        User.objects.create(username=name, password=password)
    digests = [
        event.changes["password"] for event in Event.objects.filter(action="accounts.user.created").order_by("id")
    ]
    (key,) = superuser.execute("SELECT key FROM audit_key WHERE name = 'mask'").fetchone()

    def masked(value: str) -> Any:
        return superuser.execute("SELECT audit_mask_v1(%s)", [value]).fetchone()[0]

    assert digests[0] == digests[1] == masked(OTHER) != digests[2]
    assert set(digests[0]) == {"masked"}
    assert len(key) == 32
    with superuser.transaction(force_rollback=True):
        superuser.execute("UPDATE audit_key SET key = gen_random_uuid()::text::bytea WHERE name = 'mask'")
        assert masked(OTHER) not in digests
    sinks.assert_none_holds(OTHER, WRONG, key.hex())


@pytest.mark.parametrize(
    "change",
    [
        "ADD COLUMN nickname text DEFAULT 'none'",
        "RENAME COLUMN password TO passphrase",
        "ALTER COLUMN password TYPE text",
        "DROP COLUMN display_name",
    ],
)
def test_a_masked_value_stays_masked_while_its_table_changes(
    sinks: Sinks, una: User, superuser: Any, change: str
) -> None:
    column = "passphrase" if "TO passphrase" in change else "password"
    with superuser.transaction(force_rollback=True):
        superuser.execute("SET LOCAL session_replication_role = origin")
        superuser.execute(f"ALTER TABLE accounts_user {change}")
        superuser.execute(f"UPDATE accounts_user SET {column} = %s, first_name = 'Una'", [OTHER])
        superuser.execute("DELETE FROM accounts_user")
        told = superuser.execute(
            "SELECT action, changes::text FROM audit_event WHERE object_type = 'accounts.user' ORDER BY id"
        ).fetchall()

    assert [action for action, _ in told] == [f"accounts.user.{verb}" for verb in ("created", "updated", "deleted")]
    assert '"masked"' in told[1][1]
    assert not any(secret in changes for _, changes in told for secret in (OTHER, una.password))
