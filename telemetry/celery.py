"""Celery by its signals: publish, queue wait, run, retry and end, in the trace of the request that caused them."""

import time
from dataclasses import dataclass, replace
from typing import Any

from celery import signals
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from telemetry import logs
from telemetry.context import SYSTEM, Context, activate, current, from_carrier, new_request_id, to_carrier
from telemetry.database import repeats
from telemetry.logs import get_logger
from telemetry.metrics import TASK_BUCKETS, counter, gauge, histogram
from telemetry.tracing import provider, traceparent
from telemetry.tracing.work import Work, running

log = get_logger("celery")
CONTEXT_HEADER = "glasshouse_context"
TRACEPARENT_HEADER = "traceparent"
# A child span is for what follows at once; what waits longer gets a trace of its own, linked.
_LONGEST_CHILD_DELAY_SECONDS = 60

SENT = counter("celery_task_sent_total", "Tasks published.", ["task", "queue"])
STARTED = counter("celery_task_started_total", "Task attempts begun.", ["task"])
SUCCEEDED = counter("celery_task_succeeded_total", "Tasks that ended well.", ["task"])
FAILED = counter("celery_task_failed_total", "Tasks that failed for good.", ["task", "exception"])
RETRIED = counter("celery_task_retried_total", "Task attempts that will be repeated.", ["task", "exception"])
ACTIVE = gauge("celery_tasks_active", "Tasks now running.", ["task"])
RUNTIME = histogram("celery_task_runtime_seconds", "How long attempts ran.", ["task"], buckets=TASK_BUCKETS)
WAIT = histogram(
    "celery_task_queue_wait_seconds",
    "From publish, or its ETA, to the start.",
    ["task", "queue"],
    buckets=TASK_BUCKETS,
)


@dataclass
class _Publish:
    """A message on its way: a leaf of the running work, or a piece of work of its own."""

    work: Work
    context: SpanContext | None
    begun_ns: int
    queue: str
    attributes: dict[str, Any]

    def end(self, error: BaseException | None = None) -> None:
        error_type = type(error).__name__ if error is not None else ""
        if self.context is not None:
            self.work.add_leaf(
                f"send {self.queue}",
                self.begun_ns,
                time.perf_counter_ns(),
                self.attributes,
                kind=SpanKind.PRODUCER,
                error_type=error_type,
                context=self.context,
            )
            return
        if error is not None:
            self.work.span.record_exception(error)
            self.work.span.set_status(StatusCode.ERROR, error_type)
        self.work.finish(is_error=error is not None)


_running: dict[str, Work] = {}
_publishing: dict[str, _Publish] = {}


def connect() -> None:
    """Connect the hooks; once, where the Celery application is made."""
    for signal, receiver in (
        (signals.setup_logging, _set_up_logging),
        (signals.before_task_publish, _before_publish),
        (signals.after_task_publish, _after_publish),
        (signals.task_prerun, _before_run),
        (signals.task_postrun, _after_run),
        (signals.task_retry, _on_retry),
        (signals.task_failure, _on_failure),
        (signals.beat_init, _begin_beat),
        (signals.worker_process_shutdown, _flush),
        (signals.worker_shutdown, _flush),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"telemetry.{receiver.__name__}")


def carried_headers() -> dict[str, Any]:
    """Return the headers that let a task published later still belong to the present context."""
    return {
        CONTEXT_HEADER: to_carrier(current()),
        TRACEPARENT_HEADER: traceparent.of_current(),
    }


def _set_up_logging(**kwargs: Any) -> None:
    logs.configure()  # and Celery leaves logging alone


def _before_publish(
    sender: str = "", headers: dict[str, Any] | None = None, routing_key: str = "", **kwargs: Any
) -> None:
    if headers is None:
        return
    carrier = headers.get(CONTEXT_HEADER) or to_carrier(current())
    carrier.setdefault("request_id", new_request_id())
    attributes = {
        "messaging.system": "celery",
        "messaging.operation.name": "send",
        "messaging.destination.name": routing_key,
        "messaging.message.id": headers.get("id", ""),
        "celery.task": sender,
    }
    work, context = running(), None
    remote = traceparent.parse(headers.get(TRACEPARENT_HEADER) or "")
    if work is not None and (remote is None or remote.trace_id == work.span.context.trace_id):
        context = work.new_child()
    else:
        work = Work(
            f"send {routing_key}",
            origin="task",
            sampled_as=sender,
            request_id=carrier["request_id"],
            kind=SpanKind.PRODUCER,
            attributes=attributes,
            parent=remote,
        )
    headers[TRACEPARENT_HEADER] = traceparent.of(context or work.span.context)
    headers[CONTEXT_HEADER] = {**carrier, "sent_at": repr(time.time())}
    _publishing[headers.get("id", "")] = _Publish(work, context, time.perf_counter_ns(), routing_key, attributes)
    SENT.labels(sender, routing_key).inc()


