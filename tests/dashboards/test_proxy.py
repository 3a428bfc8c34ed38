"""The compose stack's proxy, run here: pages and sockets have one origin, and what it isn't to pass on it doesn't."""

import asyncio
import json
import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import websockets
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from accounts.models import User
from config.processes import Process, Program, stop_all
from tests.conftest import WaitUntil
from tests.dashboards import tools
from tests.dashboards.tools import DASHBOARDS
from tests.live import LivePlatform

FILE = DASHBOARDS / "proxy" / "Caddyfile"


@dataclass(frozen=True)
class Proxy:
    port: int
    health_port: int

    def client(self) -> httpx.Client:
        # Its certificate is of its own making.
        return httpx.Client(base_url=f"https://localhost:{self.port}", verify=False, timeout=60)  # noqa: S501


@pytest.fixture
def proxy(
    live_platform: LivePlatform, free_ports: Callable[[int], list[int]], tmp_path: Path, wait_until: WaitUntil
) -> Iterator[Proxy]:
    port, health_port = free_ports(2)
    environment = {
        "PATH": os.environ["PATH"],
        **dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(tmp_path)),
        "SITE_HOST": "localhost",
        "SITE_PORT": str(port),
        "HEALTH_PORT": str(health_port),
        "WEB": live_platform.web_url.removeprefix("http://"),
        "SOCKETS": live_platform.socket_url.removeprefix("ws://"),
        "RUNBOOKS_DIR": str(DASHBOARDS / "runbooks"),
    }
    arguments = [tools.path_of("caddy"), "run", "--config", str(FILE), "--adapter", "caddyfile"]
    process = Process(Program("caddy", arguments, tmp_path, environment))
    found = Proxy(port, health_port)

    def is_up() -> bool:
        assert process.is_running, list(process.last_lines)
        try:
            with found.client() as client:
                return client.get("/healthz/live").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(is_up, timeout=60)
        yield found
    finally:
        stop_all([process])


def session_of(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


def test_pages_and_sockets_have_one_origin(proxy: Proxy) -> None:
    user = User.objects.create_user(username="ada", password="not a secret")
    cookie = f"{settings.SESSION_COOKIE_NAME}={session_of(user)}"
    with proxy.client() as client:
        page = client.get("/notifications/", headers={"Cookie": cookie})
        assert page.status_code == 200
        assert "text/html" in page.headers["Content-Type"]
        assert client.get("/static/css/site.css").status_code == 200

    async def talk() -> dict[str, object]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with websockets.connect(
            f"wss://localhost:{proxy.port}/ws/notifications/",
            ssl=context,
            origin=f"https://localhost:{proxy.port}",  # type: ignore[arg-type]
            additional_headers={"Cookie": cookie},
        ) as connection:
            return dict(json.loads(await asyncio.wait_for(connection.recv(), 60)))

    assert "type" in asyncio.run(talk())


def test_a_strangers_ids_are_not_passed_on_as_the_proxys_word(proxy: Proxy) -> None:
    theirs = {"X-Request-ID": "a" * 32, "traceparent": f"00-{'b' * 32}-{'c' * 16}-01", "X-Forwarded-For": "203.0.113.9"}
    with proxy.client() as client:
        answer = client.get("/", headers=theirs)
    assert answer.status_code == 200
    assert answer.headers["X-Request-ID"] != "a" * 32
    assert "b" * 32 not in answer.headers["traceparent"]


def test_metrics_stay_inside_and_runbooks_are_given_out(proxy: Proxy) -> None:
    with proxy.client() as client:
        assert client.get("/metrics").status_code == 404
        runbook = client.get("/runbooks/postgres-down.md")
        assert runbook.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert runbook.text == (DASHBOARDS / "runbooks" / "postgres-down.md").read_text()
        assert client.get("/runbooks/../proxy/Caddyfile").status_code == 404
    assert httpx.get(f"http://127.0.0.1:{proxy.health_port}/").text == "ok"
