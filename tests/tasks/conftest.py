"""A worker's part of Celery, without a worker: messages are taken from the real broker and traced in this process."""

from collections.abc import Callable, Iterator
from queue import Empty
from typing import Any

import pytest
from celery import Celery
from celery.app.trace import trace_task

from config.celery import app

WorkOff = Callable[..., Any]


@pytest.fixture(autouse=True)
def _broker(servers: Any) -> None:
    """Every test here may publish, so the broker has to run."""


@pytest.fixture
def broker_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point Celery to a port on which nobody listens, with connections of its own."""
    for name in ("broker_url", "broker_write_url"):
        monkeypatch.setitem(app.conf, name, "redis://127.0.0.1:1/0")
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)


@pytest.fixture
def celery_app() -> Celery:
    return app


@pytest.fixture
def take_message() -> Iterator[Callable[..., Any]]:
    """Return a function that takes the next message of a queue; None where there is none."""
    with app.connection_for_read() as connection:

        def take(queue: str = "default") -> Any:
            simple = connection.SimpleQueue(queue)
            try:
                message = simple.get(block=False)
            except Empty:
                return None
            else:
                message.ack()
                return message
            finally:
                simple.close()

        yield take


@pytest.fixture
def run_message() -> Callable[[Any], Any]:
    """Return a function that runs a message as a worker's child does."""

    def run(message: Any) -> Any:
        args, kwargs, embed = message.decode()
        request = {
            **message.headers,
            **embed,
            "args": args,
            "kwargs": kwargs,
            "hostname": "celery@test",
            "delivery_info": message.delivery_info,
        }
        task = app.tasks[message.headers["task"]]
        return trace_task(task, message.headers["id"], args, kwargs, request, app=app)

    return run


@pytest.fixture
def work_off(take_message: Callable[..., Any], run_message: Callable[[Any], Any]) -> WorkOff:
    """Return a function that runs a queue's next message, as a worker's child does."""

    def work(queue: str = "default") -> Any:
        message = take_message(queue)
        assert message is not None, f"the queue {queue} is empty"
        return run_message(message)

    return work
