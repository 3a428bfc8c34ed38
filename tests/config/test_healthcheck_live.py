"""`manage healthcheck` beside a worker that lives; in the module beside this one none does."""

from contextlib import suppress
from typing import Any

from config import checkup, health
from tests.conftest import WaitUntil


def test_a_live_worker_answers(live_platform: Any, wait_until: WaitUntil) -> None:
    def answer() -> str:
        with suppress(health.NotReadyError):  # a machine so busy that it took more than a second
            return checkup._workers()
        return ""

    assert wait_until(answer) == "1 answers, for all queues"
