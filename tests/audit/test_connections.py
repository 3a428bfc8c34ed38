"""However a statement reaches the database, its event tells who is acting, and the next transaction knows nothing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from psycopg import sql

from audit.echo import Change
from audit.models import Event
from chat.models import Room
from telemetry.context import Actor, Context, bind, new_request_id, use
from tests.audit.aliases import extra_alias

ALIASES = ["default", "bound", "pooled", "second"]
pytestmark = pytest.mark.django_db(transaction=True, databases=ALIASES)

INSERT = "INSERT INTO chat_room (slug, name, topic, last_sequence) VALUES (%s, 'x', '', 0)"
UPDATE = "UPDATE chat_room SET topic = topic || '!' WHERE slug = 'room'"


@pytest.fixture(scope="module", autouse=True)
def _aliases(django_db_setup: None) -> Iterator[None]:
    pool = {"min_size": 1, "max_size": 1, "timeout": 10}
    with (
        extra_alias("bound", options={"server_side_binding": True, "prepare_threshold": 2}),
        extra_alias("pooled", options={"pool": pool}),
        extra_alias("second", options={}, CONN_MAX_AGE=None),
    ):
        yield


def who(name: str) -> Context:
    return Context(
        request_id=new_request_id(),
        origin="http",
        operation="POST /",
        actor_source=Actor("user", name, name),
        reason=f"by {name}",
    )


@pytest.fixture
def alice() -> Iterator[Context]:
    with use(who("alice")) as context:
        yield context


def actors(action: str = "") -> list[str]:
    """Who is told by each room's event, oldest first."""
    found = Event.objects.filter(object_type="chat.room", action__endswith=action).order_by("id")
    return [event.actor_id for event in found]


def setting(alias: str = "default") -> str | None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_setting('audit.context', true)")
        value: str | None = cursor.fetchone()[0]
    return value


# --- nothing stays behind ------------------------------------------------------------------------------------------


def in_autocommit(alias: str) -> None:
    Room.objects.using(alias).create(slug="a", name="a")


def in_a_transaction(alias: str) -> None:
    with transaction.atomic(using=alias):
        in_autocommit(alias)


def in_executemany(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.executemany(INSERT, [["a"], ["b"]])


def in_a_rollback(alias: str) -> None:
    with suppress(RuntimeError), transaction.atomic(using=alias):
        in_autocommit(alias)
        raise RuntimeError


def in_a_failure(alias: str) -> None:
    in_autocommit(alias)
    with suppress(IntegrityError):
        in_autocommit(alias)


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("write", [in_autocommit, in_a_transaction, in_executemany, in_a_rollback, in_a_failure])
def test_the_context_ends_with_its_transaction(alias: str, write: Callable[[str], None]) -> None:
    with use(who("alice")):
        write(alias)
    assert not setting(alias)
    with use(who("bob")):
        Room.objects.using(alias).create(slug="next", name="x")
    assert actors()[-1] == "bob"
    assert set(actors()[:-1]) <= {"alice"}


def test_a_statement_with_no_context_follows_one_that_had_it(alice: Context) -> None:
    Room.objects.create(slug="a", name="a")
    with use(Context()):
        Room.objects.create(slug="b", name="b")
    told = {event.changes["slug"]: (event.actor_type, event.actor_id or "") for event in Event.objects.all()}
    assert told == {"a": ("user", "alice"), "b": ("anonymous", "")}


# --- ways to write -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_tells_the_actor_and_hears_the_echo(alias: str, alice: Context, heard: list[Change]) -> None:
    rooms = Room.objects.using(alias)
    for number in range(4):  # more often than it takes to be prepared
        room = rooms.create(slug=f"room-{number}", name="x")
        room.name = "y"
        room.save()
    with transaction.atomic(using=alias):
        rooms.bulk_create([Room(slug="c", name="x"), Room(slug="d", name="x")])
        rooms.exclude(slug="lobby").update(topic="t")
    with connections[alias].cursor() as cursor:
        cursor.executemany("UPDATE chat_room SET topic = %s WHERE slug = %s", [("u", "c"), ("v", "d")])
        cursor.execute("DELETE FROM chat_room WHERE slug = %s", ["c"])
        cursor.execute("DELETE FROM chat_room WHERE slug = 'd'")

    assert actors() == ["alice"] * (8 + 2 + 6 + 2 + 2)
    assert {change.using for change in heard} == {alias}
    assert sum(change.count for change in heard) == len(actors())


def test_reading_by_a_server_side_cursor_amid_writes(alice: Context) -> None:
    Room.objects.bulk_create([Room(slug=f"room-{number}", name="x") for number in range(30)])
    with transaction.atomic():
        for room in Room.objects.filter(name="x").order_by("id").iterator(chunk_size=10):
            with bind(actor_source=Actor("user", room.slug)):
                Room.objects.filter(pk=room.pk).update(name="y")
    for room in Room.objects.filter(name="y").order_by("id").iterator(chunk_size=10):
        with bind(actor_source=Actor("user", room.slug)):
            Room.objects.filter(pk=room.pk).update(name="z")

    slugs = [f"room-{number}" for number in range(30)]
    assert actors(".updated") == slugs * 2


def test_sql_made_by_psycopgs_own_composition(alice: Context) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("INSERT INTO {} (slug, name, topic, last_sequence) VALUES ({}, 'x', '', 0)").format(
                sql.Identifier("chat_room"), sql.Literal("50%")
            )
        )
    assert actors() == ["alice"]


