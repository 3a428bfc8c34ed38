"""Units of work by many actors, for property tests: each row says who wrote it, so that each event can be checked."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, connections, transaction

from audit.models import Event
from chat.models import Room
from telemetry.context import Actor, Context, bind, new_request_id, use

SEED = 20_240_611
OTHERS = 100_000  # added to a unit's number
COLUMNS = "(slug, name, topic, last_sequence)"


@dataclass
class Unit:
    """One actor's work. Each row that it writes says in its topic who wrote it, why and in which request."""

    number: int
    random: random.Random
    alias: str = "default"
    context: Context = field(init=False)
    written: int = 0  # events that must be in the ledger
    _rows: int = 0
    _touches: int = 0
    _other: "Unit | None" = None

    def __post_init__(self) -> None:
        self.context = Context(
            request_id=new_request_id(),
            origin="http",
            operation=f"UNIT {self.number}",
            actor_source=Actor("user", f"actor-{self.number}", f"label-{self.number}"),
            reason=f"reason-{self.number}",
        )

    @property
    def other(self) -> "Unit":
        """Somebody else, who now and then writes in this one's transactions."""
        if self._other is None:
            self._other = Unit(self.number + OTHERS, self.random, self.alias)
        return self._other

    @property
    def topic(self) -> str:
        """A new tag: each touch makes another, so that each write is a change."""
        self._touches += 1
        return f"actor-{self.number}|{self.context.request_id}|reason-{self.number}|{self._touches}"

    @property
    def rooms(self) -> Any:
        return Room.objects.using(self.alias).filter(slug__startswith=f"unit-{self.number}-")

    def room(self) -> Room:
        self._rows += 1
        return Room(slug=f"unit-{self.number}-{self._rows}", name="x", topic=self.topic)

    def values(self) -> list[Any]:
        room = self.room()
        return [room.slug, room.name, room.topic, 0]

    def sql(self, statement: str, parameters: list[Any], many: bool = False) -> None:
        with connections[self.alias].cursor() as cursor:
            (cursor.executemany if many else cursor.execute)(statement, parameters)


def create(unit: Unit) -> int:
    unit.room().save(using=unit.alias)
    return 1


def save_one(unit: Unit) -> int:
    room = unit.rooms.first()
    if room is None:
        return create(unit)
    room.topic = unit.topic
    room.save()
    return 1


def update_all(unit: Unit) -> int:
    return int(unit.rooms.update(topic=unit.topic))


def delete_one(unit: Unit) -> int:
    room = unit.rooms.last()
    return room.delete()[0] if room is not None else 0


def bulk_create(unit: Unit) -> int:
    return len(Room.objects.using(unit.alias).bulk_create([unit.room() for _ in range(3)]))


def bulk_update(unit: Unit) -> int:
    rooms = list(unit.rooms[:3])
    for room in rooms:
        room.topic = unit.topic
    return int(Room.objects.using(unit.alias).bulk_update(rooms, ["topic"])) if rooms else 0


def raw_insert(unit: Unit) -> int:
    unit.sql(f"INSERT INTO chat_room {COLUMNS} VALUES (%s, %s, %s, %s)", unit.values())
    return 1


def raw_without_parameters(unit: Unit) -> int:
    slug, name, topic, _ = unit.values()
    with connections[unit.alias].cursor() as cursor:
        cursor.execute(f"INSERT INTO chat_room {COLUMNS} VALUES ('{slug}', '{name}', '{topic}', 0)")
    return 1


def execute_many(unit: Unit) -> int:
    unit.sql(f"INSERT INTO chat_room {COLUMNS} VALUES (%s, %s, %s, %s)", [unit.values() for _ in range(3)], many=True)
    return 3


def refused(unit: Unit) -> int:
    """A statement that fails, in autocommit or in a savepoint of the running transaction."""
    room = unit.rooms.first()
    if room is not None:
        with suppress(IntegrityError), transaction.atomic(using=unit.alias):
            Room.objects.using(unit.alias).create(slug=room.slug, name="x", topic=unit.topic)
    return 0


SIMPLE = (create, save_one, update_all, delete_one, bulk_create, bulk_update)
SIMPLE += (raw_insert, raw_without_parameters, execute_many, refused)


def some(unit: Unit) -> int:
    return sum(unit.random.choice(SIMPLE)(unit) for _ in range(unit.random.randint(1, 3)))


def in_transaction(unit: Unit) -> int:
    with transaction.atomic(using=unit.alias):
        return some(unit)


def with_a_savepoint_kept(unit: Unit) -> int:
    with transaction.atomic(using=unit.alias):
        before = some(unit)
        with transaction.atomic(using=unit.alias):
            kept = some(unit)
        return before + kept + some(unit)


def with_a_savepoint_rolled_back(unit: Unit) -> int:
    with transaction.atomic(using=unit.alias):
        before = some(unit)
        with suppress(RuntimeError), transaction.atomic(using=unit.alias):
            some(unit)
            raise RuntimeError
        return before + some(unit)


def rolled_back(unit: Unit) -> int:
    with suppress(RuntimeError), transaction.atomic(using=unit.alias):
        some(unit)
        raise RuntimeError
    return 0


def with_another_in_the_same_transaction(unit: Unit) -> int:
    """Two actors by turns in one transaction, one of whom has a savepoint that rolls back."""
    other = unit.other
    with transaction.atomic(using=unit.alias):
        mine = some(unit)
        with use(other.context):
            theirs = some(other)
        mine += some(unit)
        with suppress(RuntimeError), transaction.atomic(using=unit.alias), use(other.context):
            some(other)
            raise RuntimeError
        mine += some(unit)
        with bind(actor_source=other.context.actor, reason=other.context.reason, request_id=other.context.request_id):
            theirs += some(other)
    return mine + theirs


STEPS = (*SIMPLE, in_transaction, with_a_savepoint_kept, with_a_savepoint_rolled_back, rolled_back)
STEPS += (with_another_in_the_same_transaction,)


def work(unit: Unit) -> None:
    with use(unit.context):
        for _ in range(4):
            unit.written += unit.random.choice(STEPS)(unit)


def units(count: int, alias: str = "default") -> list[Unit]:
    print(f"seed {SEED}")  # noqa: T201  shown where a test fails
    return [Unit(number, random.Random(SEED + number), alias) for number in range(count)]


def verify(done: list[Unit]) -> None:
    """Every event's actor, request and reason are those in the row that it tells of, and none is missing."""
    events = list(Event.objects.filter(object_type="chat.room"))
    counts: Counter[str] = Counter()
    for event in events:
        topic = event.changes["topic"]
        told = topic[1] if isinstance(topic, list) else topic
        written_by = told.rsplit("|", 1)[0]
        recorded = f"{event.actor_id}|{event.request_id}|{event.context.get('reason')}"
        assert recorded == written_by, f"seed {SEED}: event {event.id}, {event.action}"
        counts[str(int(event.actor_id.removeprefix("actor-")) % OTHERS)] += 1
    assert dict(counts) == {str(unit.number): unit.written for unit in done if unit.written}
    assert len(events) > len(done)


def run_in_threads(lists: list[list[Unit]], alias: str = "default") -> None:
    together = threading.Barrier(len(lists))

    def run(mine: list[Unit]) -> None:
        together.wait(60)
        try:
            for unit in mine:
                work(unit)
                if alias != "default":
                    connections[alias].close()  # back to the pool: the next unit may get another's connection
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(lists)) as executor:
        for result in [executor.submit(run, mine) for mine in lists]:
            result.result()
