"""Each row that SQL changes is one event with its values: by statements of any kind, COPY, TRUNCATE and psql."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.audit.everything.events import News, execute, thing
from tests.audit.everything.models import Tag

pytestmark = pytest.mark.django_db


def test_copy_from_stdin_records_each_row(news: News) -> None:
    with connection.cursor() as cursor:
        with cursor.copy("COPY everything_thing (id, name, number, note) FROM STDIN") as copy:
            for number in range(3):
                copy.write_row((9_000_000 + number, f"copied {number}", number, ""))

    assert news() == [
        ("thing.created", str(key), {"id": key, **thing(f"copied {number}", number=number)})
        for number, key in enumerate(range(9_000_000, 9_000_003))
    ]


def test_raw_sql_is_recorded(news: News) -> None:
    execute("INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 1, ''), (2, 'b', 2, '')")
    for key in (1, 2):
        execute("UPDATE everything_thing SET number = number + 10 WHERE id = %s", key)
    execute("UPDATE everything_thing SET number = number")
    execute("DELETE FROM everything_thing WHERE id = 2")
    execute("DELETE FROM everything_thing WHERE id = 2")

    assert news() == [
        ("thing.created", "1", {"id": 1, **thing("a", number=1)}),
        ("thing.created", "2", {"id": 2, **thing("b", number=2)}),
        ("thing.updated", "1", {"number": [1, 11]}),
        ("thing.updated", "2", {"number": [2, 12]}),
        ("thing.deleted", "2", {"id": 2, **thing("b", number=12)}),
    ]


def test_a_statement_with_several_writes_records_them_all(news: News) -> None:
    execute("INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 1, ''), (2, 'b', 2, '')")
    news()
    execute(
        """
        WITH made AS (INSERT INTO everything_thing (id, name, number, note) VALUES (3, 'c', 3, '') RETURNING id),
             gone AS (DELETE FROM everything_thing WHERE id = 2 RETURNING id),
             part AS (INSERT INTO everything_part (id, thing_id, name) SELECT 1, made.id, 'p' FROM made RETURNING id)
        UPDATE everything_thing SET number = (SELECT made.id + gone.id FROM made, gone) WHERE id = 1
        """
    )

    assert sorted(news()) == [
        ("part.created", "1", {"id": 1, "thing_id": 3, "name": "p"}),
        ("thing.created", "3", {"id": 3, **thing("c", number=3)}),
        ("thing.deleted", "2", {"id": 2, **thing("b", number=2)}),
        ("thing.updated", "1", {"number": [1, 5]}),
    ]


def test_writes_of_one_statement_that_a_select_hides_are_recorded(news: News) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH made AS (INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 1, '') RETURNING *) "
            "SELECT name FROM made"
        )
        assert cursor.fetchall() == [("a",)]

    assert news() == [("thing.created", "1", {"id": 1, **thing("a", number=1)})]


def test_merge_records_what_each_branch_did(news: News) -> None:
    execute(
        "INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 1, ''), (2, 'b', 2, ''), (3, 'c', 3, '')"
    )
    news()
    execute(
        """
        MERGE INTO everything_thing t
        USING (VALUES (1, 10), (2, 2), (3, -1), (4, 40)) AS s (id, number) ON t.id = s.id
        WHEN MATCHED AND s.number < 0 THEN DELETE
        WHEN MATCHED THEN UPDATE SET number = s.number
        WHEN NOT MATCHED THEN INSERT (id, name, number, note) VALUES (s.id, 'merged', s.number, '')
        """
    )

    assert sorted(news()) == [
        ("thing.created", "4", {"id": 4, **thing("merged", number=40)}),
        ("thing.deleted", "3", {"id": 3, **thing("c", number=3)}),
        ("thing.updated", "1", {"number": [1, 10]}),
    ]


def test_upsert_in_sql_is_recorded_as_what_it_came_to_be(news: News) -> None:
    statement = (
        "INSERT INTO everything_thing (name, number, note) VALUES ('a', %s, '') "
        "ON CONFLICT (name) DO UPDATE SET number = excluded.number"
    )
    for number in (1, 1, 2):
        execute(statement, number)

    assert [(action, changes.get("number")) for action, _key, changes in news()] == [
        ("thing.created", 1),
        ("thing.updated", [1, 2]),
    ]


def test_a_block_of_pl_pgsql_is_recorded(news: News) -> None:
    execute(
        """
        DO $$ BEGIN
            FOR n IN 1..3 LOOP
                INSERT INTO everything_thing (id, name, number, note) VALUES (n, n, 0, '');
                UPDATE everything_thing t SET note = t.name WHERE t.id = n;
            END LOOP;
        END $$
        """
    )

    assert [(action, key) for action, key, _changes in news()] == [
        (f"thing.{verb}", str(number)) for number in (1, 2, 3) for verb in ("created", "updated")
    ]


def test_executemany_records_each_statement(news: News) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO everything_thing (id, name, number, note) VALUES (%s, %s, 0, '')", [(1, "a"), (2, "b")]
        )
        cursor.executemany("UPDATE everything_thing SET number = %s WHERE id = %s", [(5, 1), (0, 2), (6, 1)])

    assert [event[:2] for event in news()] == [("thing.created", "1"), ("thing.created", "2")] + [
        ("thing.updated", "1")
    ] * 2


def test_several_statements_in_one_string_are_recorded(news: News) -> None:
    execute(
        "INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 0, '');"
        "UPDATE everything_thing SET number = 1; UPDATE everything_thing SET number = 2; DELETE FROM everything_thing"
    )

    assert [event[0] for event in news()] == ["thing.created", "thing.updated", "thing.updated", "thing.deleted"]


@pytest.fixture
def psql(owner_connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A connection that knows nothing of Django, in a transaction that is undone."""
    with owner_connection.transaction(force_rollback=True):
        yield owner_connection


