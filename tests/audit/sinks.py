"""Everywhere that the platform writes to about what happens, as one text to search."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.test import Client
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from psycopg import sql

from audit.echo import Change
from config.redis_urls import BROKER
from telemetry.tracing import provider
from telemetry.tracing.exporters import Redacting

# Canaries. People choose the first three; nobody has the token.
PASSWORD = "Zk7-canary-right-horse"
WRONG = "Zk7-canary-wrong-horse"
OTHER = "Zk7-canary-other-horse"
TOKEN = "gh_Zk7canaryUnknownTokenThatNobodyHas00000000000"

# Where a secret, or what stands for it, is kept to be used; `message` is what a task is published from again.
STORES = {
    "audit_key": (),
    "django_session": (),
    "accounts_user": ("password",),
    "accounts_apitoken": ("digest_hex",),
    "tasks_taskrun": ("message",),
}


class _Kept(SpanExporter):
    def __init__(self) -> None:
        self.spans: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += [span.to_json() for span in spans]
        return SpanExportResult.SUCCESS


class Exported(Redacting, _Kept):
    """A collector's side: what spans were, as they left the machine."""


@dataclass
class Sinks:
    """What was written where, since the beginning of the test."""

    superuser: psycopg.Connection[Any]
    redis: dict[int, "redis.Redis"]
    capture: Any
    exported: Exported
    changes: list[Change] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def read(self) -> dict[str, str]:
        """Return each sink's text, by its name."""
        provider.pipeline().force_flush()
        captured = self.capture.readouterr()
        return {
            **self._tables(),
            **self._redis(),
            "standard output": captured.out,
            "standard error": captured.err,
            "exported spans": "\n".join(self.exported.spans),
            "echoes": "\n".join(map(str, self.changes)),
            "answers": "\n".join(self._answer(answer) for answer in self.answers),
            "/metrics": Client().get("/metrics").content.decode(),
        }

    def _tables(self) -> dict[str, str]:
        found = {}
        execute = self.superuser.execute
        tables = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        for (table,) in execute(f"{tables} AND NOT relispartition").fetchall():
            hidden = STORES.get(table)
            if hidden == ():
                continue
            query = sql.SQL("SELECT (to_jsonb(t) - {}::text[])::text FROM {} t")
            rows = execute(query.format(sql.Literal(list(hidden or ())), sql.Identifier(table))).fetchall()
            found[f"table {table}"] = "\n".join(text for (text,) in rows)
        return found

    def _redis(self) -> dict[str, str]:
        found = {}
        for number, client in self.redis.items():
            if number != BROKER:  # the broker's messages are for the worker, and for nobody to read
                texts = [json.dumps(self._value(client, key)) for key in client.scan_iter(count=1_000)]
                found[f"Redis {number}"] = "\n".join(texts)
        return found

    def _value(self, client: Any, key: bytes) -> list[str]:
        kind = client.type(key).decode()
        read = {"list": lambda: client.lrange(key, 0, -1), "zset": lambda: client.zrange(key, 0, -1)}
        read |= {"set": lambda: client.smembers(key), "hash": lambda: client.hgetall(key).items()}
        return [str(key), *map(str, read.get(kind, lambda: [client.get(key)])())]

    def _answer(self, answer: Any) -> str:
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "set-cookie"}
        return f"{answer.status_code} {headers} {answer.content.decode(errors='replace')}"

    def assert_none_holds(self, *secrets: str) -> None:
        """Fail, naming the sink and what is around it, where one of the secrets is anywhere."""
        texts = self.read()
        assert texts["table audit_event"]  # or nothing was looked at
        for secret in [*secrets, settings.SECRET_KEY]:
            assert len(secret) >= 8
            for name, text in texts.items():
                at = text.find(secret)
                assert at < 0, f"{name} holds {secret!r}: …{text[max(0, at - 300) : at + 100]}…"
