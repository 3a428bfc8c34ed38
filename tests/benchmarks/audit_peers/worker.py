"""One library's process: sets Django up with it, and does the work that it's told, a line each."""

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[3]), str(Path(__file__).resolve().parent)]

import dj_database_url
import django
from django.conf import settings

APPS = {
    "bare": [],
    "ledger": ["telemetry", "audit"],
    "pghistory": ["pgtrigger", "pghistory"],
    "simple_history": ["simple_history"],
    "auditlog": ["auditlog"],
    "reversion": ["reversion"],
    "easyaudit": ["easyaudit"],
}
UNITS = {"save": 200, "create": 200, "delete": 60, "update": 1, "raw": 200}
ROWS = 5_000


def configure(library: str, url: str) -> None:
    """Set Django up with the one library and the same two models."""
    database = dict(dj_database_url.parse(url))
    database["CONN_MAX_AGE"] = None
    settings.configure(
        SECRET_KEY="benchmark",
        DATABASES={"default": database},
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            *APPS[library],
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "library",
        ],
        MIGRATION_MODULES={"library": None},
        BENCHMARK_LIBRARY=library,
        LOGGING_CONFIG=None,
        TELEMETRY_LOG_LEVEL="WARNING",
        TELEMETRY_SAMPLE_RATIO=0.0,
        DJANGO_EASY_AUDIT_WATCH_REQUEST_EVENTS=False,
        DJANGO_EASY_AUDIT_WATCH_AUTH_EVENTS=False,
        DJANGO_EASY_AUDIT_REGISTERED_CLASSES=["library.article", "library.remark"],
    )
    django.setup()


class Bench:
    """The work, the same for all."""

    def __init__(self, library: str) -> None:
        from library.models import Article, Remark

        self.library = library
        self.articles, self.remarks = Article, Remark
        self.count = 0

    def setup(self) -> None:
        from django.core.management import call_command

        call_command("migrate", verbosity=0, run_syncdb=True)
        body = "word " * 400
        self.articles.objects.bulk_create(
            [self.articles(title=f"Article {n}", slug=f"a-{n}", body=body, views=n) for n in range(ROWS)]
        )
        self.keys = list(self.articles.objects.values_list("pk", flat=True))

    def run(self, work: str) -> float:
        """Return the seconds that one unit of `work` took."""
        prepared = [self.prepare_delete() for _ in range(UNITS["delete"])] if work == "delete" else []
        act = getattr(self, work)
        begun = time.perf_counter()
        for number in range(UNITS[work]):
            self.count += 1
            if work == "delete":
                self.delete(prepared[number])
            else:
                act()
        taken = (time.perf_counter() - begun) / UNITS[work]
        self.tidy(work)
        return taken

    def in_context(self, act: Any) -> None:
        """Do `act` in the library's own way of knowing who does it, as in a request."""
        if self.library == "reversion":
            import reversion

            with reversion.create_revision():
                act()
        else:
            act()

    def save(self) -> None:
        def act() -> None:
            article = self.articles.objects.get(pk=self.keys[self.count % ROWS])
            article.title, article.views = f"Title {self.count}", self.count
            article.save()

        self.in_context(act)

    def create(self) -> None:
        self.in_context(
            lambda: self.articles.objects.create(
                title=f"New {self.count}", slug=f"n-{self.count}", body="word " * 400, views=1
            )
        )

    def prepare_delete(self) -> Any:
        article = self.articles.objects.create(title="Gone", slug="gone", body="word " * 400, views=1)
        self.remarks.objects.bulk_create([self.remarks(article=article, text=f"remark {n}") for n in range(3)])
        return article

    def delete(self, article: Any) -> None:
        self.in_context(article.delete)

    def update(self) -> None:
        self.in_context(lambda: self.articles.objects.filter(pk__in=self.keys).update(views=self.count, status="x"))

    def raw(self) -> None:
        from django.db import connection

        def act() -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE library_article SET views = %s WHERE id = %s", [self.count, self.keys[self.count % ROWS]]
                )

        self.in_context(act)

    def tidy(self, work: str) -> None:
        """Keep the tables as large as they were, and dead rows from piling up; not measured."""
        from django.db import connection

        with connection.cursor() as cursor:
            if work == "create":
                cursor.execute("DELETE FROM library_article WHERE slug LIKE 'n-%%'", [])
            if work in ("create", "update"):
                cursor.execute("VACUUM ANALYZE library_article")


def main() -> None:
    library, url = sys.argv[1:3]
    configure(library, url)
    bench = Bench(library)
    if library == "ledger":
        from telemetry.context import Actor, Context, activate, new_request_id

        activate(
            Context(
                request_id=new_request_id(),
                origin="http",
                operation="POST /articles/<slug>/",
                actor_source=Actor("user", "42", "alice"),
                client_address="203.0.113.9",
                user_agent="Mozilla/5.0",
            )
        )
    for line in sys.stdin:
        work = line.strip()
        taken = 0.0
        if work == "setup":
            bench.setup()
        else:
            taken = bench.run(work)
        sys.stdout.write(json.dumps(taken) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
