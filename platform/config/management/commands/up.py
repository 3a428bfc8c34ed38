"""`manage up`: the whole platform with one command."""

import importlib.util
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

from config import parts
from config.console import Console
from config.embedded import postgres, redis
from config.embedded.errors import EmbeddedServerError
from config.lock import AlreadyRunningError, hold
from config.ports import PortError, check_free
from config.processes import Process, Program, run_to_end, stop_all, wait_for

_READY_SECONDS = 60
_ACCOUNTS = "admin, auditor, operator, developer, author, moderator, reader"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_EXAMPLES = """
examples:
  manage up                                       everything, on ports 8000 and 8001
  PORT=8010 SOCKET_PORT=8011 manage up            on other ports
  LOCAL_DIR=/tmp/second PORT=8010 SOCKET_PORT=8011 manage up
                                                  a second one beside it, with data of its own
  DATABASE_URL=postgresql://… DATABASE_OWNER_URL=postgresql://… REDIS_URL=redis://… manage up
                                                  on servers of yours instead of the embedded ones

Ctrl-C stops everything that it started. Data stay in LOCAL_DIR (default: .local in the project's folder).
"""


class StopRequestedError(Exception):
    """Ctrl-C, or a signal that means the same."""


class PartDiedError(Exception):
    """A part ended by itself. The message says which, and how."""


class _Formatter(DjangoHelpFormatter):
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text


