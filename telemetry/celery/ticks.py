"""Beat: each time that something is due is a trace of its own, with the schedule's name."""

from functools import wraps
from typing import Any

from opentelemetry.trace import SpanKind

from telemetry.celery.runs import mark_failed
from telemetry.context import SYSTEM, Context, activate, new_request_id
from telemetry.faults import fails_open
from telemetry.tracing.work import Work


@fails_open("celery.watch_beat")
def watch_beat(sender: Any = None, **kwargs: Any) -> None:
    """Watch what beat sends from now on (`beat_init`)."""
    # Nobody asks for it. Beat itself has no request id: each of its ticks gets one.
    activate(Context(origin="beat", operation="beat", actor_source=SYSTEM))
    scheduler = getattr(sender, "scheduler", None)
    if scheduler is not None:
        scheduler.apply_async = _watched(scheduler.apply_async)


def _watched(apply_async: Any) -> Any:
    @wraps(apply_async)
    def watched_apply_async(entry: Any, *args: Any, **kwargs: Any) -> Any:
        work = _begin_tick(entry)
        if work is None:
            return apply_async(entry, *args, **kwargs)
        failure: Exception | None = None
        try:
            return apply_async(entry, *args, **kwargs)
        except Exception as error:
            failure = error
            raise
        finally:
            _end_tick(work, failure)

    return watched_apply_async


@fails_open("celery.begin_tick")
def _begin_tick(entry: Any) -> Work:
    work = Work(
        f"beat {entry.name}",
        origin="beat",
        sampled_as=str(entry.name),
        request_id=new_request_id(),
        kind=SpanKind.INTERNAL,
        attributes={"celery.schedule": str(entry.name), "celery.task": str(entry.task)},
    )
    work.enter(
        Context(
            request_id=work.request_id,
            origin="beat",
            operation="beat",
            actor_source=SYSTEM,
            trace_id=work.trace_id,
            span_id=work.span_id,
        )
    )
    return work


@fails_open("celery.end_tick")
def _end_tick(work: Work, failure: Exception | None) -> None:
    if failure is not None:
        mark_failed(work, failure.__cause__ if isinstance(failure.__cause__, Exception) else failure)
    work.leave()
    work.finish(is_error=failure is not None)
