"""What the tests of the ledger share."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client

from accounts.models import User
from audit.echo import Change
from audit.live import consumers
from audit.signals import model_changed
from telemetry.tracing import provider
from telemetry.tracing.exporters import default_exporters
from tests.audit.everything.events import News, new_events
from tests.audit.exported import RIGHTS
from tests.audit.readers import user_with
from tests.audit.sinks import PASSWORD, Exported, Sinks
from tests.audit.tails import TAGS, Open, TailClient


@pytest.fixture
def news() -> News:
    """Return a function that gives the events of the app `everything` since it was last called."""
    return new_events()


@pytest.fixture
def heard() -> Iterator[list[Change]]:
    """Return what is told of changes after their commits."""
    changes: list[Change] = []

    def hear(sender: Any, change: Change, **kwargs: Any) -> None:
        changes.append(change)

    model_changed.connect(hear)
    yield changes
    model_changed.disconnect(hear)


@pytest.fixture
def sinks(
    transactional_db: None,
    superuser: Any,
    servers: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    heard: list[Change],
) -> Iterator[Sinks]:
    """Give all that is written to in the test, with a collector beside the store of recent spans."""
    pipeline = provider.pipeline()
    exported = Exported()
    pipeline.use_exporters([exported, *default_exporters()])
    yield Sinks(superuser, servers.redis, capsys, exported, changes=heard)
    pipeline.use_default_exporters()


@pytest.fixture
def una(sinks: Sinks) -> User:
    return User.objects.create_user("una", password=PASSWORD)


@pytest.fixture
def auditor(db: None) -> User:
    """Return a user who may read and export the ledger."""
    return user_with(*RIGHTS)


@pytest.fixture
def logged_in(auditor: User, client: Client) -> Client:
    """Return a client of the auditor."""
    client.force_login(auditor)
    return client


@pytest.fixture
def quick_tails(settings: Any, servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often; and however busy the machine, take nothing for too slow."""
    settings.AUDIT_TAIL_SECONDS = 0.05
    monkeypatch.setattr(consumers, "_CHECK_SECONDS", 0.1)
    monkeypatch.setattr(consumers, "_CHECK_WITHIN_SECONDS", 3_600.0)
    monkeypatch.setattr(consumers, "_WITHIN_SECONDS", 3_600.0)
    monkeypatch.setattr(consumers, "_IDLE_SECONDS", 3_600.0)


@pytest.fixture
def tail_reader(transactional_db: None) -> User:
    user = User.objects.create_user("auditor", password="right-horse-9")
    user.user_permissions.add(Permission.objects.get(codename="view_event"))
    return user


@pytest.fixture
def tail_browser(tail_reader: User) -> Client:
    client = Client()
    client.force_login(tail_reader)
    return client


@pytest.fixture
async def open_tail(tail_browser: Client) -> AsyncIterator[Open]:
    """Return a function that opens a tail with filters, as the auditor or by another browser."""
    opened: list[TailClient] = []

    async def open_one(asked: dict[str, Any] | str = TAGS, by: Client = tail_browser) -> TailClient:
        tail_client = TailClient(by, asked if isinstance(asked, str) else urlencode(asked))
        opened.append(tail_client)
        await tail_client.connect()
        return tail_client

    yield open_one
    for one in opened:
        await one.disconnect()
    await database_sync_to_async(connections.close_all)()
