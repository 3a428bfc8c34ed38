"""Every statement through one execute wrapper: a span under a recorded request, a duration, a count a request."""

import time
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from telemetry import work
from telemetry.metrics import DATABASE_BUCKETS, histogram
from telemetry.sql import describe
from telemetry.tracing import tracer

DURATION = histogram(
    "db_client_operation_duration_seconds",
    "Duration of database statements.",
    ["db_operation_name", "db_collection_name"],
    buckets=DATABASE_BUCKETS,
)


def connect() -> None:
    """Wrap the statements of every connection that is opened from now on."""
    connection_created.connect(_attach, dispatch_uid="telemetry.database")


def _attach(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if observe not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, observe)


def observe(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement, time it, and record it where the running span is recorded."""
    statement = describe(sql if isinstance(sql, str) else repr(sql))
    parent = trace.get_current_span()
    span = None
    if parent.is_recording():
        span = tracer().start_span(
            statement.summary or "SQL",
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": "postgresql",
                "db.operation.name": statement.operation,
                "db.collection.name": statement.target,
                "db.query.summary": statement.summary,
                "db.query.text": statement.text,
                "db.namespace": context["connection"].alias,
            },
        )
    begun = time.perf_counter()
    try:
        result = execute(sql, params, many, context)
    except Exception as error:
        if span is not None:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            span.set_attribute("error.type", type(error).__name__)
        raise
    else:
        if span is not None and (rows := context["cursor"].rowcount) is not None and rows >= 0:
            span.set_attribute("db.response.returned_rows", rows)
        return result
    finally:
        elapsed = time.perf_counter() - begun
        work.add_statement(elapsed)
        DURATION.labels(statement.operation, statement.target).observe(elapsed)
        if span is not None:
            span.end()
