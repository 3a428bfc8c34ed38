"""Starts workers and beat of `celery_app` as real processes, and reads what they told."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from opentelemetry.trace import SpanKind

from config.processes import Process, Program, stop_all, wait_for
from telemetry.context import Actor, Context, new_request_id
from telemetry.metrics import exposed_registry
from telemetry.tracing import provider
from telemetry.tracing.store import recent_spans
from telemetry.tracing.work import Work

_ROOT = Path(__file__).resolve().parents[2]
Spans = Callable[[], list[dict[str, Any]]]


def start(name: str, *arguments: str) -> Process:
    """Start `celery … name arguments`; the caller stops it."""
    return Process(
        Program(
            name=name,
            arguments=[sys.executable, "-m", "celery", "--quiet", "--app", "tests.telemetry.celery_app", *arguments],
            directory=_ROOT,
            environment={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(_ROOT / "platform"), str(_ROOT)]),
                "PYTHONUNBUFFERED": "1",
                "PYTHONWARNINGS": "ignore:::celery.platforms",
                "DJANGO_SETTINGS_MODULE": "tests.telemetry.celery_settings",
                "LOCAL_DIR": str(settings.LOCAL_DIR),
                "GLASSHOUSE_PROCESS": name,
                "GLASSHOUSE_READY_FILE": str(settings.LOCAL_DIR / f"{name}.ready"),
            },
        )
    )


@contextmanager
def worker(*arguments: str, name: str = "worker", concurrency: int = 1) -> Iterator[Process]:
    """Run a worker that takes from both queues, from when it's ready."""
    ready = settings.LOCAL_DIR / f"{name}.ready"
    ready.unlink(missing_ok=True)
    process = start(
        name,
        *("worker", "--pool", "prefork", "--concurrency", str(concurrency), "--loglevel", "WARNING"),
        *("--include", "config.readiness", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        *("--hostname", f"{name}@test"),
        *arguments,
    )
    try:
        if not wait_for(lambda: ready.exists() or not process.is_running, timeout_seconds=60) or not process.is_running:
            pytest.fail("\n".join(process.last_lines))
        yield process
    finally:
        stop_all([process])


@contextmanager
def request() -> Iterator[Work]:
    """Run a block as a web request does."""
    work = Work(
        "POST /things",
        origin="http",
        sampled_as="/things",
        request_id=new_request_id(),
        kind=SpanKind.SERVER,
        attributes={},
    )
    work.enter(
        Context(
            request_id=work.request_id,
            origin="http",
            operation="POST /things",
            actor_source=Actor("user", "7", "alice"),
            trace_id=work.trace_id,
            span_id=work.span_id,
        )
    )
    try:
        yield work
    finally:
        work.leave()
        work.finish()


def spans_of(request_id: str) -> list[dict[str, Any]]:
    """Return the spans that all processes have told of a request."""
    provider.pipeline().force_flush()
    return recent_spans().spans_of(request_id)


def named(spans: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [span for span in spans if span["name"] == name]


def value(name: str, **labels: str) -> float:
    """Return a metric's value over all processes; 0 where it isn't there."""
    return exposed_registry().get_sample_value(name, labels) or 0.0


def exemplars(name: str) -> list[dict[str, str]]:
    """Return the labels of a histogram's exemplars over all processes."""
    samples = (sample for family in exposed_registry().collect() if family.name == name for sample in family.samples)
    return [dict(sample.exemplar.labels) for sample in samples if sample.exemplar]
