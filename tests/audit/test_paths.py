"""Each row that the ORM changes is one event with its values, by whichever of its ways; what didn't change is none."""

import asyncio
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from audit.models import Event
from tests.audit.everything.events import News, execute, thing
from tests.audit.everything.models import Membership, Part, Person, RawChild, RawParent, Remark, Tag, Team, Thing

pytestmark = pytest.mark.django_db


# --- one row by the ORM ----------------------------------------------------------------------------------------------


def test_save_records_the_row_then_only_what_changed_then_nothing(news: News) -> None:
    one = Thing(name="one")
    one.save()
    one.number = 5
    one.save()
    one.save()
    one.note = "unsaved"
    one.save(update_fields=["number"])

    assert news() == [
        ("thing.created", str(one.pk), {"id": one.pk, **thing("one")}),
        ("thing.updated", str(one.pk), {"number": [0, 5]}),
    ]


def test_save_with_a_chosen_key_is_one_event_whether_it_inserts_or_updates(news: News) -> None:
    Thing(pk=7_000_001, name="one").save()
    Thing(pk=7_000_001, name="two").save()

    assert news() == [
        ("thing.created", "7000001", {"id": 7_000_001, **thing("one")}),
        ("thing.updated", "7000001", {"name": ["one", "two"]}),
    ]


def test_create_get_or_create_and_update_or_create(news: News) -> None:
    one = Thing.objects.create(name="one")
    Thing.objects.get_or_create(name="one", defaults={"number": 9})
    two, _ = Thing.objects.get_or_create(name="two", defaults={"number": 2})
    Thing.objects.update_or_create(name="two", defaults={"number": 3})
    Thing.objects.update_or_create(name="two", defaults={"number": 3})
    three, _ = Thing.objects.update_or_create(name="three", defaults={"number": 4})

    assert news() == [
        ("thing.created", str(one.pk), {"id": one.pk, **thing("one")}),
        ("thing.created", str(two.pk), {"id": two.pk, **thing("two", number=2)}),
        ("thing.updated", str(two.pk), {"number": [2, 3]}),
        ("thing.created", str(three.pk), {"id": three.pk, **thing("three", number=4)}),
    ]


def test_delete_records_all_that_the_orm_cascade_takes_and_forgets(news: News) -> None:
    root = Thing.objects.create(name="root")
    child = Thing.objects.create(name="child", parent=root)
    part = Part.objects.create(thing=child, name="part")
    remark = Remark.objects.create(part=part, text="well made")
    tag = Tag.objects.create(name="tag")
    tag.things.add(child)
    news()
    keys = {"root": root.pk, "child": child.pk, "part": part.pk}
    root.delete()

    assert sorted(news(), key=str) == sorted(
        [
            ("remark.updated", str(remark.pk), {"part_id": [keys["part"], None]}),
            ("tag.updated", str(tag.pk), {"things": {"removed": [keys["child"]]}}),
            ("part.deleted", str(keys["part"]), {"id": keys["part"], "thing_id": keys["child"], "name": "part"}),
            ("thing.deleted", str(keys["child"]), {"id": keys["child"], **thing("child", parent_id=keys["root"])}),
            ("thing.deleted", str(keys["root"]), {"id": keys["root"], **thing("root")}),
        ],
        key=str,
    )


def test_delete_records_all_that_the_databases_own_cascade_takes(news: News) -> None:
    RawParent.objects.create(id=1, name="parent")
    RawChild.objects.bulk_create([RawChild(id=number, parent_id=1, name=f"child {number}") for number in (1, 2)])
    news()
    RawParent.objects.get(id=1).delete()

    assert sorted(news()) == [
        ("rawchild.deleted", "1", {"id": 1, "parent_id": 1, "name": "child 1"}),
        ("rawchild.deleted", "2", {"id": 2, "parent_id": 1, "name": "child 2"}),
        ("rawparent.deleted", "1", {"id": 1, "name": "parent"}),
    ]


# --- many-to-many ----------------------------------------------------------------------------------------------------