def recorded(psql: psycopg.Connection) -> list[tuple[Any, ...]]:
    """What the transaction recorded: action without app, id, changes, and who is said to have done it."""
    return psql.execute(
        "SELECT replace(action, 'everything.', ''), object_id, changes, actor_type, actor_id, origin FROM audit_event "
        "WHERE txid = pg_current_xact_id() ORDER BY id"
    ).fetchall()


def test_psql_with_no_context_is_recorded_with_the_databases_user(psql: psycopg.Connection) -> None:
    psql.execute("INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 0, '')")
    psql.execute("UPDATE everything_thing SET number = 1 WHERE id = 1")
    psql.execute("DELETE FROM everything_thing WHERE id = 1")

    who = ("database", "glasshouse_owner", "sql")
    assert recorded(psql) == [
        ("thing.created", "1", {"id": 1, **thing("a")}, *who),
        ("thing.updated", "1", {"number": [0, 1]}, *who),
        ("thing.deleted", "1", {"id": 1, **thing("a", number=1)}, *who),
    ]


def test_copy_in_psql_is_recorded(psql: psycopg.Connection) -> None:
    with psql.cursor().copy("COPY everything_thing (id, name, number, note) FROM STDIN (FORMAT csv)") as copy:
        copy.write(b"1,a,0,x\n2,b,0,y\n")

    assert [event[:2] for event in recorded(psql)] == [("thing.created", "1"), ("thing.created", "2")]


def test_truncate_is_one_event_for_each_table_that_it_empties(psql: psycopg.Connection) -> None:
    psql.execute("INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 0, '')")
    psql.execute("TRUNCATE raw_child, everything_part, everything_remark")
    psql.execute("TRUNCATE raw_parent CASCADE")

    assert [(action, key, changes) for action, key, changes, *_ in recorded(psql)][1:] == [
        ("rawchild.truncated", None, None),
        ("part.truncated", None, None),
        ("remark.truncated", None, None),
        ("rawparent.truncated", None, None),
        ("rawchild.truncated", None, None),
    ]


def test_truncating_a_many_to_many_table_is_told_of_the_object_type_and_field(psql: psycopg.Connection) -> None:
    psql.execute(f"TRUNCATE {Tag.things.through._meta.db_table}")

    assert [event[:3] for event in recorded(psql)] == [("tag.truncated", None, {"things": None})]


def test_a_change_made_by_another_trigger_is_recorded(psql: psycopg.Connection) -> None:
    psql.execute(
        """
        CREATE FUNCTION louder() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.note := upper(NEW.note); INSERT INTO raw_parent VALUES (NEW.id, NEW.note); RETURN NEW; END $$;
        CREATE TRIGGER louder BEFORE INSERT ON everything_thing FOR EACH ROW EXECUTE FUNCTION louder();
        """
    )
    psql.execute("INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 0, 'loud')")

    assert sorted((action, changes) for action, _key, changes, *_ in recorded(psql)) == [
        ("rawparent.created", {"id": 1, "name": "LOUD"}),
        ("thing.created", {"id": 1, **thing("a", note="LOUD")}),
    ]


def test_settings_of_the_session_redirect_nothing(psql: psycopg.Connection) -> None:
    """A search path with a table, a function and an operator of the same names in it, as an attacker would make."""
    psql.execute(
        """
        CREATE TEMP TABLE audit_event (LIKE public.audit_event);
        CREATE TEMP TABLE new_rows (id bigint);
        SET LOCAL search_path = pg_temp, public, pg_catalog;
        """
    )
    psql.execute("INSERT INTO public.everything_thing (id, name, number, note) VALUES (1, 'a', 0, '')")
    psql.execute("UPDATE public.everything_thing SET number = 1")

    found = psql.execute(
        "SELECT action FROM public.audit_event WHERE txid = pg_current_xact_id() ORDER BY id"
    ).fetchall()
    assert found == [("everything.thing.created",), ("everything.thing.updated",)]
    assert psql.execute("SELECT count(*) FROM pg_temp.audit_event").fetchone() == (0,)
