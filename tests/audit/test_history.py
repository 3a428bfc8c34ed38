"""What an object was at a time, however it came to be so."""

import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import models
from django.test import Client
from django.urls import reverse

import audit
from audit import values
from audit.history import states
from audit.history.states import state_at
from audit.models import Event
from tests.audit.everything.events import execute
from tests.audit.everything.models import (
    Masked,
    MomentKeyed,
    NothingButKey,
    OddlyNamed,
    PairKeyed,
    Place,
    RawChild,
    RawParent,
    Tag,
    TextKeyed,
    Thing,
    UuidKeyed,
)
from tests.audit.histories import TAG, THING, add_event, clock, column, fields, log_in, state, untracked


@pytest.mark.django_db
def test_each_version_is_found_by_its_time() -> None:
    before = clock()
    thing = Thing.objects.create(name="a", number=1)
    created = clock()
    Thing.objects.filter(pk=thing.pk).update(number=2)
    execute("UPDATE everything_thing SET note = 'raw', number = 3 WHERE id = %s", thing.pk)
    updated = clock()
    key = thing.pk
    thing.delete()
    deleted = clock()
    execute("INSERT INTO everything_thing (id, name, number, note) VALUES (%s, 'again', 9, '')", key)
    thing.pk = key

    whole = {"id": key, "name": "a", "number": 1, "note": "", "parent_id": None}
    assert fields(thing, before) is None
    assert fields(thing, created) == whole
    assert fields(thing, updated) == {**whole, "number": 3, "note": "raw"}
    assert fields(thing, deleted) is None
    assert fields(thing, clock()) == {**whole, "name": "again", "number": 9}
    events = Event.objects.filter(object_type=THING, object_id=str(key)).order_by("id")
    assert [state(thing, at).version for at in (created, updated, deleted)] == [
        events[0].pk,
        events[2].pk,
        events[3].pk,
    ]
    assert state(thing, created).unknown == ()


@pytest.mark.django_db
def test_an_object_that_never_was_has_no_state() -> None:
    for object_type, object_id in (
        (THING, "0"),
        (THING, "no number"),
        (THING, "9" * 30),
        ("no.such", "1"),
        ("x", ""),
        (THING, "\x00"),
    ):
        assert not states.is_known(object_type, object_id)
        if "\x00" not in object_id:
            assert state_at(object_type, object_id, clock()).exists is False


@pytest.mark.django_db
def test_many_to_many_fields_are_sets() -> None:
    one, two, three = (Thing.objects.create(name=name) for name in "abc")
    tag = Tag.objects.create(name="red")
    empty = clock()
    tag.things.add(one, two)
    both = clock()
    tag.things.set([two, three])
    execute("UPDATE everything_tag_things SET thing_id = %s WHERE thing_id = %s", one.pk, two.pk)
    moved = clock()
    two.tags.add(tag)
    first, second, third = one.pk, two.pk, three.pk
    three.delete()
    cascaded = clock()
    tag.things.clear()

    things = [(fields(tag, at) or {})["things"] for at in (empty, both, moved, cascaded, clock())]
    assert things == [[], [first, second], [first, third], [first, second], []]
    assert states.difference(TAG, str(tag.pk), both, moved) == {"things": [[first, second], [first, third]]}


@pytest.mark.django_db
def test_a_changed_key_ends_one_object_and_begins_another() -> None:
    TextKeyed.objects.create(code="old", name="a")
    TextKeyed.objects.update(name="b")
    before = clock()
    TextKeyed.objects.update(code="new")
    TextKeyed.objects.update(name="c")

    assert state_at("everything.textkeyed", "old", before).fields == {"code": "old", "name": "b"}
    assert not state_at("everything.textkeyed", "new", before).exists
    assert not state_at("everything.textkeyed", "old", clock()).exists
    assert state_at("everything.textkeyed", "new", clock()).fields == {"code": "new", "name": "c"}


