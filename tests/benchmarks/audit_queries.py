"""How quickly the ledger answers an auditor when it holds a year of a busy platform, and what it weighs.

A PostgreSQL of its own is filled with events of a realistic mix by set-based SQL; then every filter of the search is
asked with frequent, middling and rare values, the platform's API and page are opened as an auditor, and the same is
asked of django-auditlog's table with the same events. What it starts, it stops.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest import mock

PROJECT = Path(__file__).resolve().parents[2]
# Before this folder, whose audit.py is no package.
sys.path[:0] = [str(PROJECT / "platform"), str(PROJECT)]

import psycopg
from audit_queries_data import filling
from audit_queries_data.filling import PEER_DATABASE, say

from config.embedded import addresses, postgres, redis
from config.processes import stop_all

EXAMPLES = """
examples:
  python tests/benchmarks/audit_queries.py --events 200000             some minutes, to see that it works
  python tests/benchmarks/audit_queries.py --keep /var/tmp/ledger      10,000,000 events; a second run finds them there
  python tests/benchmarks/audit_queries.py --keep /var/tmp/ledger --format json > figures.json
  python tests/benchmarks/audit_queries.py --keep /var/tmp/ledger --setting random_page_cost=1.1

Progress goes to standard error. The peer needs the group `bench` (make bench installs it); without it, it's left out.
"""
PEER = Path(__file__).parent / "audit_queries_data" / "peer.py"
LEDGER = PROJECT / "audit"
# All else is PostgreSQL's own default, or the embedded server's (no JIT).
SETTINGS = {
    "shared_buffers": "2GB",
    "effective_cache_size": "12GB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",  # tables are vacuumed once they are filled; by the clock it would hit some questions
}
BYTES_AN_EVENT = 1_300
BYTES_A_PEER_EVENT = 1_000


def main() -> None:
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that servers and data go as well
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="glasshouse-queries-")))
        settings = {**SETTINGS, **dict(one.split("=", 1) for one in options.setting)}
        filled = fill(folder, options, settings)
        print(measure(folder, filled, options, settings))


def parse_options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=_count, default=None, help="10,000,000 by default, or what --keep holds")
    parser.add_argument(
        "--peer-events", type=_count, default=None, help="of django-auditlog; as many by default, 0: none"
    )
    parser.add_argument(
        "--values", type=_count, default=50, help="how many values or times each question is asked with"
    )
    parser.add_argument("--seconds", type=float, default=10, help="at most for one figure; slow ones get fewer values")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the filled data there, or use what is there")
    parser.add_argument("--only", default="", metavar="REGEX", help="only filters and parts so named: history, api …")
    parser.add_argument(
        "--setting", action="append", default=[], metavar="NAME=VALUE", help="of PostgreSQL; repeat for more"
    )
    parser.add_argument("--format", choices=["markdown", "json"], default="markdown")
    options = parser.parse_args()
    if wrong := [one for one in options.setting if "=" not in one]:
        parser.error(f"--setting takes NAME=VALUE, not {wrong[0]!r}.")
    if options.values == 0 or options.events == 0:
        parser.error("--values and --events take 1 or more.")
    return options


def _count(text: str) -> int:
    number = text.replace(",", "").replace("_", "")
    if not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number.")
    return int(number)


def fill(folder: Path, options: argparse.Namespace, settings: dict[str, str]) -> dict[str, Any]:
    """Have the data in `folder`, and return what they are."""
    known = filling.remembered(folder)
    made_by = [*sorted(LEDGER.glob("sql/*_v*.sql")), *sorted(LEDGER.glob("migrations/*.py"))]
    ledger_version = sha256(b"".join(path.read_bytes() for path in made_by)).hexdigest()
    if known:
        for name, asked in (("events", options.events), ("peer_events", options.peer_events)):
            if asked not in (None, known[name]):
                raise SystemExit(f"{folder} holds {known[name]:,} {name}, not {asked:,}. Name another folder.")
        if known["ledger_version"] != ledger_version:
            say(f"Beware: audit's SQL or migrations have changed since {folder} was filled; its tables are as before.")
        return known
    if (folder / "postgres").exists():
        raise SystemExit(f"{folder} was filled in part, by a run that didn't end. Remove it, or name another folder.")
    events = options.events or 10_000_000
    peer_events = 0 if _peer_version() is None else events if options.peer_events is None else options.peer_events
    peer_events = min(peer_events, events)
    folder.mkdir(parents=True, exist_ok=True)
    needed = events * BYTES_AN_EVENT + peer_events * BYTES_A_PEER_EVENT + 2 * 10**9
    if (free := shutil.disk_usage(folder).free) < needed:
        raise SystemExit(
            f"{folder} has {free / 1e9:.0f} GB free, and this takes {needed / 1e9:.0f}. "
            "Use fewer --events, or fewer --peer-events."
        )
    with server(folder, settings, is_durable=False):
        set_up_ledger(folder)
        if peer_events:
            with postgres.connect(folder) as superuser:
                superuser.execute(f"CREATE DATABASE {PEER_DATABASE}")
            subprocess.run([sys.executable, str(PEER), "setup", peer_url(folder)], check=True)
        filling.fill(folder, events=events, peer_events=peer_events)
        with postgres.connect(folder) as superuser:
            superuser.execute("CHECKPOINT")
    os.sync()
    filled = {"events": events, "peer_events": peer_events, "ledger_version": ledger_version}
    filling.remember(folder, filled)
    return filled


def peer_url(folder: Path) -> str:
    """Return the URL of the peer's database."""
    return addresses.database_url(folder, addresses.SUPERUSER).rpartition("/")[0] + f"/{PEER_DATABASE}"


