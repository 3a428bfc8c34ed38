"""`manage up` and `manage.py` as a person meets them, and the pieces they are made of."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from config.commandline import explain
from config.console import Console
from config.embedded import addresses
from config.embedded.leftovers import servers_in
from config.lock import AlreadyRunningError, hold
from config.ports import PortError, check_free
from config.processes import Process, Program, run_to_end, stop_all, wait_for

pytestmark = pytest.mark.long

MANAGE = settings.BASE_DIR / "manage.py"


def _python(code: str, name: str = "child", **options: object) -> Program:
    environment = {"PYTHONUNBUFFERED": "1", **os.environ}
    return Program(name, [sys.executable, "-c", code], Path("/"), environment, **options)  # type: ignore[arg-type]


# --- processes -------------------------------------------------------------------------------------------------------


def test_lines_are_handed_on_whole_and_bad_bytes_replaced() -> None:
    lines: list[tuple[str, str]] = []
    code = (
        "import sys; sys.stdout.buffer.write(b'\\xff two\\r\\n\\nno end'); sys.stdout.flush(); "
        "print('!', file=sys.stderr)"
    )
    done = run_to_end(_python(code), write=lambda name, line: lines.append((name, line)))
    assert lines == [("child", "\ufffd two"), ("child", ""), ("child", "no end!")]
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
    ],
)
def test_how_a_process_ended_is_told_in_words(code: str, words: str) -> None:
    assert run_to_end(_python(code)).describe_end() == words


def test_a_process_that_will_not_end_is_killed_with_its_children(wait_until: Callable) -> None:
    stubborn = (
        "import os, signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(child.pid)\n"
        "signal.pause()"
    )
    signals = ((0.0, signal.SIGTERM), (0.3, signal.SIGKILL))
    process = Process(_python(stubborn, signals=signals))
    child = psutil.Process(int(wait_until(lambda: process.last_lines and process.last_lines[-1])))
    stop_all([process])
    assert process.describe_end() == "was ended by SIGKILL"
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_children_left_by_a_process_that_ended_are_killed_too(wait_until: Callable) -> None:
    leaving = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']).pid)"
    )
    process = Process(_python(leaving))
    child = psutil.Process(int(wait_until(lambda: process.last_lines and process.last_lines[-1])))
    wait_until(lambda: not process.is_running)
    stop_all([process])
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_children_hear_signals_that_the_parent_ignores() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a shell's background job
    try:
        code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        assert list(run_to_end(_python(code)).last_lines) == ["True"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupted_run_leaves_no_process() -> None:
    class StopError(Exception):
        pass

    lines: list[str] = []

    def pause() -> None:
        if lines:
            raise StopError

    with pytest.raises(StopError):
        run_to_end(
            _python("import os, signal; print(os.getpid()); signal.pause()"),
            write=lambda _name, line: lines.append(line),
            pause=pause,
        )
    assert not psutil.pid_exists(int(lines[0]))


def test_a_wait_is_bounded() -> None:
    assert not wait_for(lambda: False, timeout_seconds=0.1)


# --- lock, ports, console, failures ----------------------------------------------------------------------------------


def test_a_folder_is_held_once_and_free_again_afterwards(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(AlreadyRunningError) as caught:
        hold(tmp_path)
    assert str(caught.value) == (
        f"Already running (pid {os.getpid()}). Stop it with Ctrl-C there, "
        "or set LOCAL_DIR, PORT and SOCKET_PORT to run a second one."
    )
    hold(tmp_path).close()


def test_a_stale_lock_file_with_a_living_pid_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "up.lock").write_text("1\n")
    with hold(tmp_path):
        assert (tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_a_busy_port_is_told_with_a_way_out(host: str) -> None:
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortError, match=rf"^Port {port} is in use. Set PORT to a free one: PORT=\d+ make run$"):
            check_free("PORT", port)
    check_free("PORT", port)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_number_that_is_no_port_is_told(port: int) -> None:
    with pytest.raises(PortError, match=f"^SOCKET_PORT={port} is no port. Set SOCKET_PORT to a number"):
        check_free("SOCKET_PORT", port)


def test_lines_are_aligned_and_uncoloured_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.write("web", "one")
    console.write("demo data", "two")
    first, second = capsys.readouterr().out.splitlines()
    assert (first.index("|"), first[-3:], "\x1b" in first) == (second.index("|"), "one", False)


def test_a_closed_output_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    gone = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stdout", gone)
    Console().write("web", "to nobody")
    with pytest.raises(BrokenPipeError):
        gone.close()


def _chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_failures_of_the_surroundings_are_one_line_and_others_are_not() -> None:
    import psycopg
    import redis.exceptions

    down = _chained(OperationalError("connection failed"), psycopg.OperationalError("connection failed"))
    assert explain(down) == f"PostgreSQL isn't running in {settings.LOCAL_DIR}. Start the platform with `make run`."
    assert explain(redis.exceptions.ConnectionError("no")) == (
        f"Redis isn't running in {settings.LOCAL_DIR}. Start the platform with `make run`."
    )
    assert explain(ImproperlyConfigured("SECRET_KEY is weak.\nMend it.")) == "SECRET_KEY is weak. Mend it."
    assert explain(_chained(OperationalError("x"), psycopg.errors.LockNotAvailable("x"))) is None
    assert explain(ValueError("a bug")) is None


# --- manage.py -------------------------------------------------------------------------------------------------------


def _environment(local_dir: Path, **changes: str) -> dict[str, str]:
    """Return the environment of a person at a fresh terminal."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LOCAL_DIR": str(local_dir), **changes}


