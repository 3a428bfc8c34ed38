"""A call of a function is told its context and heard as a cursor's statement is, in a third of the time."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, DataError, OperationalError, connection, transaction

from audit.calls import number_from
from audit.echo import Change
from audit.models import Event
from audit.unavailable import is_ledger_failure
from chat.models import Room
from telemetry.context import Actor, Context, use

pytestmark = pytest.mark.django_db(transaction=True)
RENAME = "public.tests_rename"
_FUNCTION = """
CREATE OR REPLACE FUNCTION public.tests_rename(p_slug text, p_name text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_found integer;
BEGIN
    IF p_name IS NULL THEN
        RAISE 'No name.';
    END IF;
    UPDATE public.chat_room SET name = p_name WHERE slug = p_slug RETURNING 1 INTO v_found;
    RETURN v_found;
END
$$;
"""


@pytest.fixture(autouse=True)
def _rename(superuser: Any) -> Iterator[None]:
    superuser.execute(_FUNCTION)
    Room.objects.create(slug="called", name="Lobby")
    yield
    superuser.execute("DROP FUNCTION public.tests_rename")


@pytest.fixture(params=["prepared", "behind a pooler"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", request.param == "behind a pooler")


def context(number: int) -> Context:
    return Context(request_id=f"request-{number}", actor_source=Actor("user", str(number), f"una {number}"))


def renamed() -> list[tuple[str, str, Any]]:
    events = Event.objects.filter(action="chat.room.updated").order_by("id")
    return [(event.request_id, event.actor_label, event.changes.get("name")) for event in events]


@pytest.mark.usefixtures("_either_way")
def test_each_call_is_told_who_calls_it_and_why(heard: list[Change]) -> None:
    for number, name in enumerate(("A", "B")):
        with use(context(number)):
            assert number_from(RENAME, ["called", name]) == 1
    assert renamed() == [("request-0", "una 0", ["Lobby", "A"]), ("request-1", "una 1", ["A", "B"])]
    assert [change.changes["name"] for change in heard] == [["Lobby", "A"], ["A", "B"]]


def test_what_changes_nothing_gives_none_and_echoes_nothing(heard: list[Change]) -> None:
    assert number_from(RENAME, ["elsewhere", "A"]) is None
    assert (renamed(), heard) == ([], [])


def test_nothing_of_a_calls_context_is_left_behind() -> None:
    with use(context(1)):
        number_from(RENAME, ["called", "A"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting('audit.context', true), '')")
        assert cursor.fetchone() == ("",)


def test_within_a_transaction_it_is_part_of_it(heard: list[Change]) -> None:
    with use(context(1)), transaction.atomic():
        number_from(RENAME, ["called", "A"])
        assert heard == []
    assert (renamed(), len(heard)) == ([("request-1", "una 1", ["Lobby", "A"])], 1)
    with pytest.raises(OSError, match="gone"), use(context(2)), transaction.atomic():
        number_from(RENAME, ["called", "B"])
        raise OSError("gone")
    assert (len(renamed()), len(heard)) == (1, 1)


@pytest.mark.usefixtures("_either_way")
def test_a_call_that_fails_raises_what_a_cursor_raises_and_the_next_one_works(heard: list[Change]) -> None:
    with pytest.raises(DatabaseError, match="No name"):
        number_from(RENAME, ["called", None])
    for _ in range(2):
        with pytest.raises(DatabaseError, match="tests_nothing_of_the_kind"):
            number_from("public.tests_nothing_of_the_kind", [])
    with pytest.raises(DataError, match="NUL"):
        number_from(RENAME, ["called", "a\x00b"])
    assert number_from(RENAME, ["called", "A"]) == 1
    assert len(heard) == 1


def test_a_call_whose_event_cannot_be_written_changes_nothing(superuser: Any) -> None:
    superuser.execute("ALTER TABLE audit_event ADD CONSTRAINT tests_no CHECK (action <> 'chat.room.updated') NOT VALID")
    try:
        with pytest.raises(OperationalError, match="The ledger can't be written") as refused:
            number_from(RENAME, ["called", "A"])
    finally:
        superuser.execute("ALTER TABLE audit_event DROP CONSTRAINT tests_no")
    assert is_ledger_failure(refused.value)
    assert Room.objects.get(slug="called").name == "Lobby"


def test_a_connection_that_is_gone_is_an_operational_error(superuser: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with pytest.raises(OperationalError):
        number_from(RENAME, ["called", "A"])
    connection.close()
    assert number_from(RENAME, ["called", "A"]) == 1


def test_a_server_that_forgot_what_was_prepared_is_told_again(heard: list[Change]) -> None:
    for name in ("A", "B", "C"):
        number_from(RENAME, ["called", name])
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL" if name == "A" else "DISCARD ALL")
    assert len(heard) == 3
    assert len(renamed()) == 3


def test_a_call_that_was_interrupted_while_it_was_prepared_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    connection.ensure_connection()
    wait = connection.connection.wait

    def stop(*given: Any, **more: Any) -> Any:
        wait(*given, **more)
        raise TimeoutError("too long")

    with monkeypatch.context() as patch, pytest.raises(TimeoutError):
        patch.setattr(connection.connection, "wait", stop)
        number_from(RENAME, ["called", "A"])
    assert renamed() == []
    assert number_from(RENAME, ["called", "B"]) == 1


def test_a_call_passes_djangos_execute_wrappers() -> None:
    seen: list[tuple[str, Any]] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((sql, list(params)))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        number_from(RENAME, ["called", "A"])
    assert seen == [("SELECT public.tests_rename(%s, %s)", ["called", "A"])]
    with connection.execute_wrapper(lambda *given: 7):
        assert number_from(RENAME, ["called", "B"]) == 7
    assert Room.objects.get(slug="called").name == "A"
