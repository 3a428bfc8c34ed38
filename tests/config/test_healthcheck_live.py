"""`manage healthcheck` beside a worker that lives; in the module beside this one none does."""

from typing import Any

from config import checkup


def test_a_live_worker_answers(live_platform: Any) -> None:
    assert checkup._workers() == "1 answers, for all queues"