def plain_driver(statement: str) -> None:
    with connection.connection.cursor() as cursor:
        cursor.execute(statement)


def copy_by_django(statement: str) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY chat_room (slug, name, topic, last_sequence) FROM STDIN") as c,
    ):
        c.write_row(("copied", "x", "", 0))


def copy_by_driver(statement: str) -> None:
    with connection.connection.cursor() as cursor:
        with cursor.copy("COPY chat_room (slug, name, topic, last_sequence) FROM STDIN") as c:
            c.write_row(("copied", "x", "", 0))


def django_cursor(prefix: str = "", suffix: str = "") -> Callable[[str], None]:
    def run(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(prefix + statement + suffix)

    return run


def prepared(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE touch AS {statement}")
        cursor.execute("EXECUTE touch")
        cursor.execute("DEALLOCATE touch")


def in_a_pipeline(statement: str) -> None:
    with connection.connection.pipeline(), connection.cursor() as cursor:
        cursor.execute(statement)


WAYS = {
    "the driver's own cursor": plain_driver,
    "COPY by Django's cursor": copy_by_django,
    "COPY by the driver's cursor": copy_by_driver,
    "a comment first": django_cursor("/* who: me */ "),
    "a line comment first": django_cursor("-- who\n"),
    "several statements": django_cursor("SELECT 1; "),
    "EXPLAIN ANALYZE": django_cursor("EXPLAIN ANALYZE "),
    "WITH": django_cursor("WITH changed AS (", " RETURNING 1) SELECT count(*) FROM changed"),
    "WITH in brackets": django_cursor("(WITH changed AS (", " RETURNING 1) SELECT count(*) FROM changed)"),
    "DO": django_cursor("DO $$ BEGIN ", "; END $$"),
    "a prepared statement": prepared,
    "a pipeline": in_a_pipeline,
}


@pytest.fixture
def room() -> Room:
    return Room.objects.create(slug="room", name="x")


@pytest.mark.parametrize("way", WAYS)
def test_every_way_tells_who_acts_in_autocommit(room: Room, way: str) -> None:
    with use(who("bob")):
        WAYS[way](UPDATE)
    assert actors()[1:] == ["bob"]
    assert not setting()


@pytest.mark.parametrize("way", WAYS)
def test_every_way_tells_who_acts_in_a_transaction(room: Room, way: str) -> None:
    with transaction.atomic(), use(who("bob")):
        WAYS[way](UPDATE)
    assert actors()[1:] == ["bob"]


@pytest.mark.parametrize("way", WAYS)
def test_no_way_is_taken_for_the_one_who_acted_before(room: Room, alice: Context, way: str) -> None:
    with transaction.atomic():
        Room.objects.filter(slug="room").update(topic="by alice")
        with use(who("bob")):
            WAYS[way](UPDATE)
    assert actors()[1:] == ["alice", "bob"]


@pytest.mark.parametrize("call", ["SELECT touch_rooms()", "CALL touch_rooms_by_call()", "VALUES (touch_rooms())"])
def test_a_function_that_writes_tells_who_called_it(
    room: Room, alice: Context, owner_connection: Any, call: str
) -> None:
    body = f"LANGUAGE sql AS $$ {UPDATE} $$"
    owner_connection.execute(f"CREATE FUNCTION public.touch_rooms() RETURNS void {body}")
    owner_connection.execute(f"CREATE PROCEDURE public.touch_rooms_by_call() {body}")
    try:
        with transaction.atomic():
            Room.objects.filter(slug="room").update(topic="by alice")
            with use(who("bob")), connection.cursor() as cursor:
                cursor.execute(call)
        with use(who("eve")), connection.cursor() as cursor:
            cursor.execute(call)
    finally:
        owner_connection.execute("DROP FUNCTION public.touch_rooms(); DROP PROCEDURE public.touch_rooms_by_call()")
    assert actors()[1:] == ["alice", "bob", "eve"]


# --- transactions in all their forms -------------------------------------------------------------------------------


@pytest.mark.parametrize("undo", ["ROLLBACK TO SAVEPOINT s", "rollback to savepoint s", " /* x */ ROLLBACK TO s"])
def test_a_savepoint_undone_by_hand_is_noticed(alice: Context, undo: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        Room.objects.create(slug="by-alice", name="x")
        cursor.execute("SAVEPOINT s")
        with use(who("bob")):
            Room.objects.create(slug="lost", name="x")
            cursor.execute(undo)
            Room.objects.create(slug="by-bob", name="x")
    assert actors() == ["alice", "bob"]


def test_a_drivers_savepoint_undone_is_noticed(alice: Context) -> None:
    with transaction.atomic():
        Room.objects.create(slug="by-alice", name="x")
        with use(who("bob")):
            with suppress(RuntimeError), connection.connection.transaction():
                Room.objects.create(slug="lost", name="x")
                raise RuntimeError
            Room.objects.create(slug="by-bob", name="x")
    assert actors() == ["alice", "bob"]


def test_a_transaction_begun_by_hand(alice: Context) -> None:
    with connection.cursor() as cursor:
        for name in ("alice", "bob"):
            with use(who(name)):
                cursor.execute("BEGIN")
                cursor.execute(INSERT, [name])
                cursor.execute("COMMIT")
        with use(who("carl")):
            cursor.execute("BEGIN")
            cursor.execute(INSERT, ["c"])
            cursor.execute("COMMIT AND CHAIN")
            cursor.execute(INSERT, ["d"])
            cursor.execute("COMMIT")
    assert actors() == ["alice", "bob", "carl", "carl"]


def test_with_autocommit_off_writes_are_attributed_and_not_disturbed(heard: list[Change]) -> None:
    transaction.set_autocommit(False)
    try:
        with use(who("alice")):
            Room.objects.create(slug="a", name="x")
            transaction.commit()
        with use(who("bob")):
            Room.objects.create(slug="b", name="x")
            transaction.rollback()
            Room.objects.create(slug="c", name="x")
            transaction.commit()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    assert actors() == ["alice", "bob"]


def test_what_is_done_on_commit_is_done_by_whoever_does_it_then(alice: Context) -> None:
    with transaction.atomic():
        Room.objects.create(slug="a", name="x")
        transaction.on_commit(lambda: Room.objects.create(slug="b", name="x") and None)
        with use(who("bob")):
            Room.objects.create(slug="c", name="x")
    assert actors() == ["alice", "bob", "alice"]


def test_a_connection_that_was_lost_begins_anew(alice: Context) -> None:
    Room.objects.create(slug="a", name="x")
    connection.close()
    with use(who("bob")):
        Room.objects.create(slug="b", name="x")
    assert actors() == ["alice", "bob"]


# --- shared connections --------------------------------------------------------------------------------------------


def test_each_change_is_told_once_however_often_a_pooled_connection_was_lent(heard: list[Change]) -> None:
    for number in range(5):
        with use(who(f"user-{number}")):
            Room.objects.using("pooled").create(slug=f"room-{number}", name="x")
        connections["pooled"].close()

    assert [change.changes["slug"] for change in heard] == [f"room-{number}" for number in range(5)]
    with connections["pooled"].cursor() as cursor:
        assert len(cursor.connection._notice_handlers) == 1
    connections["pooled"].close()


def test_a_pooled_connection_lent_to_another_thread_tells_that_threads_actor(heard: list[Change]) -> None:
    def write(name: str) -> None:
        try:
            with use(who(name)), transaction.atomic(using="pooled"):
                Room.objects.using("pooled").create(slug=name, name="x")
        finally:
            connections.close_all()

    names = [f"user-{number}" for number in range(12)]
    threads = [threading.Thread(target=write, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    told = {event.changes["slug"]: event.actor_id for event in Event.objects.filter(object_type="chat.room")}
    assert told == {name: name for name in names}
    assert sorted(change.changes["slug"] for change in heard) == sorted(names)


def test_two_aliases_in_one_request_each_know_the_actor(alice: Context) -> None:
    with transaction.atomic(), transaction.atomic(using="second"):
        Room.objects.create(slug="a", name="x")
        Room.objects.using("second").create(slug="b", name="x")
        with use(who("bob")):
            Room.objects.create(slug="c", name="x")
            Room.objects.using("second").create(slug="d", name="x")
    told = {event.changes["slug"]: event.actor_id for event in Event.objects.filter(object_type="chat.room")}
    assert told == {"a": "alice", "b": "alice", "c": "bob", "d": "bob"}