def test_many_to_many_from_the_side_that_declares_it(news: News) -> None:
    a, b, c = Thing.objects.bulk_create([Thing(name=name) for name in "abc"])
    tag = Tag.objects.create(name="tag")
    news()
    tag.things.add(a, b)
    tag.things.add(a)
    tag.things.remove(a)
    tag.things.remove(a)
    tag.things.set([b, c])
    tag.things.set([b, c])
    tag.things.clear()
    tag.things.clear()

    assert news() == [
        ("tag.updated", str(tag.pk), {"things": {"added": [a.pk, b.pk]}}),
        ("tag.updated", str(tag.pk), {"things": {"removed": [a.pk]}}),
        ("tag.updated", str(tag.pk), {"things": {"added": [c.pk]}}),
        ("tag.updated", str(tag.pk), {"things": {"removed": [b.pk, c.pk]}}),
    ]


def test_many_to_many_from_the_other_side(news: News) -> None:
    one = Thing.objects.create(name="one")
    x, y = Tag.objects.bulk_create([Tag(name=name) for name in "xy"])
    news()
    one.tags.add(x, y)
    one.tags.remove(x)
    one.tags.set([x])
    one.tags.clear()

    def event(tag: Tag, kind: str) -> tuple[str, str, Any]:
        return ("tag.updated", str(tag.pk), {"things": {kind: [one.pk]}})

    happened = news()
    assert sorted(happened[:2]) == sorted([event(x, "added"), event(y, "added")])
    assert happened[2] == event(x, "removed")
    assert sorted(happened[3:5], key=str) == sorted([event(y, "removed"), event(x, "added")], key=str)
    assert happened[5:] == [event(x, "removed")]


def test_a_symmetrical_many_to_many_is_recorded_at_both_ends(news: News) -> None:
    ann, bob = Person.objects.bulk_create([Person(name=name) for name in ("ann", "bob")])
    news()
    ann.friends.add(bob)
    bob.friends.clear()

    happened = news()
    assert sorted(happened[:2]) == sorted(
        [
            ("person.updated", str(ann.pk), {"friends": {"added": [bob.pk]}}),
            ("person.updated", str(bob.pk), {"friends": {"added": [ann.pk]}}),
        ]
    )
    assert sorted(happened[2:]) == sorted(
        [
            ("person.updated", str(ann.pk), {"friends": {"removed": [bob.pk]}}),
            ("person.updated", str(bob.pk), {"friends": {"removed": [ann.pk]}}),
        ]
    )


def test_many_to_many_through_a_model_of_its_own_is_recorded_as_its_rows(news: News) -> None:
    ann, bob = Person.objects.bulk_create([Person(name=name) for name in ("ann", "bob")])
    team = Team.objects.create(name="team")
    news()
    team.members.add(ann, through_defaults={"role": "head"})
    team.members.set([bob])
    Membership.objects.filter(person=bob).update(role="head")
    bob.teams.clear()

    happened = [(action, changes) for action, _key, changes in news()]
    ids = [changes["id"] for _action, changes in happened if "id" in changes]
    assert happened == [
        ("membership.created", {"id": ids[0], "team_id": team.pk, "person_id": ann.pk, "role": "head"}),
        ("membership.deleted", {"id": ids[0], "team_id": team.pk, "person_id": ann.pk, "role": "head"}),
        ("membership.created", {"id": ids[2], "team_id": team.pk, "person_id": bob.pk, "role": "member"}),
        ("membership.updated", {"role": ["member", "head"]}),
        ("membership.deleted", {"id": ids[2], "team_id": team.pk, "person_id": bob.pk, "role": "head"}),
    ]


def test_many_to_many_rows_moved_by_sql_are_taken_from_one_object_and_given_to_another(news: News) -> None:
    one, two = Thing.objects.bulk_create([Thing(name=name) for name in ("one", "two")])
    tag = Tag.objects.create(name="tag")
    tag.things.add(one)
    news()
    execute(f"UPDATE {Tag.things.through._meta.db_table} SET thing_id = %s", two.pk)
    execute(f"UPDATE {Tag.things.through._meta.db_table} SET thing_id = %s", two.pk)

    assert sorted(news(), key=str) == sorted(
        [
            ("tag.updated", str(tag.pk), {"things": {"removed": [one.pk]}}),
            ("tag.updated", str(tag.pk), {"things": {"added": [two.pk]}}),
        ],
        key=str,
    )


