"""django-auditlog's process: what can be asked of its LogEntry, by Django's own queries and its own indexes.

peer.py setup URL           make its tables, as the superuser that URL names
peer.py measure URL         read questions from standard input, and write what they took
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2] / "platform"), str(HERE.parents[2]), str(HERE.parent)]

import dj_database_url
import django
import psycopg
from audit_queries_data.timing import Call, plans_of, timed
from django.conf import settings
from django.db import OperationalError

PAGE_SIZE = 50
DEEP_PAGE = 1_000


def configure(url: str) -> None:
    """Set Django up with the library alone."""
    database = {**dj_database_url.parse(url), "CONN_MAX_AGE": None}
    settings.configure(
        SECRET_KEY="benchmark",
        DATABASES={"default": database},
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "auditlog"],
    )
    django.setup()


def measure(asked: dict[str, Any], explainer: psycopg.Connection) -> list[dict[str, Any]]:
    """Return what each question took, and by which indexes it was answered."""
    from auditlog.models import LogEntry
    from django.contrib.contenttypes.models import ContentType
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    types = {f"{one.app_label}.{one.model}": one.pk for one in ContentType.objects.all()}
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '10s'")
    entries = LogEntry.objects.all()
    actions = {"created": 0, "updated": 1, "deleted": 2}
    conditions: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
        "object": lambda one: {"content_type_id": types.get(one["object_type"]), "object_pk": one["object_id"]},
        "actor": lambda one: {"actor_id": int(one["actor"])},
        "action": lambda one: {
            "content_type_id": types.get(one["action"].rpartition(".")[0]),
            "action": actions.get(one["action"].rpartition(".")[2], 3),
        },
        "request": lambda one: {"cid": one["request"]},
        "time alone": lambda one: {},
    }
    found = []
    for case in asked["cases"]:
        searches = []
        for given, since, until in case["questions"]:
            condition = conditions[case["name"]](given)
            if since:
                condition |= {
                    "timestamp__gte": datetime.fromisoformat(since),
                    "timestamp__lt": datetime.fromisoformat(until),
                }
            searches.append(entries.filter(**condition))
        times = {}
        ways: list[Call] = []
        for column, at, order in (
            ("first newest", 0, "-timestamp"),
            ("first oldest", 0, "timestamp"),
            ("deep newest", (DEEP_PAGE - 1) * PAGE_SIZE, "-timestamp"),
            ("deep oldest", (DEEP_PAGE - 1) * PAGE_SIZE, "timestamp"),
        ):
            if at and case["name"] != "time alone":
                continue
            calls: list[Call] = [partial(_fetch, one.order_by(order)[at : at + PAGE_SIZE]) for one in searches]
            times[column] = timed(calls, seconds=asked["seconds"], too_long=OperationalError)
            ways += calls[:1]
        counts: list[Call] = [one.count for one in searches]
        times["total"] = timed(counts, seconds=asked["seconds"], too_long=OperationalError)
        with CaptureQueriesContext(connection) as captured:
            for call in [*ways, *counts[:1]]:
                with suppress(OperationalError):
                    call()
        plans = plans_of([one["sql"] for one in captured.captured_queries], explainer)
        found.append(
            {
                "name": case["name"],
                "values": case["values"],
                "has_range": case["has_range"],
                "times": {column: one.as_dict() for column, one in times.items()},
                "ways": plans.ways,
                "large_scans": plans.large_scans,
            }
        )
        print(
            f"auditlog, {case['name']} {case['values']}: {times['first newest'].p95:,.1f} ms",
            file=sys.stderr,
            flush=True,
        )
    return found


def _fetch(entries: Any) -> list[Any]:
    return list(entries.all())  # anew: a queryset keeps what it found


def main() -> None:
    step, url = sys.argv[1:]
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    configure(url)
    if step == "setup":
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        return
    with psycopg.connect(url, autocommit=True) as explainer:
        print(json.dumps(measure(json.load(sys.stdin), explainer)))


if __name__ == "__main__":
    main()
