"""Runs: each attempt of a task is a piece of work, in the trace of what caused it or linked to it."""

import time
from dataclasses import replace
from typing import Any

from celery import current_app
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from telemetry.celery import metrics
from telemetry.celery.carriers import IDS_HEADER, LINK_KEY, carried_by, queue_wait
from telemetry.context import SYSTEM, Context, from_carrier
from telemetry.database import repeats
from telemetry.faults import fails_open
from telemetry.logs import get_logger
from telemetry.tracing.work import Work, running

log = get_logger("celery")
# Where a request keeps its work: ids won't do, since a message may be delivered twice at a time.
_WORK = "telemetry_work"
_LONGEST_REASON = 500
_IDS_LENGTH = 48


def open_run(name: str, request: Any, started_at: float) -> tuple[Work, Context]:
    """Return the work of a task's attempt, and the context that it runs in; neither is entered yet.

    `request` is Celery's, as the child or the parent has it, `started_at` is in seconds since the epoch.
    """
    carrier, parent = carried_by(request)
    context = from_carrier(carrier, origin="task", operation=name, task_id=request.id or "")
    queue = (request.delivery_info or {}).get("routing_key") or ""
    attributes: dict[str, Any] = {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.destination.name": queue,
        "messaging.message.id": context.task_id,
        "celery.task": name,
        "celery.retries": request.retries,
        "user.id": context.actor.id,
    }
    wait = queue_wait(current_app, carrier, request.eta, started_at)
    if wait is not None:
        attributes["messaging.queue_wait_seconds"] = round(wait, 6)
    reason = carrier.get(LINK_KEY) or ("retry" if request.retries else "")
    if reason and parent is not None:
        attributes["celery.link"] = reason
        links, parent = [Link(parent)], None
    else:
        links = []
    work = Work(
        f"process {name}",
        origin="task",
        sampled_as=name,
        request_id=context.request_id,
        kind=SpanKind.CONSUMER,
        attributes=attributes,
        parent=parent,
        links=links,
    )
    ids = getattr(request, IDS_HEADER, None)
    if isinstance(ids, str) and len(ids) == _IDS_LENGTH:
        own = work.span.context
        trace_id = own.trace_id if parent is not None else int(ids[:32], 16)
        work.span.context = SpanContext(trace_id, int(ids[32:], 16), False, own.trace_flags)
    return work, replace(
        context,
        actor_source=context.actor if carrier else SYSTEM,
        trace_id=work.trace_id,
        span_id=work.span_id,
        extra={**context.extra, "attempt": str(request.retries + 1)} if request.retries else context.extra,
    )


@fails_open("celery.begin_run")
def begin_run(task_id: str = "", task: Any = None, **kwargs: Any) -> None:
    """Begin the work of a task that is about to run (`task_prerun`)."""
    request = task.request
    work, context = open_run(task.name, request, time.time())
    wait = work.span.attributes.get("messaging.queue_wait_seconds")
    if wait is not None:
        queue = work.span.attributes["messaging.destination.name"]
        metrics.wait(task.app, task.name, queue).observe(wait, exemplar(work))
    work.enter(context)
    setattr(request, _WORK, work)


@fails_open("celery.end_run")
def end_run(task_id: str = "", task: Any = None, state: str | None = "", **kwargs: Any) -> None:
    """End the work of a task that ran (`task_postrun`)."""
    request = task.request
    work: Work | None = vars(request).pop(_WORK, None)
    if work is None:
        return
    try:
        if state or not hasattr(request, IDS_HEADER):
            tell_run(work, task, request, state or "FAILURE")
        # Otherwise the process is on its way out, and its parent tells how the task ended.
    finally:
        work.leave()


def tell_run(work: Work, task: Any, request: Any, state: str) -> None:
    """Finish the work of an attempt, with its metric and its line in the log; its context is still entered."""
    elapsed_ns = work.elapsed_ns
    metrics.runtime(task.name).observe(elapsed_ns / 1e9, exemplar(work))
    work.span.attributes["celery.state"] = state
    work.span.attributes["db.statements"] = work.statements
    repeats.tell(work, task.name)
    work.finish(is_error=state in ("FAILURE", "RETRY", "REJECTED"))
    log.info(
        "task.run",
        task=task.name,
        state=state,
        retries=request.retries,
        duration_ms=round(elapsed_ns / 1e6, 1),
        statements=work.statements,
        statements_ms=round(work.statement_ns / 1e6, 1),
    )


@fails_open("celery.note_retry")
def note_retry(request: Any = None, reason: Any = None, **kwargs: Any) -> None:
    """Note on the running attempt that another will follow, and why (`task_retry`)."""
    text = str(reason)[:_LONGEST_REASON]
    if (work := running()) is not None:
        work.span.add_event("retry", {"reason": text})
    log.warning("task.retry", task=request.task, retries=request.retries, reason=text)


@fails_open("celery.note_failure")
def note_failure(sender: Any = None, exception: BaseException | None = None, **kwargs: Any) -> None:
    """Note on the running attempt why it failed (`task_failure`)."""
    if (work := running()) is not None and exception is not None:
        mark_failed(work, exception)
    name = type(exception).__name__
    log.error("task.failed", task=sender.name, error_type=name, error=str(exception)[:_LONGEST_REASON])


def mark_failed(work: Work, error: BaseException) -> None:
    """Give the work's span an error, unless it has one."""
    if work.span.status is StatusCode.ERROR:
        return
    name = type(error).__name__
    work.span.record_exception(error)
    work.span.set_status(StatusCode.ERROR, name)
    work.span.set_attribute("error.type", name)


def exemplar(work: Work) -> dict[str, str] | None:
    """Return what leads from a figure to the work's trace, if that is kept for sure."""
    return {"trace_id": work.trace_id} if work.span.context.trace_flags.sampled else None