KEYS: list[models.Model] = [
    UuidKeyed(pk=uuid.UUID(int=7), name="a"),
    TextKeyed(code='a/"b" c?é\n', name="a"),
    MomentKeyed(at=datetime(2026, 1, 2, 3, 4, 5, 120_000, tzinfo=UTC), name="a"),
    PairKeyed(tenant=3, code="a/b", name="a"),
    NothingButKey(pk=1),
    OddlyNamed(pk=1, name="a"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("row", KEYS, ids=lambda row: type(row).__name__)
def test_every_kind_of_key_is_found_in_state_instance_and_address(client: Client, row: models.Model) -> None:
    row.save(force_insert=True)
    at, key, object_id = clock(), row.pk, values.object_id(row)
    assert audit.as_of(type(row), at).get(pk=key) == row
    row.delete()
    row.pk = key
    log_in(client, "view_event")

    answer = client.get(reverse("audit-object", args=[row._meta.label_lower, object_id]), {"at": at.isoformat()})

    assert answer.json()["exists"] is True
    assert answer.json()["object_id"] == object_id
    assert audit.as_of(type(row), at).get(pk=key) == row
    with pytest.raises(type(row).DoesNotExist):  # type: ignore[attr-defined]
        audit.as_of(type(row), clock()).get(pk=key)


@pytest.mark.django_db
def test_masked_cut_and_excluded_values_are_as_the_ledger_has_them() -> None:
    row = Masked.objects.create(name="a", secret={"pin": 1}, noise="hum")

    found = state(row, clock())

    assert found.fields.keys() == {"id", "name", "secret"}
    assert found.fields["secret"].keys() == {"masked"}
    assert found.unknown == ("noise",)
    instance = audit.as_of(Masked, clock()).get(pk=row.pk)
    assert (instance.name, instance.secret, instance.noise) == ("a", None, None)
    assert instance.audit_unknown == {"secret": "masked", "noise": "excluded"}


@pytest.mark.django_db(transaction=True)
def test_a_truncated_table_ends_all_its_objects(owner_connection: psycopg.Connection[Any]) -> None:
    one, two = (Thing.objects.create(name=name) for name in "ab")
    tag = Tag.objects.create(name="red")
    tag.things.add(one)
    before = clock()
    owner_connection.execute("TRUNCATE everything_tag_things")
    unlinked = clock()
    owner_connection.execute("TRUNCATE everything_thing CASCADE")
    truncated = clock()
    Thing.objects.create(pk=two.pk, name="b again")

    assert [len((fields(tag, at) or {})["things"]) for at in (before, unlinked)] == [1, 0]
    assert fields(one, before) is not None
    assert [fields(one, at) for at in (truncated, clock())] == [None, None]
    assert fields(two, truncated) is None
    assert (fields(two, clock()) or {})["name"] == "b again"
    assert state(one, truncated).version == Event.objects.get(action="everything.thing.truncated").pk
    assert {thing.name for thing in audit.as_of(Thing, before)} == {"a", "b"}
    assert audit.as_of(Thing, truncated).count() == 0


@pytest.mark.django_db(transaction=True)
def test_what_was_before_the_tracking_is_known_by_what_came_after(
    superuser: psycopg.Connection[Any], owner_connection: psycopg.Connection[Any]
) -> None:
    with untracked(superuser):
        superuser.execute(
            "INSERT INTO everything_thing (id, name, number, note)"
            " SELECT i, 'n' || i, i, '' FROM generate_series(1, 4) i"
        )
        superuser.execute("INSERT INTO everything_tag VALUES (1, 'red')")
        superuser.execute("INSERT INTO everything_tag_things (tag_id, thing_id) VALUES (1, 1), (1, 2)")
        superuser.execute("INSERT INTO everything_masked VALUES (1, 'a', '1', 'x')")
    before = clock()
    Thing.objects.filter(pk=1).update(number=10, note="x")
    Thing.objects.filter(pk=2).update(number=20)
    between = clock()
    Thing.objects.filter(pk=1).update(number=11, name="later")
    Thing.objects.filter(pk=2).delete()
    tag = Tag.objects.get()
    tag.things.add(3)
    Masked.objects.update(name="b")
    after = clock()

    first = {"id": 1, "name": "n1", "number": 1, "note": "", "parent_id": None}
    assert fields(Thing(pk=1), before) == first
    assert fields(Thing(pk=1), between) == {**first, "number": 10, "note": "x"}
    assert fields(Thing(pk=1), after) == {**first, "number": 11, "note": "x", "name": "later"}
    assert (fields(Thing(pk=2), before) or {})["number"] == 2
    assert fields(Thing(pk=2), after) is None
    assert fields(Thing(pk=3), before) == {"id": 3, "name": "n3", "number": 3, "note": "", "parent_id": None}
    assert [(fields(tag, at) or {})["things"] for at in (before, after)] == [[1, 2], [1, 3]]
    assert state(tag, before).version is None
    masked = state_at("everything.masked", "1", before)
    assert (masked.fields, masked.unknown) == ({"id": 1, "name": "a"}, ("noise", "secret"))
    assert sorted(thing.number for thing in audit.as_of(Thing, before)) == [1, 2, 3, 4]
    assert audit.as_of(Thing, after).count() == 3

    owner_connection.execute("TRUNCATE everything_thing CASCADE")
    known = state(Thing(pk=2), before), state(Thing(pk=1), before)
    assert known[0].fields["name"] == "n2"  # by its deletion
    assert known[1].fields == {"id": 1, "name": "n1", "number": 1, "note": ""}
    assert known[1].unknown == ("parent_id",)
    assert state(tag, before).unknown == ("things",)


@pytest.mark.django_db(transaction=True)
def test_a_column_that_was_added_later_is_filled_in(
    superuser: psycopg.Connection[Any], owner_connection: psycopg.Connection[Any]
) -> None:
    with untracked(superuser):
        superuser.execute("INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 5, '')")
    add_event(owner_connection, "created", 1, '{"id": 1, "name": "a", "note": "", "parent_id": null}')
    at = clock()
    whole = {"id": 1, "name": "a", "number": 5, "note": "", "parent_id": None}

    assert fields(Thing(pk=1), at) == whole
    Thing.objects.update(number=6)
    assert fields(Thing(pk=1), at) == whole
    Thing.objects.all().delete()
    assert fields(Thing(pk=1), at) == whole


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_column_that_the_model_doesnt_know_is_told_by_the_events(owner_connection: psycopg.Connection[Any]) -> None:
    Place.objects.create(pk=1, name="a")
    at = clock()
    with column(owner_connection, "everything_place", "stars integer DEFAULT 5"):
        owner_connection.execute("UPDATE everything_place SET stars = 6")

    assert fields(Place(pk=1), at) == {"id": 1, "name": "a", "stars": 5}
    assert fields(Place(pk=1), clock()) == {"id": 1, "name": "a", "stars": 6}


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_links_whose_ends_the_ledger_couldnt_tell_make_a_set_unknown(
    owner_connection: psycopg.Connection[Any],
) -> None:
    thing = Thing.objects.create(name="a")
    tag = Tag.objects.create(name="red")
    before = clock()
    with column(owner_connection, "everything_tag_things", "extra integer"):
        tag.things.add(thing)

    assert state(tag, before).fields["things"] == []
    assert "things" not in state(tag, clock()).fields
    assert state(tag, clock()).unknown == ("things",)


@pytest.mark.django_db
def test_the_databases_own_cascade_ends_children_too() -> None:
    RawParent.objects.create(id=1, name="parent")
    RawChild.objects.create(id=1, parent_id=1, name="child")
    before = clock()
    execute("DELETE FROM raw_parent")

    assert fields(RawChild(id=1), before) == {"id": 1, "parent_id": 1, "name": "child"}
    assert fields(RawChild(id=1), clock()) is None


@pytest.mark.django_db(transaction=True)
def test_the_sequence_is_the_truth_where_the_clock_jumped(owner_connection: psycopg.Connection[Any]) -> None:
    """An event of the future, as a clock gone wrong records it, precedes the others all the same."""
    thing = Thing.objects.create(name="a")
    add_event(owner_connection, "updated", thing.pk, '{"name": ["a", "b"]}', shift="+ interval '2 hours'")
    add_event(owner_connection, "updated", thing.pk, '{"number": [0, 7]}')

    found = fields(thing, clock())

    assert found is not None
    assert (found["name"], found["number"]) == ("b", 7)


@pytest.mark.django_db
def test_recorded_events_that_only_look_like_changes_change_nothing() -> None:
    thing = Thing.objects.create(name="a")
    for changes in ({"name": "x"}, {"name": {"added": [{"x": 1}, [2]]}}, None):
        audit.record("everything.thing.viewed", target=thing, changes=changes)
        audit.record("everything.thing.updated", target=thing, changes={"weather": "fine"})
    audit.record("everything.thing.deleted", target=thing, outcome="denied")

    found = fields(thing, clock())

    assert found is not None
    assert found["name"] == "a"


@pytest.mark.django_db
def test_a_difference_tells_coming_changing_and_going() -> None:
    before = clock()
    thing = Thing.objects.create(name="a", number=1)
    created = clock()
    Thing.objects.update(number=2, note="x")
    Thing.objects.update(number=3)
    updated = clock()
    thing.delete()
    key = str(Event.objects.filter(object_type=THING).latest("id").object_id)

    def changes(start: datetime, end: datetime) -> dict[str, list[Any]]:
        return states.difference(THING, key, start, end)

    assert changes(before, created)["number"] == [None, 1]
    assert changes(before, created).keys() == {"id", "name", "number", "note", "parent_id"}
    assert changes(created, updated) == {"number": [1, 3], "note": ["", "x"]}
    assert changes(updated, clock())["number"] == [3, None]
    assert changes(before, clock()) == {}
