"""What the ledger has of this app's models, in a form that tests compare."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client

from accounts.models import User
from audit.models import Event

News = Callable[[], list[tuple[str, str, Any]]]


def new_events() -> News:
    """Return a function that gives the events since it was last called: action without app, id, changes."""
    latest = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0

    def read() -> list[tuple[str, str, Any]]:
        nonlocal latest
        found = list(Event.objects.filter(id__gt=latest, object_type__startswith="everything.").order_by("id"))
        latest = found[-1].pk if found else latest
        return [(event.action.removeprefix("everything."), event.object_id, event.changes) for event in found]

    return read


def newest() -> Event:
    return Event.objects.filter(object_type__startswith="everything.").latest("id")


def thing(name: str, **values: Any) -> dict[str, Any]:
    """A row of Thing as the ledger holds it."""
    return {"name": name, "number": 0, "note": "", "parent_id": None, **values}


def with_types(value: Any) -> Any:
    """The value with the type of each part, since `1 == True == Decimal(1)`."""
    if isinstance(value, dict):
        return {key: with_types(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_types(inner) for inner in value]
    return type(value), value


def same(held: Any, other: Any) -> bool:
    """Equal and of one type; NaN is itself."""
    return type(held) is type(other) and (held == other or (held != held and other != other))


def execute(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def log_in_auditor(client: Client) -> None:
    """Log in somebody who may read the ledger."""
    user = User.objects.create(username="auditor")
    user.user_permissions.add(Permission.objects.get(codename="view_event", content_type__app_label="audit"))
    client.force_login(user)
