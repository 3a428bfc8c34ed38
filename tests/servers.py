"""The suite's own PostgreSQL and Redis, each worker's for itself; Redis is emptied after every test."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import redis as redis_py
from django.conf import settings

from config.embedded import postgres, redis
from config.lock import hold
from config.processes import Process, stop_all
from config.redis_urls import BROKER, CACHE, CHANNELS, TELEMETRY, with_database

_TEMPORARY_PREFIX = "glasshouse-test-"  # of config.settings.test


@dataclass
class Servers:
    superuser: psycopg.Connection
    redis: dict[int, redis_py.Redis]
    # Each table that is restored after a test, with a digest of what it held after the migrations.
    tables: dict[str, str | None] = field(default_factory=dict)
    changes: bytes = b""
    has_leftovers: bool = False  # of tests that were rolled back: a denial is recorded all the same


_running: Servers | None = None


def pytest_sessionstart() -> None:
    """Remove the folders of earlier suites that were killed: the lock of one that lives can't be had."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY_PREFIX}*"):
        if folder == settings.LOCAL_DIR or folder.stat().st_uid != os.geteuid():
            continue
        lock = folder / "up.lock"
        if lock.exists():
            with lock.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(folder, ignore_errors=True)


def pytest_unconfigure() -> None:
    folder: Path = settings.LOCAL_DIR
    if folder.name.startswith(_TEMPORARY_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Run the suite's PostgreSQL and Redis. They die with the test process, however it ends."""
    global _running
    local_dir: Path = settings.LOCAL_DIR
    started: list[Process] = []
    with hold(local_dir):
        try:
            started.append(postgres.launch(local_dir, is_durable=False))
            started.append(redis.launch(local_dir, is_durable=False))
            postgres.wait_until_ready(started[0], local_dir)
            redis.wait_until_ready(started[1], local_dir)
            clients = {
                number: redis_py.Redis.from_url(with_database(settings.REDIS_URL, number))
                for number in (BROKER, CACHE, CHANNELS, TELEMETRY)
            }
            with postgres.connect(local_dir) as superuser:
                superuser.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
                superuser.execute("SET lock_timeout = '60s'")
                _running = Servers(superuser, clients)
                yield _running
        finally:
            _running = None
            stop_all(started)
    for client in clients.values():
        client.close()


def running() -> Servers | None:
    """Return the servers, where a test has asked for them."""
    return _running


@pytest.fixture(autouse=True)
def _clean_redis() -> Iterator[None]:
    yield
    if _running is not None:
        empty_redis(_running)


def empty_redis(running: Servers) -> None:
    filled = running.redis[BROKER].info("keyspace")
    for number, client in running.redis.items():
        if f"db{number}" not in filled:
            continue
        if number == BROKER:  # a live worker's binding to its queue has to stay
            if keys := [key for key in client.scan_iter(count=1000) if not key.startswith(b"_kombu.binding.")]:
                client.delete(*keys)
        else:
            client.flushdb()


@pytest.fixture
def redis_client(servers: Servers) -> redis_py.Redis:
    """Give a client of the suite's Redis (database 0). Every database is emptied after each test."""
    return servers.redis[BROKER]