def _manage(*arguments: str, cwd: Path, program: Path = MANAGE, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *arguments], cwd=cwd, env=_environment(cwd, **changes), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_it_runs_from_any_folder_and_through_a_link_with_the_projects_own_python(tmp_path: Path) -> None:
    link = tmp_path / "manage"
    link.symlink_to(MANAGE)
    done = _manage("shell", "-v", "0", "-c", "import sys; print(sys.prefix, sys.path[:2])", cwd=tmp_path, program=link)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(settings.BASE_DIR) in done.stdout
    if (settings.PROJECT_DIR / ".venv" / "pyvenv.cfg").exists():
        assert done.stdout.startswith(str(settings.PROJECT_DIR / ".venv"))


def test_it_says_how_to_install_where_nothing_is_installed(tmp_path: Path) -> None:
    (tmp_path / "platform").mkdir()
    copied = Path(shutil.copy(MANAGE, tmp_path / "platform"))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(copied), "check"], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Django isn't installed here. Run `make setup` first.\n"


def test_a_database_that_is_down_is_one_line(tmp_path: Path) -> None:
    done = _manage("migrate", cwd=tmp_path)
    assert (done.returncode, done.stdout.count("\n") < 3) == (1, True)
    assert done.stderr == f"PostgreSQL isn't running in {tmp_path}. Start the platform with `make run`.\n"


def test_settings_that_can_not_be_are_one_line(tmp_path: Path) -> None:
    done = _manage("check", cwd=tmp_path, DJANGO_SETTINGS_MODULE="config.settings.production")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("SECRET_KEY is missing or weak. Set it to")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("port", "socket_port", "words"),
    [
        ("eight", "1", "invalid"),
        ("18000", "18000", "PORT and SOCKET_PORT are both 18000. Set SOCKET_PORT to another free port."),
    ],
)
def test_ports_that_make_no_sense_are_one_line(tmp_path: Path, port: str, socket_port: str, words: str) -> None:
    done = _manage("up", cwd=tmp_path, PORT=port, SOCKET_PORT=socket_port)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert words in done.stderr


def test_a_busy_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = _manage("up", cwd=tmp_path, PORT=port)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"Port {port} is in use. Set PORT to a free one: PORT=\d+ make run\n", done.stderr)
    assert not (tmp_path / "postgres").exists()


