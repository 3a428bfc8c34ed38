"""What an object was at a time, however it came to be so."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.contrib.auth.models import Permission
from django.db import connection, models, transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import audit
from accounts.models import ApiToken, User, digest_token, new_token_text
from audit import values
from audit.history import folding, present, states
from audit.history.states import State, state_at
from audit.install import install
from audit.models import Event
from audit.reading.cursors import Cursor, parse
from tests.audit.everything.events import execute
from tests.audit.everything.models import (
    Masked,
    MomentKeyed,
    NothingButKey,
    OddlyNamed,
    PairKeyed,
    Part,
    Person,
    Pizzeria,
    Place,
    RawChild,
    RawParent,
    Tag,
    TextKeyed,
    Thing,
    ThingAlias,
    UuidKeyed,
    Values,
)

THING, TAG = "everything.thing", "everything.tag"


def clock() -> datetime:
    """The database's time, which events are recorded by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found


def state(row: models.Model, at: datetime) -> State:
    return state_at(row._meta.label_lower, values.object_id(row), at)


def fields(row: models.Model, at: datetime) -> dict[str, Any] | None:
    found = state(row, at)
    return dict(found.fields) if found.exists else None


@contextmanager
def untracked(superuser: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """Let a connection write without captures, as before a table was tracked."""
    superuser.execute("SET session_replication_role = replica")
    yield superuser
    superuser.execute("SET session_replication_role = origin")


@contextmanager
def column(owner: psycopg.Connection[Any], table: str, definition: str) -> Iterator[None]:
    """Give a table a column that its capture doesn't know."""
    owner.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    try:
        yield
    finally:
        owner.execute(f"ALTER TABLE {table} DROP COLUMN {definition.split()[0]}")
        install("owner")  # it counts the columns that ever were


# --- states --------------------------------------------------------------------------------------------------------


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


def add_event(owner: psycopg.Connection[Any], verb: str, pk: int, changes: str, *, shift: str = "") -> None:
    owner.execute(
        "INSERT INTO audit_event (action, object_type, object_id, changes, recorded_at)"
        f" VALUES ('everything.thing.{verb}', 'everything.thing', %s, %s, clock_timestamp() {shift})",
        [str(pk), changes],
    )


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


# --- instances -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_instances_have_the_values_that_a_query_would_have_read() -> None:
    row = Values.objects.create(
        decimal=Decimal("1.50"),
        moment=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        duration=timedelta(days=1, seconds=2),
        json={"json": [None, 1.5, "x"]},
        binary=b"\x00\xff",
        integers=[1, None],
        file="a/b.txt",
    )
    row.refresh_from_db()
    at = clock()
    Values.objects.update(decimal=2, json=None, integers=[])

    then = audit.as_of(Values, at).get(pk=str(row.pk))

    for one in Values._meta.concrete_fields:
        mine, other = getattr(then, one.attname), getattr(row, one.attname)
        assert (bytes(mine), bytes(other))[0] == bytes(other) if one.name == "binary" else mine == other, one.name
    assert then.audit_unknown == {}
    assert then._state.adding


@pytest.mark.django_db
def test_an_inheriting_models_instance_is_merged_from_all_its_tables() -> None:
    ann, bob = Person.objects.create(name="ann"), Person.objects.create(name="bob")
    pizzeria = Pizzeria.objects.create(name="Da Anna", stars=1, ovens=2)
    pizzeria.guests.set([ann])
    at = clock()
    Place.objects.update(name="Da Bruno")
    pizzeria.guests.set([bob])
    key = pizzeria.pk
    pizzeria.delete()

    (then,) = audit.as_of(Pizzeria, at)

    assert (then.pk, then.name, then.stars, then.ovens) == (key, "Da Anna", 1, 2)
    assert then.audit_many_to_many == {"guests": [ann.pk]}
    assert audit.as_of(Place, at).get(pk=key).name == "Da Anna"
    assert list(audit.as_of(Pizzeria, clock())) == []


@pytest.mark.django_db
def test_all_that_existed_is_iterated_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.history.instances._BATCH", 3)
    Thing.objects.bulk_create([Thing(name=f"{number}") for number in range(10)])
    at = clock()
    Thing.objects.filter(name__in=["1", "2"]).delete()
    Thing.objects.create(name="later")

    assert sorted(thing.name for thing in audit.as_of(Thing, at)) == [f"{number}" for number in range(10)]
    assert audit.as_of(ThingAlias, at).count() == 10
    assert isinstance(next(iter(audit.as_of(ThingAlias, at))), ThingAlias)
    assert audit.as_of(Thing, clock()).count() == 9
    with pytest.raises(Thing.DoesNotExist):
        audit.as_of(Thing, at).get(pk="no number")


def test_only_tracked_models_and_times_with_an_offset_are_asked() -> None:
    with pytest.raises(ValueError, match="isn't tracked"):
        audit.as_of(Event, datetime.now(UTC))
    with pytest.raises(ValueError, match="offset"):
        audit.as_of(Thing, datetime(2026, 1, 1))  # noqa: DTZ001


# --- any sequence of changes ---------------------------------------------------------------------------------------

KEYS_TRIED = st.integers(1, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), KEYS_TRIED, st.one_of(st.none(), KEYS_TRIED)),
        st.tuples(st.just("save"), KEYS_TRIED, st.integers(0, 3)),
        st.tuples(st.just("raw"), KEYS_TRIED, st.text(max_size=3).filter(lambda text: "\x00" not in text)),
        st.tuples(st.just("delete"), KEYS_TRIED, st.none()),
        st.tuples(st.just("tag"), KEYS_TRIED, st.none()),
        st.tuples(st.just("untag"), KEYS_TRIED, st.none()),
        st.tuples(st.just("link"), KEYS_TRIED, st.sets(KEYS_TRIED)),
        st.tuples(st.just("unlink"), KEYS_TRIED, KEYS_TRIED),
    ),
    max_size=14,
)