# --- many rows by the ORM --------------------------------------------------------------------------------------------


def test_update_records_the_rows_that_changed_with_what_the_database_computed(news: News) -> None:
    a, b, _c = Thing.objects.bulk_create([Thing(name="a"), Thing(name="b", number=3), Thing(name="c", number=9)])
    news()
    Thing.objects.filter(name__in="ab").update(number=3)
    Thing.objects.filter(name__in="ab").update(number=F("number") * 2 + 1, note=Concat(F("name"), Value("!")))
    Thing.objects.filter(name="nobody").update(number=1)

    first, *others = news()
    assert first == ("thing.updated", str(a.pk), {"number": [0, 3]})
    assert sorted(others) == [
        ("thing.updated", str(a.pk), {"number": [3, 7], "note": ["", "a!"]}),
        ("thing.updated", str(b.pk), {"number": [3, 7], "note": ["", "b!"]}),
    ]


def test_an_f_expression_in_save_is_recorded_with_its_value(news: News) -> None:
    one = Thing.objects.create(name="one", number=41)
    news()
    one.number = F("number") + 1  # type: ignore[assignment]
    one.save()

    assert news() == [("thing.updated", str(one.pk), {"number": [41, 42]})]


def test_bulk_create_records_each_row_that_came_into_being(news: News) -> None:
    created = Thing.objects.bulk_create([Thing(name=f"{number}", number=number) for number in range(50)], batch_size=20)

    assert news() == [
        ("thing.created", str(row.pk), {"id": row.pk, **thing(row.name, number=row.number)}) for row in created
    ]


def test_bulk_create_that_ignores_conflicts_records_only_what_was_new(news: News) -> None:
    Thing.objects.create(name="there")
    news()
    Thing.objects.bulk_create([Thing(name="there", number=9), Thing(name="new")], ignore_conflicts=True)
    Thing.objects.bulk_create([Thing(name="there", number=9)], ignore_conflicts=True)

    new = Thing.objects.get(name="new")
    assert news() == [("thing.created", str(new.pk), {"id": new.pk, **thing("new")})]