def test_help_shows_examples(tmp_path: Path) -> None:
    done = _manage("up", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "examples:\n  manage up " in done.stdout


# --- manage up: one story of three starts in one LOCAL_DIR -----------------------------------------------------------


class Up:
    """A `manage up` in a session of its own, as `make run` starts it."""

    def __init__(self, local_dir: Path, ports: list[int], wait_until: Callable) -> None:
        self.local_dir, self.ports, self.wait_until = local_dir, ports, wait_until
        self.log = local_dir / "up.log"
        self.environment = _environment(local_dir, PORT=str(ports[0]), SOCKET_PORT=str(ports[1]))
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(MANAGE), "up"], env=self.environment, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_until_running(self) -> "Up":
        def is_running() -> bool:
            assert self.process.poll() is None, self.output
            return "Ctrl-C stops everything." in self.output

        self.wait_until(is_running, timeout=90)
        return self

    def wait_for_end(self) -> tuple[int, str]:
        """Return the exit code and the last line."""
        try:
            return self.process.wait(60), self.output.splitlines()[-1]
        finally:
            self.process.poll()

    def get(self, path: str, port: int = 0) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def what_is_left(self) -> list[str]:
        left = servers_in(self.local_dir / "postgres", ["postgres"])
        left += servers_in(self.local_dir / "redis", ["redis-server", "valkey-server"])
        for process in psutil.process_iter():
            try:
                if process.environ().get("LOCAL_DIR") == str(self.local_dir):
                    left.append(process)
            except psutil.Error:
                continue
        return [f"{process.pid} {process.name()}" for process in left if process.is_running()]

    def part(self, name: str) -> psutil.Process:
        for process in psutil.Process(self.process.pid).children():
            if process.environ().get("GLASSHOUSE_PROCESS") == name:
                return process
        raise AssertionError(f"no {name} runs:\n{self.output}")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Give a LOCAL_DIR that keeps its data from one test of this story to the next."""
    folder = Path(tempfile.mkdtemp(prefix="glasshouse-up-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def up(home: Path, free_ports: Callable[[int], list[int]], wait_until: Callable) -> Iterator[Up]:
    started = Up(home, free_ports(2), wait_until)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()
    wait_until(lambda: not started.what_is_left())


def test_everything_runs_and_ctrl_c_ends_it_even_when_pressed_twice(up: Up) -> None:
    up.wait_until_running()
    assert up.get("/healthz/ready")
    assert up.get("/healthz/live", port=1)
    assert f"http://127.0.0.1:{up.ports[0]}/api/docs/" in up.output
    assert f"ws://127.0.0.1:{up.ports[1]}/ws/" in up.output
    assert "admin, auditor, operator, developer, author, moderator, reader" in up.output
    assert "glasshouse" in up.output

    second = subprocess.run([str(MANAGE), "up"], env=up.environment, capture_output=True, text=True, check=False)
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith(f"Already running (pid {up.process.pid}). Stop it with Ctrl-C there, or set ")

    os.killpg(up.process.pid, signal.SIGINT)
    up.wait_until(lambda: "Stopping" in up.output)
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.wait_for_end() == (0, f"Stopped. Data stay in {up.local_dir}")
    assert up.what_is_left() == []
    assert "Traceback" not in up.output
    assert list(addresses.socket_directory(up.local_dir).iterdir()) == []


def test_a_kill_of_up_itself_leaves_nothing_and_then_a_part_that_dies_ends_everything(up: Up) -> None:
    up.wait_until_running().process.kill()
    up.process.wait()
    again = Up(up.local_dir, up.ports, up.wait_until)  # at once: it stops what is left itself
    try:
        again.wait_until_running()
        assert json.loads(again.get("/api/schema/?format=json"))["openapi"]
        again.part("worker").kill()
        ended = again.wait_for_end()
    finally:
        again.process.terminate()
        again.process.wait(60)
    assert ended == (1, "worker was ended by SIGKILL; stopping everything.")
    assert up.what_is_left() == []
