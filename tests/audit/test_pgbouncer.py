"""Behind PgBouncer in transaction mode, where clients share one server connection by turns."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connections, transaction

from audit.echo import Change
from audit.models import Event
from audit.signals import model_changed
from chat.models import Room
from config.embedded import addresses, postgres
from config.embedded.folders import server_account
from config.processes import Process, Program, stop_all, wait_for
from telemetry.context import Actor, Context, new_request_id, use
from tests.audit.aliases import extra_alias
from tests.audit.interleaving import run_in_threads, units, verify

ALIASES = ["bouncer", "bouncer_bound"]
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", *ALIASES])

PORT = 6432  # names the socket's file alone
CONFIGURATION = """
[databases]
{database} = host={sockets} port={server_port} dbname={database} user={role}
[pgbouncer]
unix_socket_dir = {sockets}
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = 1
ignore_startup_parameters = extra_float_digits
"""


@pytest.fixture(scope="module")
def bouncer(django_db_setup: None) -> Iterator[Path]:
    """Run PgBouncer before the suite's server, on a unix socket beside the server's, as the server's account."""
    sbin = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    program = shutil.which("pgbouncer", path=sbin)
    if program is None:
        pytest.skip("no pgbouncer on the PATH")
    sockets = addresses.socket_directory(settings.LOCAL_DIR)
    account = server_account(postgres.data_directory(settings.LOCAL_DIR))
    values = {
        "database": addresses.DATABASE,
        "sockets": sockets,
        "server_port": addresses.POSTGRES_PORT,
        "role": addresses.APPLICATION_ROLE,
        "port": PORT,
    }
    file = sockets / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(**values))
    if account is not None:
        os.chown(file, account.user_id, account.group_id)
    process = Process(
        Program(
            name="pgbouncer",
            arguments=[program, str(file)],
            directory=Path("/"),
            environment={"PATH": sbin, "LC_ALL": "C"},
            user_id=account.user_id if account else None,
            group_id=account.group_id if account else None,
        )
    )

    def answers() -> bool:
        try:
            connect_plainly(sockets).close()
        except psycopg.OperationalError:
            return not process.is_running
        return True

    try:
        is_ready = wait_for(answers, timeout_seconds=60) and process.is_running
        assert is_ready, "\n".join(process.last_lines)
        yield sockets
    finally:
        stop_all([process])
        file.unlink()


@pytest.fixture(scope="module", autouse=True)
def _aliases(bouncer: Path) -> Iterator[None]:
    way = {"HOST": str(bouncer), "PORT": str(PORT), "DISABLE_SERVER_SIDE_CURSORS": True, "CONN_MAX_AGE": None}
    with (
        extra_alias("bouncer", options={}, **way),
        extra_alias("bouncer_bound", options={"server_side_binding": True}, **way),
    ):
        yield


@pytest.fixture
def heard() -> Iterator[dict[str, list[Change]]]:
    """What each thread was told, by the thread's name."""
    changes: dict[str, list[Change]] = {}

    def hear(sender: Any, change: Change, **kwargs: Any) -> None:
        changes.setdefault(threading.current_thread().name, []).append(change)

    model_changed.connect(hear)
    yield changes
    model_changed.disconnect(hear)


def run_by_turns(names: list[str], work: Callable[[str, int], None], rounds: int) -> None:
    """Run `work` in a thread for each name, all of them always in the same round; fails with what it raises."""
    together, failures = threading.Barrier(len(names)), []

    def run(name: str) -> None:
        context = Context(request_id=new_request_id(), actor_source=Actor("user", name), reason=f"by {name}")
        try:
            with use(context):
                for number in range(rounds):
                    together.wait(60)
                    work(name, number)
        except BaseException as error:
            failures.append(error)
            together.abort()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[name], name=name) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def connect_plainly(sockets: Path) -> psycopg.Connection[Any]:
    """Connect as psql would: nothing of Django's, and nothing told."""
    return psycopg.connect(
        host=str(sockets),
        port=PORT,
        dbname=addresses.DATABASE,
        user=addresses.APPLICATION_ROLE,
        autocommit=True,
        prepare_threshold=None,  # what one client prepares, the next one's server connection may not know
    )


@pytest.mark.parametrize("alias", ALIASES)
def test_two_actors_on_one_server_connection_are_never_mixed_up(
    alias: str, bouncer: Path, heard: dict[str, list[Change]]
) -> None:
    backends: set[int] = set()

    def work(name: str, number: int) -> None:
        rooms, slug = Room.objects.using(alias), f"{name}-{number}"
        if number % 3 == 0:
            rooms.create(slug=slug, name="x")
        elif number % 3 == 1:
            with transaction.atomic(using=alias):
                room = rooms.create(slug=slug, name="x")
                room.topic = "changed"
                room.save()
        else:
            with connections[alias].cursor() as cursor:
                rows = [(slug,), (f"{slug}-too",)]
                cursor.executemany(
                    "INSERT INTO chat_room (slug, name, topic, last_sequence) VALUES (%s, 'x', '', 0)", rows
                )
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backends.add(cursor.fetchone()[0])
        left = plain.execute("SELECT current_setting('audit.context', true), pg_backend_pid()").fetchone()
        assert left is not None
        assert not left[0]
        backends.add(left[1])

    with connect_plainly(bouncer) as plain:
        run_by_turns(["alice", "bob", "carl"], work, rounds=15)
    events = Event.objects.filter(object_type="chat.room")
    slugs = dict(Room.objects.values_list("pk", "slug"))

    assert len(backends) == 1  # or nothing was shared, and nothing proved
    assert events.count() == 3 * 5 * (1 + 2 + 2)
    for event in events:
        assert slugs[int(event.object_id)].startswith(f"{event.actor_id}-")
        assert event.context["reason"] == f"by {event.actor_id}"
    for name, changes in heard.items():  # the notices came to the client that made the changes, each once
        ids = [number for change in changes for number in change.event_ids]
        mine = events.filter(actor_id=name).order_by("id")
        assert sorted(ids) == list(mine.values_list("id", flat=True))


@pytest.mark.parametrize("alias", ALIASES)
def test_a_client_with_no_context_gets_none_of_the_one_before(alias: str, bouncer: Path) -> None:
    with use(Context(request_id=new_request_id(), actor_source=Actor("user", "alice"))):
        with transaction.atomic(using=alias):
            Room.objects.using(alias).create(slug="one", name="x")
        Room.objects.using(alias).create(slug="two", name="x")
    with connect_plainly(bouncer) as plain:
        notices: list[str | None] = []
        plain.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
        plain.execute("UPDATE chat_room SET topic = 'by psql' WHERE slug = 'one'")
    event = Event.objects.get(action="chat.room.updated")

    assert (event.actor_type, event.actor_id, event.origin) == ("database", addresses.APPLICATION_ROLE, "sql")
    assert not event.request_id
    assert notices == []


@pytest.mark.parametrize("alias", ALIASES)
def test_interleaved_actors_of_all_kinds_of_work(alias: str) -> None:
    all_units = units(48, alias)
    run_in_threads([all_units[number::6] for number in range(6)], alias)

    verify(all_units)
