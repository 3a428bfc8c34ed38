"""What the tests of the ledger share."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from audit.echo import Change
from audit.signals import model_changed
from telemetry.tracing import provider
from telemetry.tracing.exporters import default_exporters
from tests.audit.everything.events import News, new_events
from tests.audit.exported import RIGHTS
from tests.audit.readers import user_with
from tests.audit.sinks import PASSWORD, Exported, Sinks


@pytest.fixture
def news() -> News:
    """Return a function that gives the events of the app `everything` since it was last called."""
    return new_events()


@pytest.fixture
def sinks(
    transactional_db: None,
    superuser: Any,
    servers: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Sinks]:
    """Give all that is written to in the test, with a collector beside the store of recent spans."""
    pipeline = provider.pipeline()
    exported = Exported()
    pipeline.use_exporters([exported, *default_exporters()])
    made = Sinks(superuser, servers.redis, capsys, exported)

    def hear(sender: Any, change: Change, **kwargs: Any) -> None:
        made.changes.append(change)

    model_changed.connect(hear)
    yield made
    model_changed.disconnect(hear)
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
