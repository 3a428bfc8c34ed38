"""Publishing to a real broker: what a message carries, and what is left behind where it fails."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis as redis_py
from celery import signals
from kombu import Connection
from kombu.exceptions import OperationalError

from telemetry.celery import carried_headers, metrics
from telemetry.context import Context, current, new_request_id, use
from telemetry.tracing.work import running
from tests.telemetry import celery_app as tasks
from tests.telemetry.celery_processes import named, request, value
from tests.telemetry.conftest import Finished

pytestmark = pytest.mark.usefixtures("servers")
NOWHERE = "redis://127.0.0.1:1/0"


def messages(client: redis_py.Redis, queue: str = tasks.QUEUE) -> list[dict[str, Any]]:
    """Return the headers of what lies in a queue, oldest first."""
    return [json.loads(raw)["headers"] for raw in reversed(client.lrange(queue, 0, -1))]


def test_a_message_names_the_span_of_its_own_publish(finished_spans: Finished, redis_client: redis_py.Redis) -> None:
    with request() as work:
        result = tasks.nothing.delay()
    (headers,) = messages(redis_client)
    (send,) = named(finished_spans(), "send watched")

    assert headers["traceparent"] == f"00-{work.trace_id}-{send['span_id']}-01"
    assert send["parent_id"] == work.span_id
    assert send["attributes"]["messaging.message.id"] == result.id
    carried = headers["glasshouse_context"]
    assert (carried["request_id"], carried["actor_id"], carried["cause"]) == (work.request_id, "7", "POST /things")
    assert abs(float(carried["sent_at"]) - datetime.now(UTC).timestamp()) < 60


def test_where_nothing_runs_a_publish_is_a_trace_of_its_own(
    finished_spans: Finished, redis_client: redis_py.Redis
) -> None:
    tasks.nothing.delay()
    (headers,) = messages(redis_client)
    (send,) = named(finished_spans(), "send watched")

    assert headers["traceparent"] == f"00-{send['trace_id']}-{send['span_id']}-01"
    assert (send["parent_id"], send["request_id"]) == ("", headers["glasshouse_context"]["request_id"])
    assert current() == Context()
    assert running() is None


def test_a_name_that_nobody_registered_is_traced_and_no_label(
    finished_spans: Finished, redis_client: redis_py.Redis
) -> None:
    before = value("celery_task_sent_total", task="_OTHER", queue=tasks.QUEUE)
    with request() as work:
        tasks.app.send_task("somebody.elses")
    (headers,) = messages(redis_client)
    (send,) = named(finished_spans(), "send watched")

    assert (send["attributes"]["celery.task"], send["parent_id"]) == ("somebody.elses", work.span_id)
    assert headers["traceparent"].split("-")[2] == send["span_id"]
    assert value("celery_task_sent_total", task="_OTHER", queue=tasks.QUEUE) == before + 1


@pytest.mark.parametrize("has_request", [True, False])
def test_a_publish_that_fails_leaves_nothing_behind(has_request: bool, finished_spans: Finished) -> None:
    before = value("celery_task_sent_total", task="watched.nothing", queue=tasks.QUEUE)
    context = current()

    def publish() -> None:
        inner = current(), running()
        with Connection(NOWHERE, transport_options={"max_retries": 0}) as dead, pytest.raises(OperationalError):
            tasks.nothing.apply_async(connection=dead, retry=False)
        assert (current(), running()) == inner

    if has_request:
        with request():
            publish()
    else:
        publish()
    (send,) = named(finished_spans(), "send watched")

    assert (current(), running()) == (context, None)
    assert (send["status"], send["attributes"]["error.type"]) == ("error", "OperationalError")
    assert value("celery_task_sent_total", task="watched.nothing", queue=tasks.QUEUE) == before


@pytest.fixture
def publishes_within() -> Iterator[None]:
    """Let the publish of one task publish another, in Celery's own hook."""

    def also(sender: str = "", **kwargs: Any) -> None:
        if sender == "watched.ask":
            tasks.nothing.delay()

    signals.before_task_publish.connect(also, weak=False)
    yield
    signals.before_task_publish.disconnect(also)


@pytest.mark.parametrize("has_request", [True, False])
def test_a_publish_within_a_publish_keeps_the_context(
    has_request: bool, publishes_within: None, finished_spans: Finished, redis_client: redis_py.Redis
) -> None:
    if has_request:
        with request():
            tasks.ask.delay()
    else:
        tasks.ask.delay()
    inner, outer = messages(redis_client)
    sends = {span["span_id"]: span for span in named(finished_spans(), "send watched")}

    assert inner["glasshouse_context"]["request_id"] == outer["glasshouse_context"]["request_id"]
    traces = {headers["traceparent"].split("-")[1] for headers in (inner, outer)}
    assert len(traces) == 1
    assert {headers["traceparent"].split("-")[2] for headers in (inner, outer)} == set(sends)
    assert (current(), running()) == (Context(), None)


def test_what_was_asked_for_earlier_is_published_in_its_own_trace(
    finished_spans: Finished, redis_client: redis_py.Redis
) -> None:
    with request() as asked:
        headers = carried_headers()
    with request() as sweeper:
        tasks.nothing.apply_async(headers=headers)
    (message,) = messages(redis_client)
    (send,) = named(finished_spans(), "send watched")

    assert (send["trace_id"], send["parent_id"]) == (asked.trace_id, asked.span_id)
    assert message["glasshouse_context"]["request_id"] == asked.request_id != sweeper.request_id
    assert "sent_at" not in headers["glasshouse_context"]  # the caller's own are left alone


@pytest.mark.parametrize(("delay", "reason"), [(59, None), (3_600, "eta")])
def test_a_task_put_off_for_over_a_minute_is_linked(
    delay: int, reason: str | None, redis_client: redis_py.Redis
) -> None:
    for option in ({"countdown": delay}, {"eta": datetime.now(UTC) + timedelta(seconds=delay)}):
        tasks.nothing.apply_async(**option)
    assert [headers["glasshouse_context"].get("link") for headers in messages(redis_client)] == [reason] * 2


def test_a_fault_of_the_hooks_does_not_hurt_the_publish(
    redis_client: redis_py.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("broken")

    before = value("telemetry_faults_total", hook="celery.begin")
    monkeypatch.setattr(metrics, "sent", broken)
    with use(Context(request_id=new_request_id())) as context:
        result = tasks.nothing.delay()
        assert current() == context
    (headers,) = messages(redis_client)

    assert headers["id"] == result.id
    assert value("telemetry_faults_total", hook="celery.begin") == before + 1
    assert running() is None
