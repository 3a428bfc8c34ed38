"""What all variants share: PostgreSQL, Redis, a sink for spans and the cores; and how a variant's processes start."""

import json
import os
import resource
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock
from urllib.request import urlopen

import psycopg
from variants import VARIANTS, parts_of

from config.embedded import addresses, postgres, redis
from config.processes import Process, Program, run_to_end, stop_all, wait_for

PEERS = Path(__file__).resolve().parent
PROJECT = PEERS.parents[2]
# What happens by the clock would hit one variant and spare another.
_SERVER_SETTINGS = {"autovacuum": "off", "checkpoint_timeout": "1d", "max_wal_size": "16GB"}
_READY_SECONDS = 30
_TICKS = os.sysconf("SC_CLK_TCK")


class Environment:
    """The shared servers of one run; `local_dir` is the folder that goes with it."""

    def __init__(self, local_dir: Path) -> None:
        self.local_dir = local_dir
        cores = sorted(os.sched_getaffinity(0))
        self.watched_cores = {cores[0]}
        self.other_cores = set(cores[1:]) or {cores[0]}
        self.sink_port = free_port()
        self._shared: list[Process] = []
        self._subjects: list[Process] = []
        self._numbers: dict[str, int] = {}  # of the Redis databases
        self._databases: set[str] = set()

    def start_shared(self, *, is_durable: bool) -> None:
        """Start PostgreSQL, Redis and the sink, beside the load generator."""
        os.sched_setaffinity(0, self.other_cores)  # handed down to all that's started from here
        with mock.patch.dict(postgres._SETTINGS, _SERVER_SETTINGS):
            self._shared.append(postgres.start(self.local_dir, is_durable=is_durable))
        self._shared.append(redis.start(self.local_dir, is_durable=False))
        self._shared.append(self._process("sink", [str(PEERS / "span_sink.py"), str(self.sink_port)], {}))
        wait_until(lambda: is_listening(self.sink_port), "the sink", self._shared[-1])

    def stop(self) -> None:
        """Stop all that was started."""
        self.stop_subjects()
        stop_all(self._shared)

    def stop_subjects(self) -> None:
        """Stop the processes that were measured."""
        stop_all(self._subjects)
        self._subjects.clear()

    def start(self, variant: str, work: str, arguments: Sequence[str], *, is_watched: bool = True) -> Process:
        """Start a process of `variant`; a watched one has a core of its own."""
        os.sched_setaffinity(0, self.watched_cores if is_watched else self.other_cores)
        try:
            process = self._process(variant, arguments, self._environment(variant, work), self.lines_of(variant, work))
        finally:
            os.sched_setaffinity(0, self.other_cores)
        self._subjects.append(process)
        return process

    def lines_of(self, variant: str, work: str) -> Path:
        """Return the file that the variant's processes write their log to."""
        return self.local_dir / f"{work}-{variant}.log"

    def tally_of(self, variant: str, work: str) -> Path:
        """Return the file in which the variant's exporters count their spans, where they don't go to the sink."""
        return self.local_dir / f"{work}-{variant}.tally"

    def redis_url(self, variant: str) -> str:
        """Return the variant's own database of Redis."""
        number = self._numbers.setdefault(variant, len(self._numbers))
        return f"{addresses.redis_url(self.local_dir)}?db={number}"

    def prepare_database(self, variant: str, work: str) -> None:
        """Make the variant's database with its rows and what its libraries need there, unless it's there already."""
        name = _database(variant, work)
        if name in self._databases:
            return
        self._databases.add(name)
        with postgres.connect(self.local_dir) as superuser:
            superuser.execute(f'CREATE DATABASE "{name}" OWNER {addresses.OWNER_ROLE}')
        program = self._program("prepare", ["-m", "shop.prepare"], self._environment(variant, work))
        made = run_to_end(program)
        if made.exit_code:
            raise SystemExit(f"{variant}: no database could be prepared.\n" + "\n".join(made.last_lines))
        with self.superuser(variant, work) as superuser:
            superuser.execute("VACUUM ANALYZE")

    def superuser(self, variant: str, work: str) -> psycopg.Connection:
        """Return a new connection to the variant's database."""
        return postgres.connect(self.local_dir, _database(variant, work))

    def spans_in_sink(self) -> dict[str, int]:
        """Return how many spans each service has sent by OTLP; services are called `work-variant`."""
        with urlopen(f"http://127.0.0.1:{self.sink_port}/counts", timeout=60) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts

    def _environment(self, variant: str, work: str) -> dict[str, str]:
        roles = (addresses.SUPERUSER, addresses.OWNER_ROLE, addresses.APPLICATION_ROLE)
        urls = [addresses.database_url(self.local_dir, role).rpartition("/")[0] for role in roles]
        endpoint = f"http://127.0.0.1:{self.sink_port}"
        told = {
            "variant": variant,
            "work": work,
            "service": f"{work}-{variant}",
            "parts": sorted(parts_of(variant, work)),
            "ratio": VARIANTS[variant].ratio,
            "settings": dict(VARIANTS[variant].settings),
            "databases": [f"{url}/{_database(variant, work)}" for url in urls],
            "redis": self.redis_url(variant),
            "folder": str(self.local_dir / f"{work}-{variant}"),
            "tally": str(self.tally_of(variant, work)),
            "otlp": endpoint,
        }
        given = {
            "BENCH": json.dumps(told),
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            # Exporters that wait for seconds would work in the next one's turn.
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "PYTHONHASHSEED": "0",
            "PYTHONWARNINGS": "ignore",
        }
        if {"telemetry", "otlp"} <= parts_of(variant, work):
            given["OTEL_EXPORTER_OTLP_ENDPOINT"] = self._collector(parts_of(variant, work))
        return given

    def _collector(self, parts: frozenset[str]) -> str:
        """Return the collector's address: one that is well, or has the fault that a part names."""
        if "down" in parts:
            return "http://127.0.0.1:9"  # where nobody listens
        fault = next((f"/{part}" for part in ("slow", "refusing") if part in parts), "")
        return f"http://127.0.0.1:{self.sink_port}{fault}"

    def _program(self, name: str, arguments: Sequence[str], environment: dict[str, str]) -> Program:
        path = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": f"{PEERS}:{PROJECT}", "LC_ALL": "C.UTF-8"}
        return Program(name, [sys.executable, *arguments], self.local_dir, {**path, **environment})

    def _process(
        self, name: str, arguments: Sequence[str], environment: dict[str, str], lines: Path | None = None
    ) -> Process:
        program = self._program(name, arguments, environment)
        if lines is None:
            return Process(program)
        # To a file: a pipe's reader would be this process, which has a load to make.
        redirected = ["/bin/sh", "-c", 'exec "$@" >>"$0"', str(lines), *program.arguments]
        return Process(Program(name, redirected, program.directory, program.environment))


