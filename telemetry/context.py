"""What every event, span, log line and message says of where it came from.

One frozen `Context` lives in a ContextVar. It knows nothing of Django, Celery or Channels: their hooks make one
from what they carry, and everything else reads `current()`.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from random import getrandbits
from typing import Any, Literal

Origin = Literal["http", "websocket", "task", "beat", "command", "shell", "unknown"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `type` is `user`, `token`, `system` or `anonymous`; `id` and `label` are empty where unknown."""

    type: str = "anonymous"
    id: str = ""
    label: str = ""


ANONYMOUS = Actor()
SYSTEM = Actor(type="system")


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a piece of work.

    `actor_source` gives the actor, or is the actor: API authentication runs after the middleware, so the HTTP
    hook passes a function and the actor is read as late as possible, through the property `actor`.
    """

    request_id: str = ""
    origin: Origin = "unknown"
    operation: str = ""  # route, task or command name: low cardinality
    actor_source: Actor | Callable[[], Actor] = ANONYMOUS
    # The span of the whole piece of work, in hexadecimal; empty where telemetry is off.
    trace_id: str = ""
    span_id: str = ""
    client_address: str = ""
    user_agent: str = ""
    token_id: str = ""
    task_id: str = ""
    parent_task_id: str = ""
    session_id_hash: str = ""
    reason: str = ""
    # Anything else that the ledger's `context` column is to keep; small.
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        """Who acts, as far as is known at this moment."""
        source = self.actor_source
        return source if isinstance(source, Actor) else source()


EMPTY = Context()
_context: ContextVar[Context] = ContextVar("telemetry_context", default=EMPTY)


def current() -> Context:
    """Return the context of the running thread or coroutine; an empty one where no hook has set any."""
    return _context.get()


@contextmanager
def use(context: Context) -> Iterator[Context]:
    """Run a block within `context`."""
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


@contextmanager
def bind(**changes: Any) -> Iterator[Context]:
    """Run a block within the current context with `changes` to its fields."""
    with use(replace(_context.get(), **changes)) as context:
        yield context


def activate(context: Context) -> None:
    """Set the context for good: for hooks that have a beginning and an end, but no block."""
    _context.set(context)


def new_request_id() -> str:
    """Return a new request id: a UUIDv7 in hexadecimal, so that ids sort by time and index cheaply (RFC 9562)."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | getrandbits(80)
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return f"{value:032x}"


def is_request_id(text: str) -> bool:
    """Whether `text` may be taken over as a request id: 8 to 64 letters, digits, `_` and `-`."""
    return _REQUEST_ID.fullmatch(text) is not None


def to_carrier(context: Context) -> dict[str, str]:
    """Return `context` as the flat strings that go along with a task or a message; empty fields are left out.

    Where no hook has set a context there is nobody to name, not even a stranger: what follows is the system's doing.
    """
    actor = context.actor
    if context.origin == "unknown" and actor == ANONYMOUS:
        actor = Actor(type="")
    fields = {
        "request_id": context.request_id,
        "actor_type": actor.type,
        "actor_id": actor.id,
        "actor_label": actor.label,
        "client_address": context.client_address,
        "token_id": context.token_id,
        "parent_task_id": context.task_id,
        "reason": context.reason,
        "cause": context.operation,
    }
    return {key: value for key, value in fields.items() if value}


def from_carrier(carrier: Mapping[str, Any], *, origin: Origin, operation: str, task_id: str = "") -> Context:
    """Return the context that `to_carrier` wrote down elsewhere; what is missing, wrong or too long is dropped."""

    def text(key: str) -> str:
        value = carrier.get(key, "")
        return value[:_LONGEST_TEXT] if isinstance(value, str) else ""

    request_id = text("request_id")
    cause = text("cause")
    return Context(
        request_id=request_id if is_request_id(request_id) else new_request_id(),
        origin=origin,
        operation=operation,
        actor_source=Actor(text("actor_type") or SYSTEM.type, text("actor_id"), text("actor_label")),
        client_address=text("client_address"),
        token_id=text("token_id"),
        task_id=task_id,
        parent_task_id=text("parent_task_id"),
        reason=text("reason"),
        extra={"cause": cause} if cause else {},
    )
