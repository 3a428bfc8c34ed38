"""What people, probes and bad luck do to a platform, so that each panel has something to show."""

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import httpx
import psycopg
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.test import Client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from accounts.models import User
from blog.actions import create_post, publish_post
from blog.models import Post
from chat.actions import create_room
from chat.models import RoomKind
from config.celery import app
from tests.audit.test_unavailable import BREAKS
from tests.conftest import WaitUntil
from tests.live import LivePlatform


@dataclass
class People:
    """Who is there, and what they have."""

    author: User
    reader: User
    post: Post
    room: str


def settle() -> People:
    """Make people, a post and a room."""
    author = User.objects.create_superuser("author")
    reader = User.objects.create_user("reader")
    post = publish_post(create_post(actor=author, title="Seen", body="Some *text*."), actor=author)
    return People(author, reader, post, create_room(actor=author, name="Panels", kind=RoomKind.PUBLIC).slug)


class Traffic:
    """Two people at a running platform, and what happens to them."""

    def __init__(self, platform: LivePlatform, people: People, superuser: psycopg.Connection) -> None:
        self._platform, self._people, self._superuser = platform, people, superuser
        self._author, self._reader = self._client_of(people.author), self._client_of(people.reader)
        self._open = ExitStack()
        self._room: ClientConnection

    def _client_of(self, user: User) -> httpx.Client:
        session = Client()
        session.force_login(user)
        assert session.session[SESSION_KEY]
        cookies = {settings.SESSION_COOKIE_NAME: session.cookies[settings.SESSION_COOKIE_NAME].value}
        return httpx.Client(base_url=self._platform.web_url, cookies=cookies, timeout=60)

    def close(self) -> None:
        """End what is open."""
        self._open.close()
        self._author.close()
        self._reader.close()

    # --- what people do ----------------------------------------------------------------------------------------------

    def browse(self) -> None:
        """Read, look for what isn't there, go where one may not, and ask for the ledger."""
        for path in ("/", "/blog/", f"/blog/{self._people.post.slug}/", "/nowhere/", "/audit/", "/healthz/ready"):
            self._reader.get(path)
            httpx.get(self._platform.web_url + path)
        for path in ("/blog/", "/notifications/", "/audit/", "/api/audit/events/", "/chat/", "/tasks/"):
            self._author.get(path, headers={"X-Request-ID": "what is no id"})

    def post(self, client: httpx.Client, path: str, form_at: str, **fields: str) -> httpx.Response:
        """Send a form as a browser does."""
        client.get(form_at)
        token = client.cookies[settings.CSRF_COOKIE_NAME]
        return client.post(
            path, data={**fields, "csrfmiddlewaretoken": token}, headers={"Referer": str(client.base_url)}
        )

    def comment(self) -> None:
        """Say something below the post: a change, a task, a notification and a push."""
        here = f"/blog/{self._people.post.slug}/"
        answer = self.post(self._reader, f"{here}comment/", here, body="Well said.")
        assert answer.status_code == 302, answer.text

    def fail_to_log_in(self) -> None:
        """Try a wrong password."""
        with httpx.Client(base_url=self._platform.web_url) as stranger:
            self.post(stranger, "/accounts/login/", "/accounts/login/", username="author", password="guessed")

    def open_sockets(self) -> None:
        """Be at the room, and wait for notifications."""
        self._room = self._open.enter_context(self._connect(f"/ws/chat/{self._people.room}/", self._author))
        self._open.enter_context(self._connect("/ws/notifications/", self._author))

    def _connect(self, path: str, client: httpx.Client) -> connect:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        return connect(
            self._platform.socket_url + path,
            additional_headers={"Cookie": cookie} if cookie else {},
            origin=self._platform.web_url,  # type: ignore[arg-type]
            proxy=None,
        )

    def leave(self) -> None:
        """Come and go; be refused, as a stranger."""
        with self._connect("/ws/notifications/", self._author) as socket:
            socket.ping().wait(60)
        with suppress(ConnectionClosed), self._connect("/ws/notifications/", httpx.Client()) as stranger:
            stranger.recv(timeout=60)

    def talk(self) -> None:
        """Say something in the room, and hear it."""
        self._room.send(json.dumps({"type": "send", "body": "Hello.", "client_id": str(uuid.uuid4())}))
        while json.loads(self._room.recv(timeout=60))["type"] != "sent":
            pass

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    @contextmanager
    def _broken(self, breaking: str, mending: str) -> Iterator[None]:
        self._superuser.execute(breaking)
        try:
            yield
        finally:
            self._superuser.execute(mending)

    def fail(self) -> None:
        """Ask for a page whose table is gone: a server error."""
        with self._broken(
            "ALTER TABLE notifications_notification RENAME TO away",
            "ALTER TABLE away RENAME TO notifications_notification",
        ):
            assert self._author.get("/notifications/").status_code == 500

    def lose_the_ledger(self) -> None:
        """Change something while the ledger can't be written: it's undone, and answered with 503."""
        breaking, mending, _ = BREAKS["a constraint"]
        here = f"/blog/{self._people.post.slug}/"
        with self._broken(breaking, mending):
            assert self.post(self._reader, f"{here}comment/", here, body="Never said.").status_code == 503

    def tamper(self) -> None:
        """Switch off a trigger that captures. Only a process that hasn't checked the ledger before finds it at once."""
        with self._broken(
            "ALTER TABLE blog_post DISABLE TRIGGER audit_update", "ALTER TABLE blog_post ENABLE TRIGGER audit_update"
        ):
            httpx.get(f"{self._platform.socket_url.replace('ws:', 'http:')}/healthz/ready")

    def spoil_tasks(self, wait_until: WaitUntil) -> None:
        """Let tasks fail: one in a way that is tried again, one for good."""
        for code, outcome in (("query_canceled", "retried"), ("raise_exception", "failed")):
            wait_until(
                lambda: not self._count("SELECT count(*) FROM tasks_taskrun WHERE outcome = '' AND attempts = 0")
            )
            with self._broken(
                "CREATE FUNCTION spoiled() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE 'spoiled' USING ERRCODE = '{code}'; END $$; "
                "CREATE TRIGGER spoiled BEFORE INSERT ON notifications_notification "
                "FOR EACH ROW EXECUTE FUNCTION spoiled()",
                "DROP TRIGGER spoiled ON notifications_notification; DROP FUNCTION spoiled()",
            ):
                ended = f"SELECT count(*) FROM tasks_taskattempt WHERE outcome = '{outcome}'"
                before = self._count(ended)
                self.comment()
                wait_until(lambda: self._count(ended) > before)  # noqa: B023

    def _count(self, query: str) -> int:
        row = self._superuser.execute(query).fetchone()
        assert row is not None
        return int(row[0])

    @staticmethod
    def ask_for_tasks() -> None:
        """Send what beat would."""
        for name in ("blog.publish_due_posts", "blog.warm_cache"):
            app.send_task(name)