def _after_publish(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    publish = _publishing.pop((headers or {}).get("id", ""), None)
    if publish is not None:
        publish.end()


def publish_failed(task_id: str, error: BaseException) -> None:
    """End the span of a publish that raised; Celery has no signal for it."""
    publish = _publishing.pop(task_id, None)
    if publish is not None:
        publish.end(error)


def _before_run(task_id: str = "", task: Any = None, **kwargs: Any) -> None:
    request = task.request
    headers = request.headers or {}
    carrier = getattr(request, CONTEXT_HEADER, None) or headers.get(CONTEXT_HEADER) or {}
    parent = traceparent.parse(getattr(request, TRACEPARENT_HEADER, None) or headers.get(TRACEPARENT_HEADER) or "")
    queue = (request.delivery_info or {}).get("routing_key") or ""
    now = time.time()
    wait = _queue_wait(carrier, request.eta, now)
    is_own_root = request.retries > 0 or (wait or 0) > _LONGEST_CHILD_DELAY_SECONDS or "cause" not in carrier
    context = from_carrier(carrier, origin="task", operation=task.name, task_id=task_id)
    attributes: dict[str, Any] = {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.destination.name": queue,
        "messaging.message.id": task_id,
        "celery.task": task.name,
        "celery.retries": request.retries,
        "user.id": context.actor.id,
    }
    if wait is not None:
        attributes["messaging.queue_wait_seconds"] = round(wait, 6)
        WAIT.labels(task.name, queue).observe(wait)
    work = Work(
        f"process {task.name}",
        origin="task",
        sampled_as=task.name,
        request_id=context.request_id,
        kind=SpanKind.CONSUMER,
        attributes=attributes,
        parent=None if is_own_root else parent,
        links=[Link(parent)] if parent is not None and is_own_root else (),
    )
    work.enter(
        replace(
            context,
            actor_source=context.actor if carrier else SYSTEM,
            trace_id=work.trace_id,
            span_id=work.span_id,
            extra={**context.extra, "attempt": str(request.retries + 1)} if request.retries else context.extra,
        )
    )
    _running[task_id] = work
    STARTED.labels(task.name).inc()
    ACTIVE.labels(task.name).inc()


def _after_run(task_id: str = "", task: Any = None, state: str = "", **kwargs: Any) -> None:
    work = _running.pop(task_id, None)
    if work is None:
        return
    elapsed_ns = work.elapsed_ns
    ACTIVE.labels(task.name).dec()
    RUNTIME.labels(task.name).observe(elapsed_ns / 1e9)
    if state == "SUCCESS":
        SUCCEEDED.labels(task.name).inc()
    work.span.set_attributes({"celery.state": state or "", "db.statements": work.statements})
    repeats.tell(work, task.name)
    work.finish(is_error=state in ("FAILURE", "RETRY"))
    log.info(
        "task.run",
        task=task.name,
        state=state,
        retries=task.request.retries,
        duration_ms=round(elapsed_ns / 1e6, 1),
        statements=work.statements,
        statements_ms=round(work.statement_ns / 1e6, 1),
    )
    work.leave()


def _on_retry(request: Any = None, reason: Any = None, **kwargs: Any) -> None:
    exception = type(getattr(reason, "exc", reason)).__name__
    RETRIED.labels(request.task, exception).inc()
    span = trace.get_current_span()
    span.add_event("retry", {"reason": str(reason)[:500]})
    log.warning("task.retry", task=request.task, retries=request.retries, reason=str(reason)[:500])


def _on_failure(sender: Any = None, exception: BaseException | None = None, **kwargs: Any) -> None:
    name = type(exception).__name__
    FAILED.labels(sender.name, name).inc()
    span = trace.get_current_span()
    if exception is not None:
        span.record_exception(exception)
    span.set_status(StatusCode.ERROR, name)
    span.set_attribute("error.type", name)
    log.error("task.failed", task=sender.name, error_type=name, error=str(exception)[:500])


def _begin_beat(**kwargs: Any) -> None:
    # Nobody asks for what beat sends. It has no request id: each task that it sends gets one of its own.
    activate(Context(origin="beat", operation="beat", actor_source=SYSTEM))


def _flush(**kwargs: Any) -> None:
    provider.pipeline().force_flush(2_000)


def _queue_wait(carrier: dict[str, Any], eta: str | None, now: float) -> float | None:
    """Seconds from publish to start; what was asked for by an ETA isn't waiting."""
    try:
        sent = float(carrier["sent_at"])
    except (KeyError, TypeError, ValueError):
        return None
    if eta:
        from datetime import datetime

        sent = max(sent, datetime.fromisoformat(eta).timestamp())
    return max(0.0, now - sent)
