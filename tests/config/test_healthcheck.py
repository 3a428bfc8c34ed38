"""`manage healthcheck`: what it finds, and what it exits with."""

import json
import subprocess
import sys
import threading
import uuid
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from config import checkup, health
from tasks.models import TaskRun

MANAGE = Path(__file__).parents[2] / "platform" / "manage.py"


def run(*arguments: str) -> tuple[int, str]:
    out, code = StringIO(), 0
    try:
        call_command("healthcheck", *arguments, stdout=out, no_color=True)
    except SystemExit as end:
        code = int(str(end.code))
    return code, out.getvalue()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> dict[str, health.Question]:
    """Give the checks that the command runs, to fill: none at first."""
    chosen: dict[str, health.Question] = {}
    monkeypatch.setattr("config.management.commands.healthcheck.ALL_CHECKS", chosen)
    return chosen


def warns() -> str:
    raise health.DegradedError("nearly full")


def fails() -> str:
    raise health.NotReadyError("gone")


def test_all_well_exits_with_0(checks: Any) -> None:
    checks.update(redis=lambda: "answers", database=lambda: "answers")
    assert run("--strict") == (0, "ok       redis     answers\nok       database  answers\n")


def test_a_warning_exits_with_0_and_with_1_where_strict(checks: Any) -> None:
    checks.update(disk=warns)
    assert run() == (0, "warning  disk  nearly full\n")
    assert run("--strict")[0] == 1


def test_a_failure_exits_with_1_and_all_checks_are_told(checks: Any) -> None:
    checks.update(database=fails, disk=warns, redis=lambda: "answers")
    code, text = run("--format", "json")
    told = json.loads(text)
    assert (code, told["status"]) == (1, "unavailable")
    assert [(check["name"], check["ok"], check["is_warning"]) for check in told["checks"]] == [
        ("database", False, False),
        ("disk", False, True),
        ("redis", True, False),
    ]


def test_a_check_that_hangs_is_given_up_after_the_timeout(checks: Any) -> None:
    end = threading.Event()
    checks.update(database=lambda: str(end.wait(60)))
    try:
        assert run("--timeout", "0.1") == (1, "FAILED   database  no answer within 0.1 s\n")
    finally:
        end.set()


def test_where_nothing_runs_it_names_each_part_and_exits_with_1(tmp_path: Path) -> None:
    """As its own process: nothing of what doesn't answer keeps it from ending, and no traceback is shown."""
    done = subprocess.run(
        [sys.executable, MANAGE, "healthcheck", "--format", "json"],
        env={
            "PATH": "/usr/bin:/bin",
            "LOCAL_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    outcomes = {check["name"]: check["ok"] for check in json.loads(done.stdout)["checks"]}
    assert outcomes == {
        "database": False,
        "migrations": False,
        "redis": False,
        "ledger": False,
        "workers": False,
        "tasks": False,
        "disk": True,
    }
    assert "Traceback" not in done.stderr


# --- each check ------------------------------------------------------------------------------------------------------


def a_run(**fields: Any) -> TaskRun:
    return TaskRun.objects.create(id=uuid.uuid4(), name="blog.thing", queue="default", **fields)


@pytest.mark.django_db(transaction=True)
def test_tasks_that_wait_too_long_are_told_by_the_oldest_that_is_due() -> None:
    now = timezone.now()
    assert checkup._tasks() == "none waits"
    a_run(enqueued_at=now - timedelta(days=1), eta=now + timedelta(hours=1))
    a_run(enqueued_at=now - timedelta(days=1), outcome="succeeded")
    assert checkup._tasks() == "none waits"
    a_run(enqueued_at=now - timedelta(seconds=20))
    assert "has waited 20 s" in checkup._tasks()
    a_run(enqueued_at=now - timedelta(days=1), eta=now - timedelta(minutes=2))
    with pytest.raises(health.DegradedError, match="has waited 120 s"):
        checkup._tasks()
    a_run(enqueued_at=now - timedelta(minutes=16))
    with pytest.raises(health.NotReadyError, match="look at the workers"):
        checkup._tasks()


def test_too_little_disk_is_a_warning_and_hardly_any_a_failure(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    free = [2_000_000_000]
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free[0]}))
    settings.LOCAL_DIR = settings.MEDIA_ROOT = tmp_path / "not" / "there"
    assert checkup._disk() == "2.0 GB free for LOCAL_DIR, 2.0 GB free for MEDIA_ROOT"
    free[0] = 900_000_000
    with pytest.raises(health.DegradedError, match=r"0\.9 GB"):
        checkup._disk()
    free[0] = 90_000_000
    with pytest.raises(health.NotReadyError, match="make room"):
        checkup._disk()


def test_no_worker_is_a_failure_and_a_queue_without_one_a_warning(
    servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "_REPLY_SECONDS", 0.2)
    with pytest.raises(health.NotReadyError, match="no worker answers"):
        checkup._workers()
    replies = [{"celery@one": [{"name": "default"}]}]
    monkeypatch.setattr(checkup.current_app.control, "broadcast", lambda *args, **kwargs: replies)
    with pytest.raises(health.DegradedError, match="notifications"):
        checkup._workers()
