"""Events that are no rows, and reasons."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit import echo, values
from audit.literal import about
from telemetry import context as telemetry_context
from telemetry.redaction import hide_in

Outcome = Literal["success", "denied", "error"]
Target = models.Model | tuple[str, str] | None


def record(
    action: str,
    *,
    target: Target = None,
    outcome: Outcome = "success",
    changes: dict[str, Any] | None = None,
    reason: str = "",
    using: str = "default",
) -> int:
    """Write an event to the ledger and return its id.

    A success belongs to the running transaction and is undone with it. A denial or an error is written at once on a
    connection of its own where a transaction is open, since what it tells of usually rolls back.

    Args:
        action: dotted and of low cardinality, such as `accounts.user.logged_in`; never renamed.
        target: the object concerned, as a model instance or as `(type, id)`.
        changes: details, JSON-able, without secrets.
        reason: why, in the actor's words; the context's reason where empty.

    Raises:
        django.db.Error: the ledger can't be written; the caller's change must not happen either.
    """
    connection = connections[using]
    object_type, object_id = _identify(target)
    context = telemetry_context.current()
    actor = context.actor
    if reason:
        context = replace(context, reason=reason)
    kept = hide_in(changes) if changes is not None else None  # what the ledger and the echo hold alike
    arguments = [
        action,
        outcome,
        object_type,
        object_id,
        values.jsonb(kept) if kept is not None else None,
        about(context, actor, echo=False),
    ]
    if outcome != "success" and connection.in_atomic_block:
        event_id = _insert_apart(connection, arguments)
    else:
        event_id = _insert(connection, arguments)
    change = echo.Change(
        action, object_type, object_id, kept or {}, event_ids=(event_id,), outcome=outcome, using=using
    )
    if outcome == "success":
        transaction.on_commit(partial(echo.tell, change), using=using, robust=True)
    else:
        echo.tell(change)
    return event_id


@contextmanager
def reason(text: str) -> Iterator[None]:
    """Say why, for every event within the block."""
    with telemetry_context.bind(reason=text[:500]):
        yield


def _identify(target: Target) -> tuple[str, str]:
    if target is None:
        return "", ""
    if isinstance(target, models.Model):
        return target._meta.label_lower, values.object_id(target)
    return target


def _insert(connection: BaseDatabaseWrapper, arguments: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.audit_record_v1(%s, %s, %s, %s, %s::jsonb, %s)", arguments)
        return int(cursor.fetchone()[0])


def _insert_apart(connection: BaseDatabaseWrapper, arguments: list[Any]) -> int:
    apart = connection.copy()
    try:
        return _insert(apart, arguments)
    finally:
        apart.close()