def _peer_version() -> str | None:
    try:
        return version("django-auditlog")
    except PackageNotFoundError:
        say("django-auditlog isn't installed, so it's left out.")
        return None


@contextmanager
def server(folder: Path, settings: dict[str, str], *, is_durable: bool) -> Iterator[None]:
    """Run PostgreSQL and Redis on the data in `folder`."""
    started = []
    try:
        with mock.patch.dict(postgres._SETTINGS, settings):
            started.append(postgres.start(folder, is_durable=is_durable))
        started.append(redis.start(folder, is_durable=False))
        yield
    finally:
        stop_all(started)


def set_up_ledger(folder: Path) -> None:
    """Have Django run as the platform on the data in `folder`, migrated, with partitions for the past year."""
    for name in ("DATABASE_URL", "REDIS_URL"):  # never a server that someone else uses
        os.environ.pop(name, None)
    os.environ |= {
        "LOCAL_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
        "LOG_LEVEL": "ERROR",
    }
    import django
    from django.apps import apps

    if not apps.ready:
        django.setup()
    from datetime import UTC, datetime, timedelta

    from django.core.management import call_command
    from django.db import connections

    from audit import partitions

    call_command("migrate", database="owner", verbosity=0)
    partitions.ensure(at=datetime.now(UTC) - timedelta(days=366), months_ahead=13)
    connections.close_all()


def measure(folder: Path, filled: dict[str, Any], options: argparse.Namespace, settings: dict[str, str]) -> str:
    """Ask everything, and return the figures as text."""
    read_once(folder)
    with server(folder, settings, is_durable=True):
        set_up_ledger(folder)
        from audit_queries_data import platform_queries, report, searching, sizes

        url = addresses.database_url(folder, addresses.APPLICATION_ROLE)
        with postgres.connect(folder) as superuser, psycopg.connect(url, autocommit=True) as explainer:
            results = report.Results(about(superuser, filled, settings))
            say("choosing values")
            cases = list(searching.cases(superuser, options.values))
            is_wanted = re.compile(options.only).search
            period = searching.period_of(superuser)
            for case in (one for one in cases if is_wanted(one.name)):
                for one in (period, None):
                    results.searches.append(searching.measure(case, one, explainer, seconds=options.seconds))
            bench = platform_queries.Bench(cases, superuser, explainer, options.values, options.seconds)
            for part in filter(is_wanted, platform_queries.PARTS):
                results.answers += platform_queries.answers(bench, part)
            if is_wanted("bytes"):
                results.sizes = [sizes.of_ledger(superuser), sizes.of_two_fields(superuser)]
            if filled["peer_events"] and is_wanted("auditlog"):
                asked = questions_for_peer(cases, period, options.seconds)
                results.peer = ask_peer(folder, asked)
                with postgres.connect(folder, PEER_DATABASE) as peers:
                    results.sizes.append(sizes.of_peer(peers))
    return report.as_json(results) if options.format == "json" else report.markdown(results)


def read_once(folder: Path) -> None:
    """Read all data once, so that the system has them in memory as a server does that has run for a while."""
    for path in sorted(postgres.data_directory(folder).joinpath("base").rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 22):
                    pass


def questions_for_peer(cases: list[Any], period: Any, seconds: float) -> dict[str, Any]:
    """Return what django-auditlog can be asked: the same questions, as JSON."""
    asked = []
    wanted = {"time alone": (True, False), "object": (False,), "actor": (True,), "action": (True,), "request": (False,)}
    for case in cases:
        if case.name not in wanted or "`" in case.values:
            continue
        if case.name == "actor" and not all(one.given["actor"].isdigit() for one in case.questions):
            continue  # it knows users alone
        for has_range in wanted[case.name]:
            questions = []
            for one in case.questions:
                search = one.search(period if has_range else None)
                times = [time.isoformat() if time else None for time in (search.since, search.until)]
                questions.append([one.given, *times])
            asked.append({"name": case.name, "values": case.values, "has_range": has_range, "questions": questions})
    return {"cases": asked, "seconds": seconds}


def ask_peer(folder: Path, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Have the peer's process answer."""
    arguments = [sys.executable, str(PEER), "measure", peer_url(folder)]
    answered = subprocess.run(arguments, input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(answered.stdout)
    return found


def about(superuser: psycopg.Connection, filled: dict[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    """Return what the figures were measured on."""
    rows = superuser.execute(
        "SELECT current_setting('server_version'),"
        " (SELECT count(*) FROM pg_partition_tree('public.audit_event') WHERE isleaf)"
    ).fetchone()
    assert rows
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = (
        f"{os.cpu_count()} cores {model}, {memory:.0f} GiB of memory, {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, psycopg {version('psycopg')}, PostgreSQL {rows[0]} on a unix socket, "
        "data in memory, fsync off while filling and on while measuring"
    )
    return {
        "machine": machine,
        "settings": settings,
        "partitions": rows[1],
        "peer_version": _peer_version() if filled["peer_events"] else None,
        **filled,
    }


if __name__ == "__main__":
    main()
