"""One library's process: sets Django up with it, and does the work that it's told, a line of JSON each.

The work runs as the application's role, as in production; setting up, counting and tidying go by a superuser's
connection with triggers off, so that they leave no event behind.
"""

import gc
import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE)]

import dj_database_url
import django
import psycopg
from circumstances import entrance, request_maker
from django.conf import settings
from evidence import count, expected

APPS = {
    "bare": [],
    "bare_again": [],
    "ledger": ["telemetry", "audit"],
    "ledger_telemetry": ["telemetry", "audit"],
    "pghistory": ["pgtrigger", "pghistory"],
    "simple_history": ["simple_history"],
    "auditlog": ["auditlog"],
    "reversion": ["reversion"],
    "easyaudit": ["easyaudit"],
}
ROWS = 5_000
BODY_CHARACTERS = 1_000  # a row stays below what PostgreSQL moves out of line, or compresses


def configure(library: str, owner_url: str, application_url: str) -> None:
    """Set Django up with the one library and the same two models."""
    urls = {"default": application_url, "owner": owner_url}
    databases = {alias: dict(dj_database_url.parse(url)) for alias, url in urls.items()}
    for database in databases.values():
        database["CONN_MAX_AGE"] = None
    is_full = library == "ledger_telemetry"
    settings.configure(
        SECRET_KEY="benchmark",
        DATABASES=databases,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            *APPS[library],
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",  # easy-audit imports it; all have the same
            "library",
        ],
        MIGRATION_MODULES={"library": None},
        BENCHMARK_LIBRARY=library,
        LOGGING_CONFIG=None,
        AUDIT_APPLICATION_ROLE=databases["default"]["USER"],
        RELEASE="1.0",
        TELEMETRY_LOG_LEVEL="INFO" if is_full else "WARNING",
        TELEMETRY_PROCESS="web",
        TELEMETRY_SAMPLE_RATIO=0.0,
        DJANGO_EASY_AUDIT_WATCH_REQUEST_EVENTS=False,
        DJANGO_EASY_AUDIT_WATCH_AUTH_EVENTS=False,
        DJANGO_EASY_AUDIT_REGISTERED_CLASSES=["library.article", "library.remark"],
        DJANGO_EASY_AUDIT_PROPAGATE_EXCEPTIONS=True,
    )
    django.setup()
    if library == "ledger":
        # The ledger alone, as the peers come alone: without telemetry's timing of each statement.
        from django.db.backends.signals import connection_created

        connection_created.disconnect(dispatch_uid="telemetry.database")
    if not is_full:
        logging.getLogger().setLevel(logging.WARNING)


