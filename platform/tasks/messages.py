"""The two forms of a task's arguments: one to publish it again, one for people to read."""

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from kombu.utils import json as kombu_json

from telemetry.context import new_request_id
from telemetry.redaction import redact

# Celery's JSON, which knows dates, UUIDs and decimals.
_encode: Callable[[Any], str] = kombu_json.dumps
_decode: Callable[[str], Any] = kombu_json.loads
_LONGEST_MESSAGE_CHARACTERS = 1_000_000
_LONGEST_TEXT = 200
_MOST_ITEMS = 20
_DEEPEST = 4
# These are objects of the running process; publishing later uses its own.
_PROCESS_OPTIONS = frozenset({"producer", "publisher", "connection", "router", "add_to_parent", "result_cls"})


def freeze(args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return a task's message as JSON, as Celery's JSON serializer would write it.

    Raises TypeError (or kombu's EncodeError) where an argument has no JSON form, ValueError where it's too long.
    """
    kept = {key: value for key, value in options.items() if key not in _PROCESS_OPTIONS and value is not None}
    if "queue" in kept:
        kept["queue"] = queue_name(kept["queue"])
    message = _encode({"args": list(args), "kwargs": dict(kwargs), "options": kept})
    if len(message) > _LONGEST_MESSAGE_CHARACTERS:
        raise ValueError(
            f"The task's arguments have {len(message):,} characters as JSON; at most {_LONGEST_MESSAGE_CHARACTERS:,} "
            "may be sent. Store them, and send where they are."
        )
    return message


def key_of(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return what tells a task with these arguments from others."""
    arguments = _encode({"args": list(args), "kwargs": dict(sorted(kwargs.items()))})
    return f"{name[:120]}:{hashlib.sha256(arguments.encode()).hexdigest()[:32]}"


def thaw(message: str) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """Return the arguments, keyword arguments and options that `freeze` wrote down."""
    content = _decode(message)
    return content["args"], content["kwargs"], content["options"]


def queue_name(queue: Any) -> str:
    """Return the name of a queue that is given as a name or as kombu's object."""
    return queue if isinstance(queue, str) else str(getattr(queue, "name", queue))


def with_fixed_times(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return `options` with a relative `countdown` or `expires` as a point in time, so that waiting counts."""
    fixed = dict(options)
    now = timezone.now()
    countdown = fixed.pop("countdown", None)
    if countdown is not None and fixed.get("eta") is None:
        fixed["eta"] = now + timedelta(seconds=countdown)
    expires = fixed.get("expires")
    if isinstance(expires, int | float):
        fixed["expires"] = now + timedelta(seconds=expires)
    return fixed


def with_fixed_links(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return `options` with an id for each task that follows this one's success.

    It's sent before the success is written down, and so once more after a crash in between: as the same task then.
    """
    links = links_of(options, "link")
    return {**options, "link": [_with_id(link) for link in links]} if links else dict(options)


def links_of(options: Mapping[str, Any], name: str) -> list[Any]:
    """Return the signatures that an option holds: a list of them, or just one."""
    links = options.get(name)
    if not links:
        return []
    return list(links) if isinstance(links, list | tuple) else [links]


def as_time(value: Any) -> datetime | None:
    """Return an `eta` as an aware time: Celery takes it as a datetime or as ISO 8601 text."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return None
    return value if timezone.is_aware(value) else timezone.make_aware(value)


def summarise(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for people to read: secrets masked as in logs, long ones cut."""
    short = {"args": _summary(list(args), _DEEPEST), "kwargs": _summary(dict(kwargs), _DEEPEST)}
    redacted: dict[str, Any] = redact(short, depth=_DEEPEST + 2)
    return redacted


def _with_id(link: Any) -> Any:
    """Return a copy of a signature with an id; what is made of several tasks is left as it is."""
    if link.get("subtask_type"):
        return link
    return {**link, "options": {"task_id": str(uuid.UUID(new_request_id())), **(link.get("options") or {})}}


def _summary(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, Mapping):
        items = list(value.items())[:_MOST_ITEMS]
        return {storable(str(key))[:_LONGEST_TEXT]: _summary(item, depth - 1) for key, item in items}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_summary(item, depth - 1) for item in list(value)[:_MOST_ITEMS]]
    text = storable(str(value))
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def storable(text: str) -> str:
    """Return `text` without what PostgreSQL can't store: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
