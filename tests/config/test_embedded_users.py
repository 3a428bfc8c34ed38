"""The embedded servers, by who starts them and where: ordinary users and root, folders of somebody else, full disks."""

import multiprocessing
import os
import pwd
import shutil
import signal
import socket
import tempfile
import traceback
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from config.embedded import addresses, folders, postgres, redis
from config.embedded.errors import EmbeddedServerError
from config.processes import Process, stop_all

pytestmark = pytest.mark.long

is_root = os.geteuid() == 0
needs_root = pytest.mark.skipif(not is_root, reason="only root can become another user")
on_linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a child dies with its parent on Linux alone")


def _start(local_dir: Path, stopping: list[Process], *, is_durable: bool = False) -> Process:
    process = postgres.start(local_dir, is_durable=is_durable)
    stopping.append(process)
    return process


def _as_role(local_dir: Path, role: str) -> psycopg.Connection:
    return psycopg.connect(addresses.database_url(local_dir, role), autocommit=True)


def test_a_file_in_place_of_the_folder_is_told_in_one_line(local_dir: Path) -> None:
    (local_dir / "file").touch()
    for server in (postgres, redis):
        with pytest.raises(EmbeddedServerError, match=r"file: .* Set LOCAL_DIR to a folder that you may write to"):
            server.start(local_dir / "file")


def test_a_full_disk_is_told_in_one_line(local_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 0))
    with pytest.raises(
        EmbeddedServerError, match=r"^Too little space on the disk of /.*\. Free 300 MB, or set LOCAL_DIR"
    ):
        postgres.start(local_dir)


def test_a_socket_folder_of_somebody_else_is_refused(local_dir: Path) -> None:
    sockets = addresses.socket_directory(local_dir)
    sockets.symlink_to(tempfile.gettempdir())
    with pytest.raises(EmbeddedServerError, match=r"isn't a folder\. Remove it"):
        postgres.start(local_dir)


def _as_ordinary_user(action: Callable[[Path], None], local_dir: Path) -> None:
    """Run `action` in a child process that has given up root for good; what it raises fails the test."""
    receiving, sending = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        try:
            entry = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            action(local_dir)
            sending.send("")
        except BaseException:
            sending.send(traceback.format_exc())

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    told = receiving.recv() if receiving.poll(60) else "nothing came back within a minute"
    child.join(60)
    assert told == ""


def _run_both_twice(local_dir: Path) -> None:
    for _ in range(2):
        started = [postgres.start(local_dir), redis.start(local_dir)]
        try:
            with _as_role(local_dir, addresses.APPLICATION_ROLE) as app:
                assert app.execute("SELECT 1").fetchone() == (1,)
            assert {psutil.Process(process.pid).uids().real for process in started} == {os.getuid()}
        finally:
            stop_all(started)
    assert {process.exit_code for process in started} == {0}


@needs_root
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_an_ordinary_user_runs_both(local_dir: Path) -> None:
    folders.open_the_way(postgres._binaries() / "postgres", folders.server_account(local_dir / "none"))
    shutil.chown(local_dir, "nobody")
    _as_ordinary_user(_run_both_twice, local_dir)
    assert (local_dir / "postgres").owner() == "nobody"
    _run_both_as_root(local_dir)
    _as_ordinary_user(_run_both_twice, local_dir)


def _run_both_as_root(local_dir: Path) -> None:
    """As `sudo make run` does on a user's data: the servers run as that user."""
    started = [postgres.start(local_dir), redis.start(local_dir)]
    try:
        assert {psutil.Process(process.pid).username() for process in started} == {"nobody"}
    finally:
        stop_all(started)


def _fail_on_foreign_data(local_dir: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"/sockets belongs to pgserver\. Call this as that user, or set"):
        postgres.start(local_dir)


def _fail_on_a_foreign_folder(local_dir: Path) -> None:
    with pytest.raises(
        EmbeddedServerError, match=r": Permission denied\. Set LOCAL_DIR to a folder that you may write"
    ):
        postgres.start(local_dir)


@needs_root
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_an_ordinary_user_is_told_of_roots_folders_in_one_line(local_dir: Path, stopping: list[Process]) -> None:
    _as_ordinary_user(_fail_on_a_foreign_folder, local_dir)
    stop_all([_start(local_dir, stopping)])
    shutil.chown(local_dir, "nobody")
    _as_ordinary_user(_fail_on_foreign_data, local_dir)


@on_linux
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_servers_die_with_the_process_that_started_them(local_dir: Path, wait_until: Callable) -> None:
    receiving, sending = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        pids = [postgres.start(local_dir).pid, redis.start(local_dir).pid]
        sending.send(pids)
        signal.pause()

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    pids = receiving.recv()
    assert all(map(psutil.pid_exists, pids))
    child.kill()
    child.join()

    def are_gone() -> bool:
        return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)

    wait_until(are_gone)
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises(OSError):  # noqa: PT011
        probe.connect(str(addresses.redis_socket(local_dir)))
