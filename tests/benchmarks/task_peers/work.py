"""What both workers do."""

import time
from typing import Any


def define(task: Any, client: Any, **unmeasured: Any) -> tuple[Any, Any, Any, Any]:
    """Return the tasks: one that does nothing, one that tells when it began, and two that let the driver lead."""

    @task(name="bench.nothing")
    def nothing() -> None:
        """Do nothing."""

    @task(name="bench.stamp")
    def stamp(asked_at: float) -> None:
        """Tell how long it took from being asked for to this line."""
        client.rpush("stamps", time.time() - asked_at)

    @task(name="bench.gate", **unmeasured)
    def gate(key: str) -> None:
        """Hold a process of the worker until the driver opens the gate."""
        client.blpop([key], timeout=120)

    @task(name="bench.mark", **unmeasured)
    def mark(key: str) -> None:
        """Tell the driver that all tasks before this one have begun."""
        client.rpush(key, "done")

    return nothing, stamp, gate, mark
