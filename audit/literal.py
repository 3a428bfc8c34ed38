"""The running context as the JSON that the ledger's functions read."""

from typing import Any

import orjson

from audit import conf
from telemetry.context import Actor, Context


def about(context: Context, actor: Actor, *, echo: bool) -> str:
    """Return `context` as JSON text for `audit.context`; `echo` asks the database to answer with what it wrote."""
    more: dict[str, Any] = {
        "address": context.client_address,
        "agent": context.user_agent,
        "token_id": context.token_id,
        "session": context.session_id_hash,
        "reason": context.reason,
        "parent_task_id": context.parent_task_id,
        "release": conf.release(),
        **context.extra,
    }
    fields: dict[str, Any] = {
        "actor_type": actor.type,
        "actor_id": actor.id,
        "actor_label": actor.label,
        "request_id": context.request_id,
        "trace_id": context.trace_id,
        "span_id": context.span_id,
        "task_id": context.task_id,
        "origin": context.origin,
        "operation": context.operation,
        "context": {key: value for key, value in more.items() if value},
    }
    if echo:
        fields["echo"] = 1
    # jsonb holds no NUL; nothing else in a string can break out of the JSON.
    return orjson.dumps({key: value for key, value in fields.items() if value}).decode().replace("\\u0000", "")
