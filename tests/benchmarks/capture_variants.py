"""What parts of the capture cost in the server, for whoever works on `audit/sql/capture_function.sql`.

The same statements on like tables, each with another trigger: none, an empty one, the capture as it is, and any other
template given as `--variant NAME=FILE` (with the placeholders of `capture_function.sql`). Quoted is the server
process' own processor time for a statement, which a busy machine hardly blurs (Linux; elsewhere the latency), as the
median over the rounds, and its ratio to `none`. `one, stale` is `one` after a change of all rows has had the plans made
anew, as happens in any long session after a vacuum.

    python tests/benchmarks/capture_variants.py --rounds 9 --variant mine=mine.sql
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
# Our own folder holds an audit.py, which would hide the package.
sys.path[:] = [str(PROJECT / "platform"), str(PROJECT), str(HERE / "audit_peers"), *sys.path[1:]]

import psycopg
from circumstances import request_maker
from worker import bodies, configure

from audit import capture
from audit.literal import about
from config.embedded import addresses, postgres
from config.processes import stop_all

ROWS = 5_000
WARMING = 10  # statements of one row that aren't measured, so that a session has its plans
# Statements by name, with how many of them make a round; {table} and {key} are filled in.
STATEMENTS = {
    "one": ("UPDATE {table} SET title = 'Title {key}', views = views + 1 WHERE id = {key}", 100),
    "insert": (
        "INSERT INTO {table} (title, slug, status, body, views, created_at, updated_at) "
        "SELECT title, slug, status, body, views, now(), now() FROM {table} WHERE id = {key} RETURNING id",
        100,
    ),
    "delete": ("DELETE FROM {table} WHERE id = {key}", 100),
    "all": ("UPDATE {table} SET views = views + 1, status = 's{key}' WHERE id <= 5000", 2),
    "one, stale": ("UPDATE {table} SET title = 'Stale {key}', views = views + 1 WHERE id = {key}", 100),
}
EMPTY = "CREATE OR REPLACE FUNCTION public.{} () RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"


def functions_of(table: capture.Table, variant: str, template: Path | None) -> dict[str, str]:
    """Return the capture functions of a variant, by event."""
    if variant == "empty":
        return {
            event: EMPTY.format(capture.quoted(capture.function_name(table.name, event))) for event in capture.EVENTS
        }
    if template is None:
        return capture.functions(table)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(capture._SQL / "capture_rows.sql", folder)
        (Path(folder) / "capture_function.sql").write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
        with mock.patch.object(capture, "_SQL", Path(folder)):
            return capture.functions(table)


def make_table(superuser: psycopg.Connection, name: str, variant: str, template: Path | None) -> None:
    """Make a table of articles with the variant's triggers."""
    from django.db import connections

    superuser.execute(f"CREATE TABLE {name} (LIKE library_article INCLUDING ALL)")
    superuser.execute(f"ALTER TABLE {name} OWNER TO {addresses.OWNER_ROLE}")
    if variant != "none":
        columns, next_column = capture.read_columns(connections["owner"])(name)
        table = capture.Table(name, "library.article", columns, ("id",), next_column)
        with connections["owner"].cursor() as cursor:
            for event, function in functions_of(table, variant, template).items():
                cursor.execute(function)
                cursor.execute(capture.triggers(table)[event])
    superuser.execute("SET session_replication_role = replica")
    with superuser.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {name} (title, slug, status, body, views, created_at, updated_at) "
            "VALUES ('Article', 'article', 'draft', %s, 1, now(), now())",
            [[body] for body in bodies(50) * (ROWS // 50)],
        )
    superuser.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {addresses.APPLICATION_ROLE}")


def meter(connection: psycopg.Connection) -> Callable[[], float]:
    """Return a function that gives the processor seconds of the connection's server process so far."""
    usage = Path(f"/proc/{connection.info.backend_pid}/schedstat")
    if usage.exists():
        return lambda: int(usage.read_text().split()[0]) / 1e9
    return time.perf_counter


def measure(
    application_url: str, superuser: psycopg.Connection, variants: list[str], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Return the microseconds of a statement, by its name and variant, a figure for each round."""
    from types import SimpleNamespace

    taken: dict[str, dict[str, list[float]]] = {name: {one: [] for one in variants} for name in STATEMENTS}
    context = request_maker("ledger", SimpleNamespace(pk=1, username="alice"))()
    setting = f"SET LOCAL audit.context = '{about(context, context.actor, echo=True)}';"
    for number in range(rounds):
        # New sessions, since a session keeps its plans.
        connections = {
            one: psycopg.connect(application_url, autocommit=True, cursor_factory=psycopg.ClientCursor)
            for one in variants
        }
        for name, (statement, times) in STATEMENTS.items():
            for one, connection in connections.items():
                superuser.execute(f"VACUUM article_{one}")
                first = 1 + (WARMING + times) * number + (ROWS if name == "delete" else 0)
                messages = [
                    ("" if one == "none" else setting) + statement.format(table=f"article_{one}", key=key)
                    for key in range(first, first + WARMING + times)
                ]
                if times < WARMING:
                    del messages[:WARMING]
                for message in messages[:-times]:
                    connection.execute(message)
                used = meter(connection)
                before = used()
                for message in messages[-times:]:
                    connection.execute(message)
                taken[name][one].append((used() - before) / times * 1e6)
        for connection in connections.values():
            connection.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=FILE")
    options = parser.parse_args()
    templates: dict[str, Path | None] = {"none": None, "empty": None, "now": None}
    templates |= {name: Path(file) for name, _, file in (one.partition("=") for one in options.variant)}
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        local_dir = Path(folder)
        with mock.patch.dict(postgres._SETTINGS, {"autovacuum": "off", "checkpoint_timeout": "1d"}):
            server = postgres.start(local_dir, is_durable=False)
        try:
            urls = [
                addresses.database_url(local_dir, role)
                for role in (addresses.SUPERUSER, addresses.OWNER_ROLE, addresses.APPLICATION_ROLE)
            ]
            configure("ledger", *urls[1:])
            from django.core.management import call_command

            call_command("migrate", database="owner", verbosity=0, run_syncdb=True)
            with psycopg.connect(urls[0], autocommit=True) as superuser:
                for name, template in templates.items():
                    superuser.execute("RESET session_replication_role")
                    make_table(superuser, f"article_{name}", name, template)
                taken = measure(urls[2], superuser, list(templates), options.rounds)
        finally:
            stop_all([server])
    print("| µs in the server | " + " | ".join(templates) + " |\n" + "|---" * (len(templates) + 1) + "|")
    for statement, by_variant in taken.items():
        base = statistics.median(by_variant["none"])
        cells = [f"{(us := statistics.median(values)):,.0f} ({us / base:.2f})" for values in by_variant.values()]
        print(f"| {statement} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
