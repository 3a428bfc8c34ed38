"""Every change of a tracked row is an event, written by the statement that made the change."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction

import audit
from accounts.models import User
from audit.echo import Change
from audit.models import Event
from audit.signals import model_changed
from telemetry.context import Actor, Context, new_request_id, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Iterator[Context]:
    context = Context(
        request_id=new_request_id(),
        origin="http",
        operation="POST /50%/'quoted'",
        actor_source=Actor("user", "7", "al'ice"),
        client_address="203.0.113.9",
    )
    with use(context):
        yield context


def events(**filters: Any) -> list[Event]:
    return list(Event.objects.filter(**filters).order_by("id"))


def test_creating_a_row_records_the_whole_row_and_who_did_it(alice: Context) -> None:
    user = User.objects.create(username="bob", email="bob@example.org")

    (event,) = events(object_type="accounts.user", object_id=str(user.pk))

    assert event.action == "accounts.user.created"
    assert event.changes["username"] == "bob"
    assert event.differences["email"] == [None, "bob@example.org"]
    assert (event.actor_type, event.actor_id, event.actor_label) == ("user", "7", "al'ice")
    assert (event.request_id, event.origin, event.operation) == (alice.request_id, "http", "POST /50%/'quoted'")
    assert event.context["address"] == "203.0.113.9"


def test_saving_records_only_what_changed_before_and_after() -> None:
    user = User.objects.create(username="bob", first_name="Bob")
    user.first_name, user.is_staff = "Robert", True
    user.save()

    event = events(action="accounts.user.updated")[-1]

    assert event.changes == {"first_name": ["Bob", "Robert"], "is_staff": [False, True]}


def test_saving_without_a_change_records_nothing() -> None:
    user = User.objects.create(username="bob")
    user.save()

    assert events(action="accounts.user.updated") == []


def test_a_change_of_excluded_columns_alone_records_nothing() -> None:
    user = User.objects.create(username="bob")
    User.objects.filter(pk=user.pk).update(last_login="2026-01-01T00:00Z")

    assert events(action="accounts.user.updated") == []


def test_update_of_many_rows_and_raw_sql_are_recorded_row_by_row() -> None:
    User.objects.bulk_create([User(username=f"user-{number}") for number in range(20)])
    User.objects.filter(username__startswith="user-").update(first_name="Same")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET last_name = 'Raw' WHERE username = %s", ["user-3"])

    assert len(events(action="accounts.user.created")) == 20
    assert len(events(action="accounts.user.updated")) == 21
    assert events(action="accounts.user.updated")[-1].changes == {"last_name": ["", "Raw"]}


def test_executemany_is_recorded_with_its_actor(alice: Context) -> None:
    user = User.objects.create(username="bob")
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE accounts_user SET first_name = %s WHERE id = %s", [("A", user.pk), ("B", user.pk)])

    first, second = events(action="accounts.user.updated")

    assert (first.changes, second.changes) == ({"first_name": ["", "A"]}, {"first_name": ["A", "B"]})
    assert first.actor_id == second.actor_id == "7"


def test_deleting_records_the_whole_row_as_it_was() -> None:
    user = User.objects.create(username="bob", first_name="Bob")
    key = str(user.pk)
    user.delete()

    (event,) = events(action="accounts.user.deleted")

    assert event.object_id == key
    assert event.differences["first_name"] == ["Bob", None]


def test_many_to_many_changes_are_recorded_at_the_object() -> None:
    user = User.objects.create(username="bob")
    one, two = (Group.objects.create(name=str(uuid.uuid4())) for _ in range(2))
    user.groups.add(one, two)
    user.groups.set([two])
    user.groups.clear()

    changes = [event.changes for event in events(action="accounts.user.updated", object_id=str(user.pk))]

    assert changes == [
        {"groups": {"added": [one.pk, two.pk]}},
        {"groups": {"removed": [one.pk]}},
        {"groups": {"removed": [two.pk]}},
    ]


def test_a_masked_value_shows_that_it_changed_but_not_what_it_was() -> None:
    secret = "correct horse battery staple"
    first = User.objects.create(username="bob", password=secret)
    User.objects.create(username="eve", password=secret)
    User.objects.filter(pk=first.pk).update(password="another")

    one, two = (event.changes["password"] for event in events(action="accounts.user.created"))
    update = events(action="accounts.user.updated")[-1].changes["password"]

    assert one == two  # equal values can be told
    assert update[0] == one != update[1]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_event WHERE changes::text LIKE %s", [f"%{secret}%"])
        assert cursor.fetchone() == (0,)


def test_a_changed_primary_key_is_a_deletion_and_a_creation() -> None:
    user = User.objects.create(username="bob")
    User.objects.filter(pk=user.pk).update(id=user.pk + 1_000_000)

    actions = {(event.action, event.object_id) for event in events(object_type="accounts.user")}

    assert ("accounts.user.deleted", str(user.pk)) in actions
    assert ("accounts.user.created", str(user.pk + 1_000_000)) in actions


def test_what_rolls_back_leaves_no_event() -> None:
    before = Event.objects.count()
    with pytest.raises(RuntimeError), transaction.atomic():
        User.objects.create(username="bob")
        raise RuntimeError

    assert Event.objects.count() == before


def test_a_refused_statement_leaves_no_event() -> None:
    User.objects.create(username="bob")
    before = Event.objects.count()
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username="bob")

    assert Event.objects.count() == before


def test_the_context_survives_a_rolled_back_savepoint(alice: Context) -> None:
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            User.objects.create(username="lost")
            raise RuntimeError
        User.objects.create(username="bob")

    (event,) = events(action="accounts.user.created")
    assert event.actor_id == "7"


def test_the_reason_reaches_the_event_and_ends_with_its_block() -> None:
    with audit.reason("ticket 50% 'done'"):
        User.objects.create(username="bob")
    User.objects.create(username="eve")

    first, second = events(action="accounts.user.created")
    assert first.context["reason"] == "ticket 50% 'done'"
    assert "reason" not in second.context


def test_another_actor_in_the_same_transaction_is_told(alice: Context) -> None:
    with transaction.atomic():
        User.objects.create(username="bob")
        with use(Context(actor_source=Actor("user", "8", "zoe"))):
            User.objects.create(username="eve")
        User.objects.create(username="dan")

    assert [event.actor_id for event in events(action="accounts.user.created")] == ["7", "8", "7"]


@pytest.mark.django_db(transaction=True)
class TestEcho:
    """What was committed is told to the application, as the ledger holds it."""

    def test_a_change_is_told_after_commit_with_the_ledgers_values(self, heard: list[Change]) -> None:
        user = User.objects.create(username="bob")
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(first_name="Bob")
            assert len(heard) == 1
        change = heard[-1]

        assert (change.action, change.object_id, change.count) == ("accounts.user.updated", str(user.pk), 1)
        assert change.changes == {"first_name": ["", "Bob"]}
        assert Event.objects.get(pk=change.event_ids[0]).changes == change.changes

    def test_many_rows_are_told_as_one_summary_with_the_first_rows(self, heard: list[Change]) -> None:
        User.objects.bulk_create([User(username=f"user-{number}") for number in range(12)])

        (change,) = heard
        assert (change.count, change.changes, len(change.first)) == (12, {}, 5)
        assert change.first[0]["changes"]["username"] == "user-0"

    def test_what_rolled_back_is_not_told(self, heard: list[Change]) -> None:
        with transaction.atomic():
            with pytest.raises(RuntimeError), transaction.atomic():
                User.objects.create(username="lost")
                raise RuntimeError
            User.objects.create(username="kept")

        assert [change.changes["username"] for change in heard] == ["kept"]

    def test_a_receiver_that_raises_harms_nobody(self, heard: list[Change]) -> None:
        def fail(sender: Any, **kwargs: Any) -> None:
            raise ValueError("broken receiver")

        model_changed.connect(fail)
        try:
            User.objects.create(username="bob")
        finally:
            model_changed.disconnect(fail)

        assert User.objects.filter(username="bob").exists()
        assert len(heard) == 1


def test_a_writer_without_context_is_recorded_as_the_database_user_and_hears_nothing(superuser: Any) -> None:
    notices: list[str] = []
    superuser.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
    superuser.execute("SET session_replication_role = origin")
    try:
        superuser.execute("INSERT INTO auth_group (name) VALUES ('from psql')")
        event = superuser.execute(
            "SELECT actor_type, actor_id, origin, context ->> 'database_user' FROM audit_event "
            "WHERE action = 'auth.group.created' AND changes ->> 'name' = 'from psql'"
        ).fetchone()
    finally:
        superuser.execute("DELETE FROM auth_group WHERE name = 'from psql'")
        superuser.execute("SET session_replication_role = replica")

    assert event == ("database", "postgres", "sql", "postgres")
    assert notices == []


def test_truncate_is_recorded(superuser: Any) -> None:
    with superuser.transaction(force_rollback=True):
        superuser.execute("SET LOCAL session_replication_role = origin")
        superuser.execute("TRUNCATE accounts_apitoken")
        found = superuser.execute("SELECT count(*) FROM audit_event WHERE action = 'accounts.apitoken.truncated'")
        assert found.fetchone() == (1,)
