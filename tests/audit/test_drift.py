"""A table that changes behind the ledger's back is still captured, and no write fails for it."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings

from audit import capture
from config.embedded import addresses

pytestmark = pytest.mark.django_db
COLUMNS = (("id", "bigint"), ("title", "text"), ("secret", "text"), ("views", "integer"), ("noise", "text"))
Events = Callable[[], list[tuple[str, str, Any]]]


@pytest.fixture
def owner(owner_connection: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The owner's connection, and a captured table of its own: `secret` is masked, `noise` excluded."""
    owner_connection.execute(
        "CREATE TABLE drifting (id bigserial PRIMARY KEY, title text, secret text, views int, noise text)"
    )
    owner_connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON drifting TO glasshouse_app")
    owner_connection.execute("GRANT USAGE ON SEQUENCE drifting_id_seq TO glasshouse_app")
    table = capture.Table(
        name="drifting",
        subject="tests.drifting",
        columns=tuple(capture.Column(*column) for column in COLUMNS),
        key=("id",),
        next_column=len(COLUMNS) + 1,
        mask=frozenset({"secret"}),
        exclude=frozenset({"noise"}),
    )
    for statement in [*capture.functions(table).values(), *capture.triggers(table).values()]:
        owner_connection.execute(statement)
    yield owner_connection
    owner_connection.execute("DROP TABLE IF EXISTS drifting, drifted")
    for event in capture.EVENTS:
        owner_connection.execute(f"DROP FUNCTION audit_capture_drifting_{event}()")


@pytest.fixture
def events(owner: psycopg.Connection[Any]) -> Events:
    (last,) = owner.execute("SELECT coalesce(max(id), 0) FROM audit_event").fetchone() or (0,)

    def read() -> list[tuple[str, str, Any]]:
        rows = owner.execute(
            "SELECT action, object_id, changes FROM audit_event "
            "WHERE object_type = 'tests.drifting' AND id > %s ORDER BY id",
            [last],
        )
        return [(action.rpartition(".")[2], key, changes) for action, key, changes in rows]

    return read


def change_a_row(owner: psycopg.Connection[Any], table: str = "drifting", title: str = "title") -> None:
    owner.execute(f"INSERT INTO {table} (id, {title}) VALUES (1, 'a')")
    owner.execute(f"UPDATE {table} SET {title} = 'b' WHERE id = 1")
    owner.execute(f"UPDATE {table} SET noise = 'unheard' WHERE id = 1")
    owner.execute(f"DELETE FROM {table} WHERE id = 1")


@pytest.mark.parametrize(
    "alteration",
    [
        "ALTER TABLE drifting ADD COLUMN extra integer DEFAULT 7",
        "ALTER TABLE drifting DROP COLUMN views",
        "ALTER TABLE drifting ALTER COLUMN views TYPE json USING to_json(views)",
        "ALTER TABLE drifting ALTER COLUMN views TYPE numeric(10, 2)",
        "ALTER TABLE drifting ALTER COLUMN title TYPE varchar(50)",
        "ALTER TABLE drifting DROP COLUMN secret",
    ],
)
@pytest.mark.parametrize("is_warm", [False, True], ids=["new session", "cached plans"])
def test_columns_may_come_go_and_change(
    owner: psycopg.Connection[Any], events: Events, alteration: str, is_warm: bool
) -> None:
    if is_warm:
        change_a_row(owner)
    earlier = len(events())
    owner.execute(alteration)
    change_a_row(owner)

    (created, updated, deleted) = events()[earlier:]
    assert [created[0], updated[0], deleted[0]] == ["created", "updated", "deleted"]
    assert [key for _, key, _ in (created, updated, deleted)] == ["1"] * 3
    assert created[2]["title"] == "a"
    assert updated[2] == {"title": ["a", "b"]}
    assert deleted[2]["title"] == "b"
    assert "noise" not in created[2]


def test_a_renamed_column_is_recorded_and_what_was_masked_stays_masked(
    owner: psycopg.Connection[Any], events: Events
) -> None:
    owner.execute("ALTER TABLE drifting RENAME COLUMN secret TO renamed_secret")
    owner.execute("ALTER TABLE drifting RENAME COLUMN title TO heading")
    owner.execute("INSERT INTO drifting (id, heading, renamed_secret) VALUES (1, 'a', 'canary')")
    owner.execute("UPDATE drifting SET renamed_secret = 'canary two', views = 3 WHERE id = 1")

    (_, _, created), (_, _, updated) = events()
    assert set(created) == {"id", "heading", "renamed_secret", "views"}
    assert set(updated) == {"renamed_secret", "views"}
    assert updated["views"] == [None, 3]
    assert "canary" not in str([created, updated])


