"""Clients that write as fast as they can and are killed at random moments; a program of test_kill.py's.

`python kill_worker.py MODE KILLS SEED`: one warmed process that forks a client, kills it by SIGKILL once it has got
so far, and forks the next. It never connects to the database itself. At the end it prints, as JSON, how many it killed,
and how many of these had begun a write that they couldn't tell the end of.
"""

import gc
import json
import os
import random
import select
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

BEGUN, DONE = b"b", b"d"
LONGEST_DELAY_SECONDS = 0.003
MOST_PROGRESS = 12


def write_until_killed(mode: str, number: int, chance: random.Random, tell: Callable[[bytes], object]) -> None:
    """Write rows for ever, and tell of each write's beginning and end."""
    from django.db import connection, transaction
    from django.db.models import Value
    from django.db.models.functions import Concat

    from chat.models import Room
    from telemetry.context import Actor, Context, new_request_id, use

    made = 0

    def room() -> Room:
        nonlocal made
        made += 1
        return Room(slug=f"client-{number}-{made}", name="x", topic=str(chance.random()))

    def others() -> list[int]:
        """A few rows, of earlier clients too."""
        found = list(Room.objects.exclude(slug="lobby").order_by("-id").values_list("pk", flat=True)[:10])
        return chance.sample(found, min(3, len(found)))

    def create() -> None:
        room().save()

    def bulk_create() -> None:
        Room.objects.bulk_create([room() for _ in range(3)])

    def save() -> None:
        for found in Room.objects.filter(pk__in=others()[:1]):
            found.topic = str(chance.random())
            found.save(update_fields=["topic"])

    def update() -> None:
        Room.objects.filter(pk__in=others()).update(topic=Concat("topic", Value("!")), name=str(made))

    def delete() -> None:
        Room.objects.filter(pk__in=others()[:1]).delete()

    def raw() -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE chat_room SET topic = 'raw' || random() WHERE id = ANY(%s)", [others()])
            cursor.execute("DELETE FROM chat_room WHERE id = ANY(%s)", [others()[:1]])

    def many() -> None:
        with connection.cursor() as cursor:
            pairs = [(str(chance.random()), key) for key in others()]
            cursor.executemany("UPDATE chat_room SET topic = %s WHERE id = %s", pairs)

    steps = (create, create, bulk_create, bulk_create, save, update, delete, raw, many)
    block: Callable[[], AbstractContextManager[object]] = transaction.atomic if mode == "transactions" else nullcontext
    with use(Context(request_id=new_request_id(), actor_source=Actor("user", str(number)))):
        while True:
            with block():
                for _ in range(chance.randint(1, 4)):
                    tell(BEGUN)
                    chance.choice(steps)()
                    if mode == "autocommit":
                        tell(DONE)
            if mode == "transactions":
                tell(DONE)


def run_and_kill(mode: str, number: int, chance: random.Random) -> bytes:
    """Fork a client, kill it at a random moment of its progress, and return what it told last."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            write_until_killed(mode, number, chance, lambda what: os.write(writing, what))
        finally:
            os._exit(1)  # it's killed before
    os.close(writing)
    awaited, told = chance.randint(1, MOST_PROGRESS), b""
    while len(told) < awaited and (more := os.read(reading, 1)):
        told += more
    select.select([], [], [], chance.random() * LONGEST_DELAY_SECONDS)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(f"client {number} ended by itself")
    while more := os.read(reading, 4_096):
        told += more
    os.close(reading)
    return told[-1:]


def main(mode: str, kills: int, seed: int) -> None:
    """Kill so many clients and print what the kills met."""
    import django

    django.setup()
    gc.freeze()  # so that a fork copies less
    last = [run_and_kill(mode, number, random.Random(seed + number)) for number in range(kills)]
    print(json.dumps({"killed": len(last), "amid": last.count(BEGUN)}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
