"""The embedded servers in LOCAL_DIRs of their own, through all that happens to a developer's machine."""

import os
import shutil
import stat
from pathlib import Path

import psutil
import psycopg
import pytest
import redis as redis_py

from config.embedded import addresses, postgres, redis
from config.embedded.errors import EmbeddedServerError
from config.embedded.leftovers import servers_in
from config.processes import Process, stop_all

pytestmark = pytest.mark.long

_connect = postgres.connect


def _start(local_dir: Path, stopping: list[Process], *, is_durable: bool = False) -> Process:
    process = postgres.start(local_dir, is_durable=is_durable)
    stopping.append(process)
    return process


def _as_role(local_dir: Path, role: str) -> psycopg.Connection:
    return psycopg.connect(addresses.database_url(local_dir, role), autocommit=True)


def _redis(local_dir: Path) -> redis_py.Redis:
    return redis_py.Redis.from_url(addresses.redis_url(local_dir))


class StopError(Exception):
    """Stands for Ctrl-C in the middle of a start."""


def _kill_all_in(directory: Path) -> None:
    for process in servers_in(directory, ["postgres", "redis-server", "valkey-server"]):
        process.kill()


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_the_application_may_do_less_than_the_owner(local_dir: Path, stopping: list[Process]) -> None:
    _start(local_dir, stopping)
    with _as_role(local_dir, addresses.OWNER_ROLE) as owner, _as_role(local_dir, addresses.APPLICATION_ROLE) as app:
        owner.execute("CREATE TABLE public.thing (id int)")
        for forbidden in (
            "CREATE TABLE public.other (id int)",
            "CREATE TEMP TABLE other (id int)",
            "CREATE SCHEMA other",
            "CREATE DATABASE other",
            "CREATE ROLE other",
            "SELECT FROM public.thing",
            "SET ROLE glasshouse_owner",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)
        for forbidden in ("CREATE DATABASE other", "CREATE ROLE other", "SET ROLE postgres"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute(forbidden)
        assert app.execute("SELECT current_database()").fetchone() == ("glasshouse",)


def test_it_listens_on_a_socket_in_a_private_folder_alone(local_dir: Path, stopping: list[Process]) -> None:
    process = _start(local_dir, stopping)
    assert stat.S_IMODE(addresses.socket_directory(local_dir).stat().st_mode) == 0o700
    assert stat.S_IMODE(postgres.data_directory(local_dir).stat().st_mode) == 0o700
    server = psutil.Process(process.pid)
    assert [c for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN] == []
    assert server.uids().effective != 0
    assert os.getsid(process.pid) == process.pid


def test_two_checkouts_run_side_by_side(local_dir: Path, stopping: list[Process]) -> None:
    other = local_dir / "another"
    for folder in (local_dir, other):
        _start(folder, stopping)
        server = redis.start(folder)
        stopping.append(server)
        with postgres.connect(folder) as connection:
            connection.execute(f"CREATE TABLE of_{folder.name.replace('-', '_')} ()")
        _redis(folder).set("folder", folder.name)
    with postgres.connect(other) as connection:
        tables = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'of\\_%'").fetchall()
    assert tables == [("of_another",)]
    assert (_redis(local_dir).get("folder"), _redis(other).get("folder")) == (local_dir.name.encode(), b"another")


def test_data_survive_a_kill_and_a_pid_that_belongs_to_another_process(
    local_dir: Path, stopping: list[Process]
) -> None:
    _start(local_dir, stopping, is_durable=True)
    with postgres.connect(local_dir) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    data, sockets = postgres.data_directory(local_dir), addresses.socket_directory(local_dir)
    _kill_all_in(data)
    stop_all(stopping)
    assert (sockets / ".s.PGSQL.5432").exists()
    for lock in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        _first_line, *rest = lock.read_text().splitlines()
        lock.write_text("\n".join([str(os.getpid()), *rest, ""]))

    _start(local_dir, stopping)

    with postgres.connect(local_dir) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


@pytest.mark.parametrize("content", ["", "garbage\n", "999999999\n"])
def test_a_broken_pid_file_is_no_obstacle(local_dir: Path, stopping: list[Process], content: str) -> None:
    stop_all([_start(local_dir, stopping)])
    (postgres.data_directory(local_dir) / "postmaster.pid").write_text(content)
    assert _start(local_dir, stopping).is_running


def test_a_server_that_an_earlier_run_left_is_stopped_first(local_dir: Path, stopping: list[Process]) -> None:
    left_postgres = _start(local_dir, stopping)
    left_redis = redis.start(local_dir)
    stopping.append(left_redis)
    with postgres.connect(local_dir) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        _start(local_dir, stopping)
    stopping.append(redis.start(local_dir))
    assert not left_postgres.is_running
    assert not left_redis.is_running
    with postgres.connect(local_dir) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def _connect_to_postgres_alone(local_dir: Path, database: str = addresses.DATABASE) -> psycopg.Connection:
    if database != "postgres":
        raise StopError
    return _connect(local_dir, database)


def test_an_interrupted_start_leaves_nothing_in_the_way(
    local_dir: Path, stopping: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise StopError

    with pytest.raises(StopError):
        postgres.launch(local_dir, pause=interrupt)
    assert not postgres.data_directory(local_dir).exists()
    assert (local_dir / "postgres.unfinished").exists()

    with monkeypatch.context() as patched:  # between the roles and the database
        patched.setattr(addresses, "DATABASE", "template1")
        patched.setattr(postgres, "connect", _connect_to_postgres_alone)
        with pytest.raises(StopError):
            postgres.start(local_dir)
    assert servers_in(postgres.data_directory(local_dir), ["postgres"]) == []

    _start(local_dir, stopping)
    with _as_role(local_dir, addresses.APPLICATION_ROLE) as app:
        assert app.execute("SELECT 1").fetchone() == (1,)


def test_data_of_another_major_version_are_refused_in_one_line(local_dir: Path) -> None:
    data = postgres.data_directory(local_dir)
    data.mkdir()
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedServerError, match=r"^.*/postgres holds data of PostgreSQL 16, and this is .* 18\. "):
        postgres.launch(local_dir)


def test_what_the_server_says_as_it_fails_is_told_in_one_line(local_dir: Path, stopping: list[Process]) -> None:
    stop_all([_start(local_dir, stopping)])
    (postgres.data_directory(local_dir) / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedServerError, match=r"^PostgreSQL ended with exit code 2: .*pg_control") as caught:
        postgres.start(local_dir)
    assert "\n" not in str(caught.value)


def test_long_and_strange_paths_work(local_dir: Path, stopping: list[Process]) -> None:
    folder = local_dir / "a folder, with \"quotes' and ümlauts"
    deep = local_dir / ("long" * 30)
    for each in (folder, deep):
        _start(each, stopping)
        stopping.append(redis.start(each))
        with _as_role(each, addresses.APPLICATION_ROLE) as app:
            assert app.execute("SELECT 1").fetchone() == (1,)
        assert _redis(each).ping()
        assert not addresses.socket_directory(each).is_relative_to(local_dir)
        stop_all(stopping)
        shutil.rmtree(addresses.socket_directory(each))


def test_the_users_own_variables_change_nothing(
    local_dir: Path, stopping: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGPORT": "1",
        "PGDATA": "/nowhere",
        "PGUSER": "nobody",
        "LC_ALL": "xx_XX",
        "TZ": "Mars",
    }.items():
        monkeypatch.setenv(name, value)
    _start(local_dir, stopping)
    with _as_role(local_dir, addresses.APPLICATION_ROLE) as app:
        assert app.execute("SELECT current_setting('timezone'), pg_encoding_to_char(encoding) FROM pg_database "
                           "WHERE datname = current_database()").fetchone() == ("UTC", "UTF8")  # fmt: skip


# --- Redis -----------------------------------------------------------------------------------------------------------


def test_redis_keeps_its_data_through_a_kill_and_a_stale_socket(local_dir: Path, stopping: list[Process]) -> None:
    process = redis.start(local_dir)
    stopping.append(process)
    client = _redis(local_dir)
    client.set("answer", 42)
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("port") == {"port": "0"}
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    client.close()
    _kill_all_in(redis.data_directory(local_dir))
    stop_all([process])
    assert addresses.redis_socket(local_dir).is_socket()

    stopping.append(redis.start(local_dir))

    assert _redis(local_dir).get("answer") == b"42"


def test_redis_that_can_not_read_its_data_says_so_in_one_line(local_dir: Path, stopping: list[Process]) -> None:
    stop_all([redis.start(local_dir)])
    manifest = redis.data_directory(local_dir) / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("nonsense\n")
    with pytest.raises(EmbeddedServerError, match=r"^Redis ended with exit code 1: .+") as caught:
        redis.start(local_dir)
    assert "\n" not in str(caught.value)


def test_a_server_on_the_path_comes_before_the_wheels(
    local_dir: Path, stopping: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = local_dir / "redis-server"
    binary.write_text(f'#!/bin/sh\ntouch {local_dir}/redis/called\nexec "{redis._binary()}" "$@"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{local_dir}{os.pathsep}{os.environ['PATH']}")
    stopping.append(redis.start(local_dir))
    assert (local_dir / "redis" / "called").exists()