def do(verb: str, key: int, value: Any) -> None:
    match verb:
        case "create" if not Thing.objects.filter(pk=key).exists():
            parent = Thing.objects.filter(pk=value).first() if value else None
            Thing.objects.create(pk=key, name=f"thing {key}", parent=parent)
        case "save" if thing := Thing.objects.filter(pk=key).first():
            thing.number = value
            thing.save()
        case "raw":
            execute("UPDATE everything_thing SET note = %s WHERE id <= %s", value, key)
        case "delete":
            Thing.objects.filter(pk=key).delete()  # and its children
        case "tag":
            Tag.objects.get_or_create(pk=key, defaults={"name": f"tag {key}"})
        case "untag":
            Tag.objects.filter(pk=key).delete()
        case "link" if tag := Tag.objects.filter(pk=key).first():
            tag.things.set(Thing.objects.filter(pk__in=value))
        case "unlink" if thing := Thing.objects.filter(pk=value).first():
            thing.tags.remove(*Tag.objects.filter(pk=key))


def snapshot() -> dict[tuple[str, str], dict[str, Any]]:
    """All things and tags as they are, by the ORM."""
    found: dict[tuple[str, str], dict[str, Any]] = {(THING, str(row["id"])): row for row in Thing.objects.values()}
    for tag in Tag.objects.all():
        things = sorted(tag.things.values_list("pk", flat=True))
        found[TAG, str(tag.pk)] = {"id": tag.pk, "name": tag.name, "things": things}
    return found