class Platform:
    """The processes that `manage up` has started, in that order."""

    def __init__(self, local_dir: Path, console: Console) -> None:
        self.local_dir = local_dir
        self.console = console
        self.processes: list[Process] = []
        self.stop_reason: signal.Signals | None = None
        self._are_servers_heard = False

    def request_stop(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal. The first one counts; a second can't hurry or break the shutdown."""
        self.stop_reason = self.stop_reason or signal.Signals(number)

    def check(self) -> None:
        """Return where all is well.

        Raises StopRequestedError, PartDiedError: what ends a wait.
        """
        if self.stop_reason is not None:
            raise StopRequestedError
        for process in self.processes:
            if not process.is_running:
                process.finish_reading()
                raise PartDiedError(f"{process.name} {process.describe_end()}; stopping everything.")

    def write_server_line(self, name: str, line: str) -> None:
        """Write what an embedded server says, without the routine of its start and end."""
        is_routine = line.startswith("LOG: ") or (name == "redis" and " # " not in line)
        if line.startswith("Let ") or (self._are_servers_heard and not is_routine):
            self.console.write(name, line)

    def start_servers(self) -> None:
        """Start the embedded servers that are needed, side by side, and wait until they answer."""
        waits: list[Callable[[], None]] = []
        for is_embedded, server in (
            (settings.IS_DATABASE_EMBEDDED, postgres),
            (settings.IS_REDIS_EMBEDDED, redis),
        ):
            if is_embedded:
                process = server.launch(self.local_dir, write=self.write_server_line, pause=self.check)
                self.processes.append(process)
                waits.append(_waiting(server, process, self))
        for wait in waits:
            wait()
        self._are_servers_heard = True

    def run(self, program: Program) -> None:
        """Run a command to its end, and show what it wrote.

        Raises PartDiedError: it failed.
        """
        done = run_to_end(program, write=self.console.write, pause=self.check)
        if done.exit_code != 0:
            raise PartDiedError(f"{program.name} {done.describe_end()}; stopping everything.")

    def start_parts(self, chosen: list[parts.Part]) -> None:
        """Start the parts at once, and wait until each is ready.

        Raises PartDiedError: one ended, or isn't ready in time.
        """
        for part in chosen:
            self.processes.append(Process(part.program, self.console.write))
        for part in chosen:
            if not wait_for(part.is_ready, timeout_seconds=_READY_SECONDS, pause=self.check):
                raise PartDiedError(f"{part.program.name} isn't ready after {_READY_SECONDS} s; stopping everything.")

    def stop(self) -> None:
        """Stop all, the last one started first; the servers after the parts that use them."""
        self._are_servers_heard = False
        servers = [process for process in self.processes if process.name in ("postgres", "redis")]
        stop_all([process for process in self.processes if process not in servers])
        stop_all(servers)


def _waiting(server: Any, process: Process, platform: Platform) -> Callable[[], None]:
    def pause() -> None:
        if platform.stop_reason is not None:
            raise StopRequestedError

    return lambda: server.wait_until_ready(process, platform.local_dir, pause=pause)


class Command(BaseCommand):
    help = "Starts the whole platform: PostgreSQL, Redis, web, sockets, worker and beat. Ctrl-C stops it."
    # This process only starts others, and they check: it needs the settings alone, and is quick.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class = _Formatter
        parser.epilog = _EXAMPLES

    def handle(self, *args: Any, **options: Any) -> None:
        web_port, socket_port = (
            int(address.rpartition(":")[2]) for address in (settings.WEB_ADDRESS, settings.SOCKET_ADDRESS)
        )
        platform = Platform(settings.LOCAL_DIR, Console())
        for number in _SIGNALS:
            signal.signal(number, platform.request_stop)
        try:
            with hold(settings.LOCAL_DIR):
                _check_ports(web_port, socket_port)
                _run(platform, web_port, socket_port)
        except (AlreadyRunningError, PortError, EmbeddedServerError, PartDiedError) as error:
            self.stderr.write(str(error))
            sys.exit(1)


def _check_ports(web_port: int, socket_port: int) -> None:
    if web_port == socket_port:
        raise PortError(f"PORT and SOCKET_PORT are both {web_port}. Set SOCKET_PORT to another free port.")
    check_free("PORT", web_port)
    check_free("SOCKET_PORT", socket_port)


def _run(platform: Platform, web_port: int, socket_port: int) -> None:
    local_dir = platform.local_dir
    try:
        platform.start_servers()
        platform.console.say("Bringing the database up to date …")
        platform.run(
            parts.command("migrate", "migrate", "--database", "owner", "--verbosity", "0", local_dir=local_dir)
        )
        if settings.DEMO_PASSWORD and _has_command("seed_demo") and _is_database_empty():
            platform.console.say("Filling the empty database with demo data …")
            platform.run(parts.command("demo data", "seed_demo", local_dir=local_dir))
        platform.console.say("Starting web, sockets, worker and beat …")
        platform.start_parts(
            [
                parts.web(web_port, local_dir, socket_port=socket_port),
                parts.sockets(socket_port, local_dir, web_port=web_port),
                parts.worker(local_dir),
                parts.beat(local_dir),
            ]
        )
        platform.console.say(_welcome(web_port, socket_port))
        wait_for(lambda: False, timeout_seconds=float("inf"), pause=platform.check)
    except StopRequestedError:
        platform.console.say("\nStopping …")
        platform.stop()
        platform.console.say("Stopped. Data stay in " + str(local_dir))
    except BaseException:
        platform.stop()
        raise


def _has_command(name: str) -> bool:
    for app in settings.INSTALLED_APPS:
        with suppress(ModuleNotFoundError):
            if importlib.util.find_spec(f"{app}.management.commands.{name}"):
                return True
    return False


def _is_database_empty() -> bool:
    """Return whether nobody has an account yet. It asks without Django's models, which this process never loads."""
    import psycopg

    owner = settings.DATABASES["owner"]
    with psycopg.connect(
        host=owner["HOST"],
        port=owner["PORT"] or None,
        user=owner["USER"],
        password=owner["PASSWORD"] or None,
        dbname=owner["NAME"],
        connect_timeout=5,
    ) as connection:
        row = connection.execute("SELECT NOT EXISTS (SELECT FROM accounts_user)").fetchone()
    return row == (True,)


def _welcome(web_port: int, socket_port: int) -> str:
    lines = [
        "",
        "Glasshouse is running.",
        "",
        f"  Pages      http://127.0.0.1:{web_port}/",
        f"  API docs   http://127.0.0.1:{web_port}/api/docs/",
        f"  Sockets    ws://127.0.0.1:{socket_port}/ws/",
    ]
    if settings.DEMO_PASSWORD:
        lines += ["", f"  Accounts   {_ACCOUNTS}", f"  Password   {settings.DEMO_PASSWORD}"]
    return "\n".join([*lines, "", "Ctrl-C stops everything.", ""])
