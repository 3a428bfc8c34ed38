"""Spans with the times that a test gives them, in the store as the exporters leave them there."""

import time
from random import Random
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from accounts.models import User
from telemetry.context import new_request_id
from telemetry.tracing.store import recent_spans


class Recorder:
    """The spans of one request. Times are milliseconds since its beginning."""

    def __init__(self) -> None:
        self.request_id = new_request_id()
        self._random = Random(self.request_id)
        self.trace_id = self._random.getrandbits(128)
        self.begin_ns = time.time_ns()
        self._spans: list[ReadableSpan] = []

    def span(
        self,
        name: str,
        begin_ms: float = 0.0,
        took_ms: float = 1.0,
        *,
        kind: SpanKind = SpanKind.CLIENT,
        parent: SpanContext | None = None,
        links: tuple[SpanContext, ...] = (),
        process: str = "web",
        error: str = "",
        notes: tuple[tuple[str, dict[str, Any]], ...] = (),
        trace_id: int = 0,
        **attributes: Any,
    ) -> SpanContext:
        """Record a span; an attribute's `__` is a dot."""
        trace_id = trace_id or self.trace_id
        context = SpanContext(trace_id, self._random.getrandbits(64), False, TraceFlags(TraceFlags.SAMPLED))
        begin_ns = self.begin_ns + round(begin_ms * 1e6)
        told = {key.replace("__", "."): value for key, value in attributes.items()}
        self._spans.append(
            ReadableSpan(
                name=name,
                context=context,
                parent=parent,
                resource=Resource({"process.type": process}),
                attributes={**told, "request.id": self.request_id},
                kind=kind,
                status=Status(StatusCode.ERROR, error) if error else Status(),
                start_time=begin_ns,
                end_time=begin_ns + round(took_ms * 1e6),
                events=[Event(note, values, timestamp=begin_ns) for note, values in notes],
                links=[Link(link) for link in links],
            )
        )
        return context

    def request(self, name: str = "GET /blog/", took_ms: float = 100.0, **attributes: Any) -> SpanContext:
        """Record the request's own span."""
        own = {"http__request__method": "GET", "url__path": "/blog/", "http__response__status_code": 200}
        return self.span(name, 0, took_ms, kind=SpanKind.SERVER, **{**own, **attributes})

    def query(self, table: str, begin_ms: float, parent: SpanContext, took_ms: float = 1.0, **attributes: Any) -> str:
        """Record a SELECT, and return the id of its span."""
        own: dict[str, Any] = {
            "db__system__name": "postgresql",
            "db__operation__name": "SELECT",
            "db__collection__name": table,
            "db__query__text": f"SELECT * FROM {table} WHERE id = %s",
            "db__query__fingerprint": f"fingerprint-of-{table}",
            "code__location": f"{table}/queries.py:31",
            "db__response__returned_rows": 1,
        }
        found = self.span(f"SELECT {table}", begin_ms, took_ms, parent=parent, **{**own, **attributes})
        return f"{found.span_id:016x}"

    def attempt(self, task_id: str, number: int, begin_ms: float, state: str, **more: Any) -> SpanContext:
        """Record one attempt of a task."""
        return self.span(
            "process tasks.report",
            begin_ms,
            kind=SpanKind.CONSUMER,
            process="worker",
            **{
                "messaging__system": "celery",
                "messaging__operation__name": "process",
                "messaging__destination__name": "reports",
                "messaging__message__id": task_id,
                "celery__task": "tasks.report",
                "celery__retries": number - 1,
                "celery__state": state,
                "messaging__queue_wait_seconds": 0.005,
                **more,
            },
        )

    def push(self, parent: SpanContext | None = None, begin_ms: float = 0.0, **more: Any) -> SpanContext:
        """Record the sending of a group's message."""
        return self.span(
            "group_send message.created",
            begin_ms,
            kind=SpanKind.PRODUCER,
            parent=parent,
            **{
                "messaging__system": "channels",
                "messaging__destination__name": "chat.room-1",
                "messaging__message__type": "message.created",
                **more,
            },
        )

    def delivery(self, parent: SpanContext, begin_ms: float, **more: Any) -> SpanContext:
        """Record what a process delivered of it."""
        return self.span(
            "deliver message.created",
            begin_ms,
            kind=SpanKind.CONSUMER,
            parent=parent,
            process="sockets",
            **{"messaging__system": "channels", "messaging__message__type": "message.created", **more},
        )

    def save(self) -> str:
        """Put the spans into the store, and return the request's id."""
        recent_spans().export(self._spans)
        return self.request_id


@pytest.fixture
def recorder(servers: Any) -> Recorder:
    """Give a recorder of one request's spans."""
    return Recorder()


@pytest.fixture
def developer(db: None) -> User:
    """Give somebody who may follow requests, and sees no personal values."""
    user = User.objects.create_user("dev", password="right-horse-9")
    user.user_permissions.add(Permission.objects.get(codename="view_request_page"))
    return user


@pytest.fixture
def page(client: Client, developer: User) -> Client:
    """Return a client of somebody who may follow requests."""
    client.force_login(developer)
    return client
