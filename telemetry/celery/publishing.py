"""Publishing: a leaf of what is running, or a piece of work of its own, and the context in the message's headers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from celery.app.amqp import AMQP
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from telemetry.celery import metrics
from telemetry.celery.carriers import (
    CONTEXT_HEADER,
    IDS_HEADER,
    LINK_KEY,
    SENT_AT_KEY,
    TRACEPARENT_HEADER,
    link_reason,
)
from telemetry.context import current, new_request_id, to_carrier
from telemetry.faults import fails_open
from telemetry.tracing import traceparent
from telemetry.tracing.work import Work, running


class WatchedAMQP(AMQP):  # type: ignore[misc]
    """Celery's sender, watched. Its signals tell of no publish that fails, and so would leak what they began."""

    def _create_task_sender(self) -> Callable[..., Any]:
        send = super()._create_task_sender()

        def send_task_message(producer: Any, name: str, message: Any, **options: Any) -> Any:
            publish = begin(self.app, name, message, options)
            if publish is None:
                return send(producer, name, message, **options)
            try:
                result = send(producer, name, message, **{**options, "headers": publish.headers})
            except BaseException as error:
                publish.end(error)
                raise
            publish.end(None)
            return result

        return send_task_message


class Publish:
    """A message on its way."""

    __slots__ = ("begun_ns", "context", "headers", "name", "queue", "sent", "task_id", "work")

    def __init__(
        self, work: Work, context: SpanContext | None, headers: dict[str, Any], name: str, queue: str, task_id: str
    ) -> None:
        self.work = work
        self.context = context  # of the leaf; None where the work is the publish itself
        self.headers = headers
        self.name = name
        self.queue = queue
        self.task_id = task_id
        self.sent: Any = None
        self.begun_ns = time.perf_counter_ns()

    @fails_open("celery.end")
    def end(self, error: BaseException | None) -> None:
        """Tell how it went, in the thread where it began."""
        error_type = type(error).__name__ if error is not None else ""
        if self.context is not None:
            self.work.add_leaf(
                f"send {self.queue}",
                self.begun_ns,
                time.perf_counter_ns(),
                _attributes(self.name, self.queue),
                {"messaging.message.id": self.task_id, **({"error.type": error_type} if error_type else {})},
                kind=SpanKind.PRODUCER,
                error_type=error_type,
                context=self.context,
            )
        else:
            if error is not None:
                self.work.span.record_exception(error)
                self.work.span.set_status(StatusCode.ERROR, error_type)
                self.work.span.set_attribute("error.type", error_type)
            self.work.leave()
            self.work.finish(is_error=error is not None)
        if error is None:
            self.sent.inc()


@fails_open("celery.begin")
def begin(app: Any, name: str, message: Any, options: Mapping[str, Any]) -> Publish:
    """Begin the span of a message, and return it with the headers that are to go along."""
    task_id = message.properties.get("correlation_id") or ""
    queue = _queue_name(app, options)
    given = options.get("headers") or {}
    own = current()
    carrier = dict(given.get(CONTEXT_HEADER) or to_carrier(own))
    request_id = carrier["request_id"] = carrier.get("request_id") or new_request_id()
    now = time.time()
    carrier[SENT_AT_KEY] = repr(now)
    carrier.pop(LINK_KEY, None)  # of the attempt before
    if reason := link_reason(app, message.headers, given, task_id, now):
        carrier[LINK_KEY] = reason
    remote = traceparent.parse(given.get(TRACEPARENT_HEADER) or "")
    # A retry's message names the span that its own run came from: to go on there would lie deeper with each attempt.
    is_own_retry = bool(task_id) and own.task_id == task_id
    work, context = running(), None
    if work is not None and (remote is None or is_own_retry or remote.trace_id == work.span.context.trace_id):
        context = work.new_child()
    else:
        work = Work(
            f"send {queue}",
            origin="task",
            sampled_as=name,
            request_id=request_id,
            kind=SpanKind.PRODUCER,
            attributes={**_attributes(name, queue), "messaging.message.id": task_id},
            parent=remote,
        )
    headers = {key: value for key, value in given.items() if key != IDS_HEADER}
    headers[TRACEPARENT_HEADER] = traceparent.of(context or work.span.context)
    headers[CONTEXT_HEADER] = carrier
    publish = Publish(work, context, headers, name, queue, task_id)
    publish.sent = metrics.sent(app, name, queue)
    if context is None:  # what hooks of the publish do, publish too, belongs to it
        work.enter(replace(own, request_id=request_id, trace_id=work.trace_id, span_id=work.span_id))
    return publish


def _queue_name(app: Any, options: Mapping[str, Any]) -> str:
    queue = options.get("queue")
    if queue is None:
        return str(options.get("routing_key") or app.conf.task_default_queue)
    return queue if isinstance(queue, str) else str(queue.name)


@lru_cache(maxsize=1_024)
def _attributes(name: str, queue: str) -> Mapping[str, Any]:
    return {
        "messaging.system": "celery",
        "messaging.operation.name": "send",
        "messaging.destination.name": queue,
        "celery.task": name,
    }
