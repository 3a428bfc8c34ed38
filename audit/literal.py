"""The running context as the text that the ledger's functions read.

Eleven fields apart by unit separators (U+001F): PostgreSQL splits these in half the time that it parses JSON. The
first says whether the database is to answer with what it wrote, the last is JSON.
"""

from typing import Any

from audit import conf, values
from telemetry.context import Actor, Context
from telemetry.redaction import hide

SEPARATOR = "\x1f"
_UNSAFE = str.maketrans("", "", "\x00" + SEPARATOR)


def about(context: Context, actor: Actor, *, echo: bool) -> str:
    """Return `context` as text for `audit.context`; with `echo` the database answers with what it wrote."""
    more: dict[str, Any] = {
        "address": context.client_address,
        "agent": context.user_agent,
        "token_id": context.token_id,
        "session": context.session_id_hash,
        "reason": hide(context.reason),
        "parent_task_id": context.parent_task_id,
        "release": conf.release(),
        **context.extra,
    }
    fields = [
        "echo" if echo else "silent",
        actor.type,
        actor.id,
        actor.label,
        context.request_id,
        context.trace_id,
        context.span_id,
        context.task_id,
        context.origin,
        context.operation,
    ]
    text = SEPARATOR.join(fields)
    if not text.isascii() or "\x00" in text or text.count(SEPARATOR) >= len(fields):
        text = SEPARATOR.join(map(_safe, fields))
    # Within JSON a separator is escaped by itself.
    return text + SEPARATOR + values.jsonb({key: value for key, value in more.items() if value})


def _safe(field: str) -> str:
    """Return `field` without what PostgreSQL holds no text of, and without separators."""
    if not field.isascii():
        field = field.encode(errors="replace").decode()  # half a surrogate, as file names and arguments may hold
    return field.translate(_UNSAFE)
