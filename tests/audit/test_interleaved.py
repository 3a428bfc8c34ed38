"""Hundreds of actors at once, over threads and coroutines: never the wrong one in an event."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from chat.models import Room
from telemetry.context import use
from tests.audit.aliases import extra_alias
from tests.audit.interleaving import STEPS, Unit, run_in_threads, units, verify

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
UNITS_A_THREAD = 20
COROUTINES = 90


def test_threads_with_connections_of_their_own() -> None:
    all_units = units(THREADS * UNITS_A_THREAD)
    run_in_threads([all_units[number::THREADS] for number in range(THREADS)])

    verify(all_units)


@pytest.fixture(scope="module")
def pooled() -> Iterator[str]:
    """An alias whose few connections all threads share."""
    with extra_alias("pooled", options={"pool": {"min_size": 1, "max_size": 2, "timeout": 20}}) as alias:
        yield alias


@pytest.mark.django_db(transaction=True, databases=["default", "pooled"])
def test_threads_that_share_the_connections_of_a_pool(pooled: str) -> None:
    all_units = units(THREADS * UNITS_A_THREAD // 2, pooled)
    run_in_threads([all_units[number::THREADS] for number in range(THREADS)], pooled)

    verify(all_units)


async def work_async(unit: Unit) -> None:
    """The async ORM: each await lets another actor use the same connection."""

    async def acreate() -> int:
        await unit.room().asave()
        return 1

    async def aupdate() -> int:
        return int(await unit.rooms.aupdate(topic=unit.topic))

    async def abulk_create() -> int:
        return len(await Room.objects.abulk_create([unit.room() for _ in range(3)]))

    async def asave() -> int:
        room = await unit.rooms.afirst()
        if room is None:
            return 0
        room.topic = unit.topic
        await room.asave()
        return 1

    async def adelete() -> int:
        room = await unit.rooms.alast()
        return (await room.adelete())[0] if room is not None else 0

    async def in_sync_code() -> int:
        return int(await sync_to_async(unit.random.choice(STEPS))(unit))

    async def in_a_thread_of_a_pool() -> int:
        def step() -> int:
            try:
                return unit.random.choice(STEPS)(unit)
            finally:
                connections["default"].close()

        return int(await asyncio.to_thread(step))

    steps: list[Callable[[], Any]] = [acreate, acreate, aupdate, abulk_create, asave, adelete, in_sync_code]
    steps.append(in_a_thread_of_a_pool)
    with use(unit.context):
        for _ in range(6):
            unit.written += await unit.random.choice(steps)()


async def test_coroutines_that_share_one_connection() -> None:
    all_units = units(COROUTINES)
    try:
        await asyncio.gather(*(work_async(unit) for unit in all_units))
        await sync_to_async(verify)(all_units)
    finally:
        await sync_to_async(connections.close_all)()
