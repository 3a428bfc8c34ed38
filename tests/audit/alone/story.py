"""What happens in the depot on one day; prints, as JSON, what the ledger and the application's receivers say of it."""

import asyncio
import json
import os
import sys
from contextlib import contextmanager, suppress
from importlib import import_module
from io import StringIO
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.settings")
django.setup()

import redis  # noqa: E402
from depot.models import Article, Delivery  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.checks import run_checks  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import DatabaseError, connection, connections, transaction  # noqa: E402
from django.test import AsyncClient, Client  # noqa: E402

import audit  # noqa: E402
from audit.models import Event  # noqa: E402
from audit.signals import model_changed  # noqa: E402


def refuse(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("TELEMETRY_REDIS_URL is empty, and still there is a connection to Redis.")


redis.Redis.from_url = redis.Redis.__init__ = refuse
OWNER = "owner" if "owner" in connections else "default"
told: dict[str, Any] = {}
echoes: list[list[Any]] = []


def hear(sender: Any, change: Any, **kwargs: Any) -> None:
    echoes.append([change.action, change.object_id, change.changes if change.count == 1 else change.count])


@contextmanager
def chapter(name: str) -> Any:
    """Note the events and echoes of a block."""
    last = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
    echoes.clear()
    yield
    events = Event.objects.filter(id__gt=last).order_by("id")
    told[name] = {
        "echoes": list(echoes),
        "events": [
            {
                "action": event.action,
                "object_id": event.object_id,
                "changes": event.changes,
                "actor": [event.actor_type, event.actor_label],
                "origin": event.origin,
                "request_id": event.request_id,
                "reason": event.context.get("reason"),
            }
            for event in events
        ],
    }


@contextmanager
def unwritable() -> Any:
    """A block in which the ledger refuses everything."""
    with connections[OWNER].cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event ADD CONSTRAINT broken CHECK (false) NOT VALID")
    yield
    with connections[OWNER].cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DROP CONSTRAINT broken")


def command(name: str, *arguments: str) -> str:
    out = StringIO()
    with suppress(SystemExit):
        call_command(name, *arguments, stdout=out)
    return out.getvalue()


def attempt(statement: str) -> str:
    """Run a statement as the application and undo it; tell whether it was denied."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
            transaction.set_rollback(True)
    except DatabaseError as error:
        return "denied" if getattr(error.__cause__, "sqlstate", "") == "42501" else str(error)
    return "allowed"


def attempt_import(name: str) -> str:
    try:
        import_module(name)
    except ImportError as error:
        return str(error)
    return ""


ATTEMPTS = {
    "change events": "UPDATE audit_event SET action = 'forged'",
    "delete events": "DELETE FROM audit_event",
    "truncate the ledger": "TRUNCATE audit_event",
    "insert events": "INSERT INTO audit_event (action) VALUES ('forged')",
    "write around the ledger": "INSERT INTO audit_event_default (action) VALUES ('forged')",
    "read the key": "SELECT * FROM audit_key",
    "guess what is masked": "SELECT audit_mask_v1('guess')",
    "make partitions": "SELECT audit_ensure_partitions_v1(now(), 1)",
    "disable a trigger": "ALTER TABLE depot_article DISABLE TRIGGER audit_update",
}

model_changed.connect(hear)

with chapter("orm"):
    bolt = Article.objects.create(name="bolt", cost="1.50")
    bolt.stock = 7
    bolt.save()
    bolt.save()
    Delivery.objects.create(article=bolt, quantity=7)

with chapter("bulk"):
    Article.objects.bulk_create([Article(name=f"nut {number}") for number in range(3)])
    Article.objects.filter(name__startswith="nut").update(stock=5)
    Article.objects.filter(name__startswith="nut").delete()

with chapter("raw"), connection.cursor() as cursor:
    cursor.execute("UPDATE depot_article SET stock = stock + 1 WHERE name = %s", ["bolt"])

with chapter("rolled back"):
    try:
        with transaction.atomic():
            Article.objects.create(name="lost")
            raise KeyError
    except KeyError:
        pass

with chapter("recorded"), audit.reason("stocktaking"):
    audit.record("depot.stock.counted", target=bolt, changes={"found": 8})

clara = User.objects.create_user("clara", password="correct horse")
client = Client()
with chapter("login"):
    client.login(username="clara", password="correct horse")
with chapter("http"):
    response = client.post(f"/deliver/{bolt.pk}/", headers={"X-Audit-Reason": "came by lorry"})
    told["request_id"] = response.headers["X-Request-ID"]


async def go() -> None:
    other = AsyncClient()
    await other.alogin(username="clara", password="correct horse")
    await other.post(f"/deliver/async/{bolt.pk}/")


with chapter("async"):
    asyncio.run(go())

with chapter("unwritable"), unwritable():
    response = client.post(f"/deliver/{bolt.pk}/", headers={"Accept": "application/json"})
    told["refusal"] = [response.status_code, response.headers["X-Request-ID"], response.json()]

bolt.refresh_from_db()
told["stock"] = bolt.stock
told["status"] = json.loads(command("audit_status", "--format", "json"))
with transaction.atomic(using=OWNER), connections[OWNER].cursor() as cursor:
    cursor.execute("DROP TRIGGER audit_update ON depot_article")
    told["drifts"] = json.loads(command("audit_status", "--format", "json"))["problems"]
    transaction.set_rollback(True, using=OWNER)
told["checks"] = [str(message) for message in run_checks(databases=["default"])]
told["partitions"] = command("audit_partitions")
told["attempts"] = {name: attempt(statement) for name, statement in ATTEMPTS.items()}
told["files"] = [audit.__file__, import_module("telemetry").__file__]
told["imports"] = {name: attempt_import(name) for name in ("blog", "celery", "audit.api.urls")}
told["modules"] = sorted({name.partition(".")[0] for name in sys.modules})
sys.meta_path[:] = [one for one in sys.meta_path if type(one).__name__ != "Blocker"]
told["imports with the extra"] = {name: attempt_import(name) for name in ("audit.api.urls", "audit.urls")}
print(json.dumps(told, default=str))  # noqa: T201