@pytest.mark.django_db
@given(STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_state_at_any_time_is_what_was_there(steps: list[tuple[str, int, Any]]) -> None:
    with transaction.atomic():
        latest = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
        times = [(clock(), snapshot())]
        for step in steps:
            do(*step)
            times.append((clock(), snapshot()))

        for object_type in (THING, TAG):
            keys = [str(key) for key in range(1, 4)]
            for at, there in times:
                found = states.states_at(object_type, keys, at)
                assert {key: dict(one.fields) for key, one in found.items() if one.exists} == {
                    key: there[object_type, key] for key in keys if (object_type, key) in there
                }
                assert not any(one.unknown for one in found.values())
            for key in keys:
                tell_from_the_middle(object_type, key, latest, times)
        transaction.set_rollback(True)


def tell_from_the_middle(object_type: str, key: str, latest: int, times: list[tuple[datetime, Any]]) -> None:
    """However late the ledger began, from then on the state is what was there."""
    model = present.tracked_model(object_type)
    assert model
    events = Event.objects.filter(object_type=object_type, object_id=key, id__gt=latest).order_by("id")
    steps = [folding.Step(one.pk, one.recorded_at, one.action.rpartition(".")[2], one.changes or {}) for one in events]
    rows = present.rows(model, [key], using="default")
    members = present.members(model, [key], using="default")
    for count in range(1, len(steps)):
        for at, there in times:
            if at > steps[count - 1].recorded_at:
                found = folding.fold(steps[count:], at)
                unknown = folding.complete(
                    found, present.columns_of(model), present.links_of(model), rows.get(key), members.get(key)
                )
                wanted = there.get((object_type, key))
                # No event tells a key.
                assert {**found.values, **({"id": int(key)} if found.exists else {})} == (wanted or {})
                assert unknown <= {"id"}


# --- versions and the API ------------------------------------------------------------------------------------------


def user_with(*permissions: str, name: str = "auditor") -> User:
    user = User.objects.create(username=name)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    return user


def log_in(client: Client, *permissions: str) -> User:
    user = user_with(*permissions)
    client.force_login(user)
    return user


def token_for(user: User, *scopes: str) -> dict[str, str]:
    text = new_token_text()
    ApiToken.objects.create(user=user, prefix=text[:8], digest_hex=digest_token(text), scopes=list(scopes))
    return {"Authorization": f"Bearer {text}"}


def address(object_type: str, object_id: Any) -> str:
    return f"/api/audit/objects/{object_type}/{quote(str(object_id), safe='')}/"


@pytest.fixture
def lived(db: None) -> tuple[Thing, list[datetime]]:
    """Let a thing live: the times are before it, after its creation, its change, and its deletion."""
    times = [clock()]
    thing = Thing.objects.create(name="a", number=1)
    times.append(clock())
    Thing.objects.filter(pk=thing.pk).update(number=2)
    times.append(clock())
    key = thing.pk
    thing.delete()
    thing.pk = key
    times.append(clock())
    return thing, times


def test_versions_come_in_their_sequence_page_by_page(client: Client, lived: tuple[Thing, list[datetime]]) -> None:
    thing, _times = lived
    log_in(client, "view_event")
    url = address(THING, thing.pk)

    newest = client.get(url, {"limit": "2"}).json()
    rest = client.get(newest["next"]).json()
    oldest = client.get(url, {"order": "oldest"}).json()

    verbs = [event["action"].rpartition(".")[2] for event in newest["results"] + rest["results"]]
    assert verbs == ["deleted", "updated", "created"]
    assert rest["next"] is None
    assert oldest["results"] == (newest["results"] + rest["results"])[::-1]
    page = states.versions(THING, str(thing.pk), Cursor("oldest"), limit=1)
    assert page.next is not None
    assert len(states.versions(THING, str(thing.pk), parse(str(page.next))).events) == 2


def test_the_api_tells_the_state_at_a_time_and_a_difference(
    client: Client, lived: tuple[Thing, list[datetime]]
) -> None:
    thing, times = lived
    log_in(client, "view_event")
    url = address(THING, thing.pk)
    before, created, updated, deleted = (at.isoformat() for at in times)

    def at(text: str) -> Any:
        return client.get(url, {"at": text}).json()

    assert (at(before)["exists"], at(before)["version"]) == (False, None)
    assert at(created)["state"] == {"id": thing.pk, "name": "a", "number": 1, "note": "", "parent_id": None}
    assert at(created)["unknown"] == []
    assert Event.objects.get(pk=at(updated)["version"]).action == "everything.thing.updated"
    assert (at(deleted)["exists"], at(deleted)["state"]) == (False, {})
    assert client.get(url, {"from": created, "to": updated}).json()["changes"] == {"number": [1, 2]}
    read = Event.objects.filter(action="audit.ledger.read").latest("id")
    assert (read.object_type, read.object_id) == (THING, str(thing.pk))
    assert set(read.changes) == {"from", "to"}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("colour=red", "colour"),
        ("at=yesterday", "at"),
        ("at=2026-01-01&at=2026-01-02", "at"),
        ("at=2026-01-01&limit=1", "limit"),
        ("at=2026-01-01&from=2026-01-01", "from"),
        ("from=2026-01-01", "to"),
        ("to=2026-01-01", "from"),
        ("from=2026-01-02&to=2026-01-01", "to"),
        ("order=up", "order"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    client: Client, lived: tuple[Thing, list[datetime]], query: str, named: str
) -> None:
    log_in(client, "view_event")

    answer = client.get(f"{address(THING, lived[0].pk)}?{query}")

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [named]


def test_what_may_not_be_seen_is_answered_like_what_isnt_there(
    client: Client, lived: tuple[Thing, list[datetime]]
) -> None:
    log_in(client, "view_events_of_everything_tag")
    urls = [address(THING, lived[0].pk), address(THING, 0), address(TAG, 0), address("no.such", 1)]

    # Twice: asking for what isn't there doesn't make it known.
    answers = [client.get(url) for url in urls * 2]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert client.get(address(TAG, Tag.objects.create(name="red").pk)).status_code == 200


def test_personal_and_masked_values_are_hidden_in_states_and_differences(client: Client, db: None) -> None:
    start = clock()
    bob = User.objects.create_user("bob", email="bob@example.org", password="right-horse-9")
    log_in(client, "view_event")
    url = address("accounts.user", bob.pk)

    plain = client.get(url, {"at": clock().isoformat()}).json()
    changes = client.get(url, {"from": start.isoformat(), "to": clock().isoformat()}).json()["changes"]

    assert plain["state"]["email"] == {"hidden": "personal"}
    assert plain["state"]["password"] == {"hidden": "masked"}
    assert plain["state"]["username"] == "bob"
    assert plain["unknown"] == ["last_login"]
    assert changes["email"] == [None, {"hidden": "personal"}]
    assert client.get(url).json()["results"][0]["changes"]["email"] == [None, {"hidden": "personal"}]


def test_an_object_whose_key_ends_like_the_address_of_its_restoring_is_found(client: Client, db: None) -> None:
    TextKeyed.objects.create(code="a/restore", name="a")
    log_in(client, "view_event")

    answer = client.get("/api/audit/objects/everything.textkeyed/a/restore/", {"at": clock().isoformat()})

    assert answer.json()["state"] == {"code": "a/restore", "name": "a"}


def test_an_event_about_something_without_an_address_leads_nowhere(client: Client, db: None) -> None:
    log_in(client, "view_event")
    ids = [audit.record("everything.odd", target=target) for target in (None, ("a/b", "1"), ("a.b", "1/2\n#"))]

    links = [client.get(f"/api/audit/events/{one}/").json()["links"]["object"] for one in ids]

    assert links[:2] == [None, None]
    assert client.get(links[2]).json()["results"][0]["id"] == ids[2]


def test_children_and_parts_have_a_history_of_their_own(db: None) -> None:
    thing = Thing.objects.create(name="a")
    Part.objects.create(thing=thing, name="p")
    at = clock()
    thing.delete()

    assert not Part.objects.exists()
    assert audit.as_of(Part, at).count() == 1
