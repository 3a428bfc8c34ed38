"""Lines of real processes: whole to the last one, whatever ends them, and whoever reads them."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.conftest import WaitUntil
from tests.telemetry.chatty import WRITERS

pytestmark = pytest.mark.long

_PROJECT = Path(__file__).parents[2]
_MANAGE = str(_PROJECT / "platform" / "manage.py")
_APPLICATIONS = "tests.telemetry.chatty_servers"
_LINES_BEFORE_THE_END = 2_000

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a process of Python whose output, both streams as one, is a pipe."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(_PROJECT / "platform"), str(_PROJECT)]),
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "LOCAL_DIR": str(settings.LOCAL_DIR),
            "PYTHONWARNINGS": "ignore:::celery.platforms",
            **options.pop("environment", {}),
        }
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True, **options}
        started.append(subprocess.Popen([sys.executable, *arguments], env=environment, cwd=_PROJECT, **given))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _parsed(lines: list[bytes]) -> list[dict[str, Any]]:
    parsed = []
    for number, line in enumerate(lines):
        try:
            parsed.append(json.loads(line))
        except ValueError:
            pytest.fail(f"line {number} of {len(lines)} is no JSON: {line[:200]!r}")
        assert line.endswith(b"\n")
        assert {"event", "level", "logger", "timestamp"} <= parsed[-1].keys()
    return parsed


class TestTermination:
    """SIGTERM while many threads write."""

    def read_until_the_end(self, process: subprocess.Popen[bytes], wait_until: WaitUntil) -> list[dict[str, Any]]:
        lines: list[bytes] = []
        assert process.stdout is not None
        reader = threading.Thread(target=lines.extend, args=(iter(process.stdout.readline, b""),))
        reader.start()
        wait_until(
            lambda: len(lines) > _LINES_BEFORE_THE_END or process.poll() is not None,
            timeout=300,
        )
        assert process.poll() is None, b"".join(line for line in lines if b'"chatty' not in line).decode()
        os.kill(process.pid, signal.SIGTERM)
        reader.join(60)
        assert not reader.is_alive()
        return _parsed(lines)

    def assert_nothing_is_missing(self, lines: list[dict[str, Any]], *, processes: int = 1) -> None:
        numbers: dict[tuple[int, int], list[int]] = defaultdict(list)
        for line in lines:
            if line["logger"].startswith("chatty"):
                numbers[line["pid"], line["writer"]].append(line["number"])
        assert len(numbers) == processes * WRITERS
        for found in numbers.values():
            assert found == list(range(len(found)))

    def test_the_web_server(self, start: Start, free_ports: Any, wait_until: WaitUntil) -> None:
        (port,) = free_ports(1)
        process = start(
            *("-m", "granian", f"{_APPLICATIONS}:wsgi", "--interface", "wsgi", "--port", str(port)),
            *("--workers", "1", "--workers-kill-timeout", "3", "--log-level", "info"),
            *("--log-config", str(_PROJECT / "platform" / "config" / "granian_logging.json")),
            environment={"GLASSHOUSE_PROCESS": "web"},
        )
        lines = self.read_until_the_end(process, wait_until)
        self.assert_nothing_is_missing(lines)
        assert any(line["logger"] == "_granian" for line in lines)

    def test_the_socket_server(self, start: Start, free_ports: Any, wait_until: WaitUntil) -> None:
        (port,) = free_ports(1)
        process = start(
            *("-m", "uvicorn", f"{_APPLICATIONS}:asgi", "--port", str(port), "--lifespan", "off"),
            environment={"GLASSHOUSE_PROCESS": "sockets"},
        )
        lines = self.read_until_the_end(process, wait_until)
        self.assert_nothing_is_missing(lines)
        assert any(line["logger"] == "uvicorn.error" for line in lines)

    def test_the_worker_and_its_children(self, start: Start, redis_client: Any, wait_until: WaitUntil) -> None:
        process = start(
            *("-m", "celery", "--quiet", "--app", f"{_APPLICATIONS}:celery_app", "--skip-checks"),
            *("worker", "--concurrency", "2", "--loglevel", "INFO", "--queues", "default", "--pool", "prefork"),
            *("--without-gossip", "--without-mingle"),
            environment={"GLASSHOUSE_PROCESS": "worker"},
        )
        lines = self.read_until_the_end(process, wait_until)
        self.assert_nothing_is_missing(lines, processes=3)
        assert any(line["event"] == "celery.worker_said" for line in lines)

    def test_beat(self, start: Start, redis_client: Any, wait_until: WaitUntil, tmp_path: Path) -> None:
        process = start(
            *("-m", "celery", "--quiet", "--app", f"{_APPLICATIONS}:celery_app", "--skip-checks"),
            *("beat", "--loglevel", "INFO", "--schedule", str(tmp_path / "schedule")),
            environment={"GLASSHOUSE_PROCESS": "beat"},
        )
        self.assert_nothing_is_missing(self.read_until_the_end(process, wait_until))

    def test_a_command(self, start: Start, wait_until: WaitUntil) -> None:
        code = "import threading; from tests.telemetry import chatty; chatty.begin(); threading.Event().wait()"
        process = start(_MANAGE, "shell", "--no-imports", "--command", code, environment={"GLASSHOUSE_PROCESS": "web"})
        self.assert_nothing_is_missing(self.read_until_the_end(process, wait_until))
        assert process.wait(60) == -signal.SIGTERM


# --- a process of its own, by a script -------------------------------------------------------------------------------

_BEGINNING = """
import logging, os, signal, sys, threading, time, warnings
import django
from django.conf import settings
settings.configure(SECRET_KEY="x" * 50, TELEMETRY_PROCESS="web", LOGGING_CONFIG=None, INSTALLED_APPS=["telemetry"])
django.setup()
from telemetry.logs import get_logger
from telemetry.metrics import exposed_registry
log = get_logger("script")
def lost(reason):
    return int(exposed_registry().get_sample_value("telemetry_log_lines_dropped_total", {"reason": reason}) or 0)