def bodies(number: int) -> list[str]:
    """Return texts that hardly compress, the same ones for every library."""
    source = random.Random(7)
    words = ["".join(source.choices("etaoinshrdlucmfwyp", k=source.randint(2, 9))) for _ in range(2_000)]
    return [" ".join(source.choices(words, k=BODY_CHARACTERS // 5))[:BODY_CHARACTERS] for _ in range(number)]


class Bench:
    """The work, the same for all."""

    def __init__(self, library: str, superuser: psycopg.Connection) -> None:
        from library.models import Article, Remark

        self.library = library
        self.superuser = superuser
        self.articles, self.remarks = Article.objects, Remark.objects
        self.operations = 0
        self.bodies = bodies(50)

    def setup(self) -> None:
        """Make the tables, the user who acts, and the rows to work on."""
        from django.contrib.auth.models import User
        from django.core.management import call_command

        # Twice: tables without migrations come first, and those of the libraries refer to the user's.
        call_command("migrate", database="owner", verbosity=0)
        call_command("migrate", database="owner", verbosity=0, run_syncdb=True)
        if self.library == "pghistory":
            import pgtrigger

            pgtrigger.install(database="owner")
        role = settings.DATABASES["default"]["USER"]
        for (table,) in self.superuser.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'audit\\_%'"
        ).fetchall():
            self.superuser.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO {role}')
        if not self.library.startswith("ledger"):
            self.superuser.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
        user = User.objects.db_manager("owner").create_user("alice", "alice@example.com")
        self.user = User.objects.get(pk=user.pk)
        with self.superuser.transaction():
            for number in range(ROWS):
                self._insert_article(f"Article {number}", f"a-{number}")
        self.keys = [key for (key,) in self.superuser.execute("SELECT id FROM library_article ORDER BY id")]
        self.superuser.execute("VACUUM ANALYZE")
        self.make_request = request_maker(self.library, self.user)
        self.within = entrance(self.library)
        gc.collect()
        gc.freeze()

    def begin(self, work: str) -> None:
        """Remember what there was before a round of `work`, and make sure of a connection."""
        from django.db import connection

        connection.ensure_connection()
        self.events_before = count(self.superuser, self.library, self.user.pk)
        self.operations_before = self.operations

    def run(self, work: str, units: int) -> tuple[list[float], float]:
        """Return the seconds of each of `units` operations, and the processor seconds of one, on both sides."""
        prepared = [self._prepare(work) for _ in range(units)]
        act, within, clock = getattr(self, work), self.within, time.perf_counter
        taken = []
        processor_before = self._processor_seconds()
        for request, subject in prepared:
            self.operations += 1
            begun = clock()
            with within(request):
                act(subject)
            taken.append(clock() - begun)
        processor = (self._processor_seconds() - processor_before) / units
        if work == "update":
            self.superuser.execute("VACUUM library_article")
        return taken, processor

    def end(self, work: str) -> int:
        """Hold that every operation of the round left its events, then make the tables as they were."""
        operations = self.operations - self.operations_before
        found = count(self.superuser, self.library, self.user.pk) - self.events_before
        wanted = expected(self.library, work) * operations
        if found != wanted:
            raise SystemExit(f"{self.library} wrote {found:,} events for {operations} times {work}, not {wanted:,}.")
        self.superuser.execute("DELETE FROM library_article WHERE slug LIKE 'n-%'")
        self.superuser.execute("VACUUM ANALYZE")
        return found // operations

    def statements(self, work: str) -> int:
        """Return how many statements one operation sends, with BEGIN, COMMIT and savepoints."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        request, subject = self._prepare(work)
        self.operations += 1
        with CaptureQueriesContext(connection) as captured, self.within(request):
            getattr(self, work)(subject)
        return len(captured)

    def _processor_seconds(self) -> float:
        """What this process and its server process have used so far; 0 where the system doesn't tell."""
        from django.db import connection

        server = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
        return time.process_time() + int(server.read_text().split()[0]) / 1e9 if server.exists() else 0.0

    # --- the operations ---

    def save(self, key: int) -> None:
        article = self.articles.get(pk=key)
        article.title, article.views = f"Title {self.operations}", self.operations
        article.save()

    def create(self, body: str) -> None:
        self.articles.create(title=f"New {self.operations}", slug=f"n-{self.operations}", body=body, views=1)

    def delete(self, article: Any) -> None:
        article.delete()

    def update(self, subject: None) -> None:
        self.articles.filter(slug__startswith="a-").update(views=self.operations, status=f"s{self.operations}")

    def raw(self, key: int) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("UPDATE library_article SET views = %s WHERE id = %s", [self.operations + 10**6, key])

    def _prepare(self, work: str) -> tuple[Any, Any]:
        """Return an operation's request and what it works on."""
        request = self.make_request()
        number = self.operations + random.randrange(ROWS)
        if work == "create":
            return request, self.bodies[number % len(self.bodies)]
        if work == "delete":
            with self.superuser.transaction():
                key = self._insert_article("Gone", "gone")
                for remark in range(3):
                    self.superuser.execute(
                        "INSERT INTO library_remark (article_id, text, created_at) VALUES (%s, %s, now())",
                        [key, f"remark {remark}"],
                    )
            return request, self.articles.get(pk=key)
        return request, self.keys[number % ROWS]

    def _insert_article(self, title: str, slug: str) -> int:
        row = self.superuser.execute(
            "INSERT INTO library_article (title, slug, status, body, views, created_at, updated_at) "
            "VALUES (%s, %s, 'draft', %s, 1, now(), now()) RETURNING id",
            [title, slug, random.choice(self.bodies)],
        ).fetchone()
        assert row
        return int(row[0])


def main() -> None:
    library, superuser_url, owner_url, application_url = sys.argv[1:]
    # What a library prints goes to standard error, away from the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    random.seed(7)
    configure(library, owner_url, application_url)
    with psycopg.connect(superuser_url, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        bench = Bench(library, superuser)
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            method: Callable[..., Any] = getattr(bench, name)
            answers.write(json.dumps(method(*arguments)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