def test_bulk_create_that_updates_conflicts_records_creations_and_updates_and_no_noop(news: News) -> None:
    there, same = Thing.objects.bulk_create([Thing(name="there"), Thing(name="same", number=4)])
    news()
    Thing.objects.bulk_create(
        [Thing(name="there", number=9), Thing(name="same", number=4), Thing(name="new", number=1)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["number"],
    )

    new = Thing.objects.get(name="new")
    assert sorted(news()) == [
        ("thing.created", str(new.pk), {"id": new.pk, **thing("new", number=1)}),
        ("thing.updated", str(there.pk), {"number": [0, 9]}),
    ]
    assert same.number == 4


def test_bulk_update_records_each_row_with_its_own_change(news: News) -> None:
    rows = Thing.objects.bulk_create([Thing(name=f"{number}", number=number) for number in range(5)])
    news()
    for row in rows:
        row.number = row.number * 10
    Thing.objects.bulk_update(rows, ["number", "note"], batch_size=2)

    assert sorted(news()) == sorted(
        ("thing.updated", str(row.pk), {"number": [number, number * 10]}) for number, row in enumerate(rows) if number
    )


def test_queryset_delete_and_raw_delete_record_each_row(news: News) -> None:
    a, b, c = Thing.objects.bulk_create([Thing(name=name) for name in "abc"])
    news()
    Thing.objects.filter(name__in="ab").delete()
    Thing.objects.filter(name="c")._raw_delete(using="default")
    Thing.objects.filter(name="c").delete()

    assert sorted(news()) == sorted(
        ("thing.deleted", str(row.pk), {"id": row.pk, **thing(row.name)}) for row in (a, b, c)
    )


@pytest.mark.django_db(transaction=True)
async def test_the_async_orm_is_recorded_alike(news: News) -> None:
    from asgiref.sync import sync_to_async

    async_news = sync_to_async(news)
    one = await Thing.objects.acreate(name="one")
    key = one.pk
    one.number = 1
    await one.asave()
    await Thing.objects.filter(pk=key).aupdate(number=F("number") + 1)
    two, _ = await Thing.objects.aget_or_create(name="two")
    await Thing.objects.aupdate_or_create(name="two", defaults={"number": 7})
    await Thing.objects.abulk_create([Thing(name="three")])
    tag = await Tag.objects.acreate(name="tag")
    await tag.things.aadd(two)
    await tag.things.aclear()
    await one.adelete()
    await Thing.objects.filter(name="three").adelete()

    happened = await async_news()
    three = happened[5][2]["id"]
    assert happened == [
        ("thing.created", str(key), {"id": key, **thing("one")}),
        ("thing.updated", str(key), {"number": [0, 1]}),
        ("thing.updated", str(key), {"number": [1, 2]}),
        ("thing.created", str(two.pk), {"id": two.pk, **thing("two")}),
        ("thing.updated", str(two.pk), {"number": [0, 7]}),
        ("thing.created", str(three), {"id": three, **thing("three")}),
        ("tag.created", str(tag.pk), {"id": tag.pk, "name": "tag"}),
        ("tag.updated", str(tag.pk), {"things": {"added": [two.pk]}}),
        ("tag.updated", str(tag.pk), {"things": {"removed": [two.pk]}}),
        ("thing.deleted", str(key), {"id": key, **thing("one", number=2)}),
        ("thing.deleted", str(three), {"id": three, **thing("three")}),
    ]


@pytest.mark.django_db(transaction=True)
async def test_tasks_that_run_together_each_leave_their_own_event() -> None:
    one = await Thing.objects.acreate(name="one")
    await asyncio.gather(*(Thing.objects.filter(pk=one.pk).aupdate(number=F("number") + 1) for _ in range(10)))

    changes = [event.changes["number"] async for event in Event.objects.filter(action="everything.thing.updated")]
    assert sorted(changes) == [[number, number + 1] for number in range(10)]


# --- what didn't happen ----------------------------------------------------------------------------------------------


def test_what_rolls_back_leaves_nothing_and_what_stays_stays(news: News) -> None:
    one = Thing.objects.create(name="one")
    news()
    with transaction.atomic():
        Thing.objects.filter(pk=one.pk).update(number=1)
        with pytest.raises(RuntimeError), transaction.atomic():
            Thing.objects.filter(pk=one.pk).update(number=2)
            Thing.objects.create(name="lost")
            with transaction.atomic():
                Thing.objects.create(name="lost too")
            raise RuntimeError
        with transaction.atomic():
            Thing.objects.filter(pk=one.pk).update(number=3)

    assert news() == [
        ("thing.updated", str(one.pk), {"number": [0, 1]}),
        ("thing.updated", str(one.pk), {"number": [1, 3]}),
    ]


def test_raw_savepoints_take_their_events_along(news: News) -> None:
    execute("SAVEPOINT a")
    execute("INSERT INTO everything_thing (id, name, number, note) VALUES (1, 'a', 0, '')")
    execute("ROLLBACK TO SAVEPOINT a")
    execute("INSERT INTO everything_thing (id, name, number, note) VALUES (2, 'b', 0, '')")
    execute("RELEASE SAVEPOINT a")

    assert [event[:2] for event in news()] == [("thing.created", "2")]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_undone_leaves_nothing(news: News) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        Thing.objects.create(name="lost")
        raise RuntimeError
    with transaction.atomic():
        Thing.objects.create(name="lost")
        transaction.set_rollback(True)
    with pytest.raises(IntegrityError):
        execute("INSERT INTO everything_part (thing_id, name) VALUES (404, 'deferred foreign key')")

    assert news() == []


def test_a_refused_statement_leaves_nothing_of_its_rows(news: News) -> None:
    Thing.objects.create(name="there")
    news()
    with pytest.raises(IntegrityError), transaction.atomic():
        Thing.objects.bulk_create([Thing(name="new"), Thing(name="there")])

    assert news() == []