"""


def _script(code: str) -> tuple[str, str]:
    return "-c", _BEGINNING + textwrap.dedent(code)


def _read_pipe(process: subprocess.Popen[bytes]) -> tuple[list[dict[str, Any]], str]:
    out, errors = process.communicate(timeout=300)
    return _parsed(out.splitlines(keepends=True)), (errors or b"").decode()


def test_a_reader_that_does_not_read_costs_lines_and_a_second(start: Start, wait_until: WaitUntil) -> None:
    process = start(
        *_script(
            """
            begun = time.monotonic()
            for number in range(2_000):
                log.info("script.said", number=number, text="x" * 900)
            print(time.monotonic() - begun, lost("full"), file=sys.stderr, flush=True)
            sys.stdin.readline()
            log.info("script.ended")
            """
        ),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stdin is not None
    seconds, dropped = process.stderr.readline().split()
    threading.Thread(target=lambda: (process.stdin.write(b"go on\n"), process.stdin.flush())).start()  # type: ignore[union-attr]
    assert process.stdout is not None
    out: list[bytes] = []
    reader = threading.Thread(target=lambda: out.extend(process.stdout))  # type: ignore[arg-type]
    reader.start()
    reader.join(60)
    lines = _parsed(out)

    assert float(seconds) < 100  # and not one for each line
    assert int(dropped) > 1_000
    assert [line["number"] for line in lines[:-1]] == list(range(2_000 - int(dropped)))


def test_a_reader_that_is_gone_stops_nothing(start: Start) -> None:
    process = start(
        *_script(
            """
            sys.stdin.readline()
            for number in range(100):
                log.info("script.said", number=number)
            print(lost("gone"), file=sys.stderr)
            """
        ),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(b"go on\n", timeout=300)

    assert errors.decode().split() == ["100"]
    assert process.returncode == 0


def test_a_full_disk_stops_nothing(start: Start) -> None:
    with open("/dev/full", "wb") as full:
        process = start(
            *_script(
                """
                log.info("script.said")
                print(lost("refused"), file=sys.stderr)
                """
            ),
            stdout=full,
            stderr=subprocess.PIPE,
        )
        _, errors = process.communicate(timeout=300)

    assert errors.decode().split() == ["1"]


def test_a_signals_handler_may_write_whatever_it_interrupts(start: Start) -> None:
    process = start(
        *_script(
            """
            def handle(number, frame):
                log.warning("script.interrupted", exc_info=ValueError("x"))
                logging.getLogger("library").error("interrupted %s", number)
                signal.setitimer(signal.ITIMER_REAL, 0.0005)  # not before: a slow machine would do nothing else
            signal.signal(signal.SIGALRM, handle)
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            for number in range(10_000):
                log.info("script.said", number=number)
                if not number % 3:
                    logging.getLogger("library").warning("said %s", number)
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            log.info("script.ended")
            """
        )
    )
    lines, _ = _read_pipe(process)
    interruptions = [line for line in lines if line["event"] == "script.interrupted"]

    assert lines[-1]["event"] == "script.ended"
    assert [line["number"] for line in lines if line["event"] == "script.said"] == list(range(10_000))
    assert len(interruptions) > 20


def test_what_nobody_caught_becomes_lines(start: Start) -> None:
    process = start(
        *_script(
            """
            import asyncio, gc
            warnings.simplefilter("always")
            warnings.warn("it is old: password=canary-3f9a")
            def fail(): raise ValueError("in a thread: token=canary-3f9a")
            thread = threading.Thread(target=fail, name="failing")
            thread.start(); thread.join()
            class Odd:
                def __del__(self): raise KeyError("at the end")
            odd = Odd(); del odd
            async def forget():
                await asyncio.wait([asyncio.create_task(fail_later())]); gc.collect()
            async def fail_later(): raise OSError("in a task")
            asyncio.run(forget())
            raise RuntimeError("at the top: password=canary-3f9a")
            """
        ),
        stderr=subprocess.PIPE,
    )
    lines, errors = _read_pipe(process)
    by_logger = defaultdict(list)
    for line in lines:
        by_logger[line["logger"]].append(line)
    told = [line.get("exception", [{}])[0].get("exc_type") for line in lines]

    assert errors == ""
    assert process.returncode == 1
    assert "it is old" in by_logger["py.warnings"][0]["event"]
    assert [line["event"] for line in by_logger["python"]] == [
        "python.thread_failed",
        "python.unraisable_exception",
        "python.uncaught_exception",
    ]
    assert told == [None, "ValueError", "KeyError", "OSError", "RuntimeError"]
    assert by_logger["asyncio"][0]["level"] == "error"
    assert "canary-3f9a" not in json.dumps(lines)


def test_servers_own_handlers_write_nothing_beside_the_pipeline(start: Start) -> None:
    process = start(
        *_script(
            """
            import logging.config
            from uvicorn.config import LOGGING_CONFIG
            from granian.log import LOGGING_CONFIG as GRANIAN
            from django.utils.log import DEFAULT_LOGGING
            from telemetry import logs
            settings.DEBUG = True
            for config in (LOGGING_CONFIG, GRANIAN, DEFAULT_LOGGING):
                logging.config.dictConfig(config)
            logs.configure()
            for name in ("uvicorn.error", "uvicorn.access", "_granian", "django", "django.server", "django.request"):
                logging.getLogger(name).error("once")
            """
        )
    )
    lines, _ = _read_pipe(process)

    assert [line["event"] for line in lines] == ["once"] * 6