@contextmanager
def started(*, is_durable: bool) -> Iterator[Environment]:
    """Start what all share; all that was started is stopped at the end, and its folder removed."""
    before = os.sched_getaffinity(0)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # 200 sockets for each variant
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        environment = Environment(Path(folder))
        try:
            environment.start_shared(is_durable=is_durable)
            yield environment
        finally:
            environment.stop()
            os.sched_setaffinity(0, before)


def processor_seconds(process: Process) -> float:
    """Return the processor time that a process and all its descendants have used so far."""
    return sum(_seconds_of(pid) for pid in _with_descendants(process.pid)) / _TICKS


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """Return whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], what: str, process: Process) -> None:
    """Wait until `condition` is true.

    Raises SystemExit: the process ended, or half a minute passed.
    """
    if not wait_for(lambda: condition() or not process.is_running, timeout_seconds=_READY_SECONDS) or (
        not process.is_running
    ):
        raise SystemExit(f"{what} {process.describe_end()}, and isn't ready.\n" + "\n".join(process.last_lines))


def pause(seconds: float) -> None:
    """Let what was put off be done, such as the export of spans."""
    threading.Event().wait(seconds)


def _database(variant: str, work: str) -> str:
    # Nobody's library has tables of its own where rows are only read.
    return f"bench_{variant}" if work == "post" else "bench"


def _seconds_of(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(map(int, fields[11:15]))  # user and system, its own and that of children it has waited for


def _with_descendants(pid: int) -> Iterator[int]:
    yield pid
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = file.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in children:
            yield from _with_descendants(int(child))