def test_a_column_that_came_is_captured_by_every_later_statement(
    owner: psycopg.Connection[Any], events: Events
) -> None:
    owner.execute("ALTER TABLE drifting ADD COLUMN extra integer")
    owner.execute("INSERT INTO drifting (id, title, extra) VALUES (1, 'a', 1)")
    owner.execute("UPDATE drifting SET title = 'b', extra = 2")

    assert set(events()[-1][2]) == {"title", "extra"}


def test_a_column_that_came_after_others_that_came_and_went_is_captured(
    owner: psycopg.Connection[Any], events: Events
) -> None:
    owner.execute("INSERT INTO drifting (id, title) VALUES (1, 'a')")
    for turn in range(3):
        owner.execute(f"ALTER TABLE drifting ADD COLUMN gone_{turn} integer")
        owner.execute(f"ALTER TABLE drifting DROP COLUMN gone_{turn}")
    owner.execute("ALTER TABLE drifting ADD COLUMN extra integer")
    before = len(events())
    owner.execute("UPDATE drifting SET extra = 5")

    ((kind, key, changes),) = events()[before:]
    assert (kind, key, changes) == ("updated", "1", {"extra": [None, {"masked": changes["extra"][1]["masked"]}]})


def test_a_renamed_key_and_a_renamed_table_are_recorded(owner: psycopg.Connection[Any], events: Events) -> None:
    owner.execute("ALTER TABLE drifting RENAME COLUMN id TO number")
    owner.execute("ALTER TABLE drifting RENAME TO drifted")
    owner.execute("INSERT INTO drifted (number, title) VALUES (5, 'a')")
    owner.execute("UPDATE drifted SET number = 6")
    owner.execute("UPDATE drifted SET title = 'b'")

    assert [(verb, key) for verb, key, _ in events()] == [
        ("created", "5"),
        ("deleted", "5"),
        ("created", "6"),
        ("updated", "6"),
    ]


def test_no_write_fails_or_goes_unrecorded_while_the_table_changes(
    owner: psycopg.Connection[Any], events: Events
) -> None:
    stop = threading.Event()
    errors: list[BaseException] = []
    counts: list[int] = []

    def write(number: int) -> None:
        done = 0
        url = addresses.database_url(settings.LOCAL_DIR, addresses.APPLICATION_ROLE)
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                while not stop.is_set() and done < 3_000:
                    connection.execute("INSERT INTO drifting (title) VALUES (%s)", [f"{number}-{done}"])
                    done += 1
        except BaseException as error:
            errors.append(error)
        counts.append(done)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for turn in range(6):
        owner.execute("SET lock_timeout = '5s'")
        owner.execute(f"ALTER TABLE drifting ADD COLUMN extra_{turn} integer DEFAULT {turn}")
        owner.execute(f"ALTER TABLE drifting RENAME COLUMN extra_{turn} TO other_{turn}")
        owner.execute(f"ALTER TABLE drifting ALTER COLUMN other_{turn} TYPE text")
        owner.execute("ALTER TABLE drifting RENAME COLUMN views TO looks")
        owner.execute(f"ALTER TABLE drifting DROP COLUMN other_{turn}")
        owner.execute("ALTER TABLE drifting RENAME COLUMN looks TO views")
    stop.set()
    for writer in writers:
        writer.join(60)

    assert errors == []
    (rows,) = owner.execute("SELECT count(*) FROM drifting").fetchone() or (0,)
    recorded = [changes["title"] for verb, _, changes in events() if verb == "created"]
    assert rows == sum(counts) == len(recorded) == len(set(recorded))
    assert rows > 0


def test_values_over_the_limit_are_cut_with_length_and_digest(superuser: psycopg.Connection[Any]) -> None:
    changes = "jsonb_build_object('small', 1, 'pair', jsonb_build_array(repeat('ü', 5000), 'b'))"
    query = f"SELECT audit_cut_v1('x.updated', {changes}, 4000)"
    (cut,) = superuser.execute(query).fetchone() or ({},)

    assert (cut["small"], cut["pair"][1]) == (1, "b")
    assert (cut["pair"][0]["cut"], cut["pair"][0]["length"]) == ("ü" * 1_000, 5_000)
    assert len(cut["pair"][0]["sha256"]) == 64
