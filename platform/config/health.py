"""Whether this process lives, and whether it's of use: for probes, load balancers and `manage healthcheck`."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import asdict, dataclass
from functools import cache
from typing import TypeAlias

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from redis.backoff import NoBackoff
from redis.retry import Retry

from audit import status
from config.metrics import READINESS_CHECKS
from config.redis_urls import CACHE, with_database
from telemetry.logs import get_logger

log = get_logger(__name__)

TIMEOUT_SECONDS = 1.0
_MOST_RUNNING = 16  # checks that hang hold their threads; there shall not be more and more of them
_running = threading.BoundedSemaphore(_MOST_RUNNING)

_PROBE_KEY = "glasshouse:health"

Question: TypeAlias = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found; `detail` is for people, without addresses or secrets.

    Where it isn't ok but `is_warning`, work goes on, and somebody should look.
    """

    name: str
    ok: bool
    detail: str
    is_warning: bool = False


class NotReadyError(Exception):
    """A part answers but isn't ready; the message says why."""


class DegradedError(Exception):
    """A part does its work, but not for long or not as well as it should; the message says why."""


@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as this process answers at all; it asks nobody else."""
    return JsonResponse({"status": "ok"})


@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 where all that a request needs is there, 503 otherwise, with each check's outcome.

    A check that only warns leaves it at 200.
    """
    checks = run_checks()
    for check in checks:
        READINESS_CHECKS.labels(check.name, _outcome_of(check)).inc()
    outcome = worst_of(checks)
    status_code = 503 if outcome == "unavailable" else 200
    return JsonResponse({"status": outcome, "checks": [asdict(check) for check in checks]}, status=status_code)


def _outcome_of(check: Check) -> str:
    if check.ok:
        return "ok"
    return "warning" if check.is_warning else "failed"


def worst_of(checks: list[Check]) -> str:
    """Return `unavailable` where a check failed, `warning` where one warns, else `ok`."""
    if not all(check.ok or check.is_warning for check in checks):
        return "unavailable"
    return "ok" if all(check.ok for check in checks) else "warning"


def run_checks(checks: Mapping[str, Question] | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> list[Check]:
    """Run checks side by side, for so long at most in all; by default those of readiness, in a second."""
    running = [(name, _start(name, question)) for name, question in (checks or CHECKS).items()]
    deadline = time.monotonic() + timeout_seconds
    return [_outcome(name, future, deadline, timeout_seconds) for name, future in running]


def _start(name: str, question: Question) -> "Future[str]":
    """Ask in a thread that keeps nobody from ending: a check may hang."""
    future: Future[str] = Future()

    def ask() -> None:
        try:
            future.set_result(question())
        except BaseException as error:
            future.set_exception(error)
        finally:
            _running.release()

    if _running.acquire(blocking=False):
        threading.Thread(target=ask, name=f"health-{name}", daemon=True).start()
    else:
        future.set_exception(NotReadyError("earlier checks still hang"))
    return future


def _outcome(name: str, future: "Future[str]", deadline: float, timeout_seconds: float) -> Check:
    try:
        return Check(name, True, future.result(timeout=max(0.0, deadline - time.monotonic())))
    except FutureTimeoutError:
        detail = f"no answer within {timeout_seconds:g} s"
    except DegradedError as error:
        return Check(name, False, str(error), is_warning=True)
    except NotReadyError as error:
        detail = str(error)
    except Exception as error:
        log.warning("config.health_check_failed", check=name, error=str(error))
        detail = f"failed ({type(error).__name__}); the log says more"
    return Check(name, False, detail, is_warning=name in WARNINGS)


def with_connection(question: Question) -> Question:
    """Close the thread's own connection afterwards."""

    def ask() -> str:
        try:
            return question()
        finally:
            connection.close()

    return ask


@with_connection
def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "answers"


@with_connection
def _migrations() -> str:
    applied = MigrationRecorder(connection).applied_migrations().keys()
    missing = [
        f"{app}.{name}"
        for (app, name), replaces in _migrations_on_disk().items()
        if (app, name) not in applied and not (replaces and applied >= replaces)
    ]
    if missing:
        raise NotReadyError(f"{len(missing)} not applied, {missing[0]} first; run manage migrate --database owner")
    return "all applied"


@cache
def _migrations_on_disk() -> dict[tuple[str, str], frozenset[tuple[str, str]]]:
    loader = MigrationLoader(None)
    return {key: frozenset(migration.replaces) for key, migration in sorted(loader.disk_migrations.items())}


def _redis() -> str:
    client = redis.Redis.from_url(
        with_database(settings.REDIS_URL, CACHE),
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        client.ping()
        try:
            client.set(_PROBE_KEY, 1, ex=60)
        except redis.ResponseError as error:  # full, or a replica: what is there can still be read
            raise DegradedError(f"answers, but takes no writes: {error}") from error
    return "answers"


@with_connection
def _ledger() -> str:
    if problems := status.recent_problems(connection.alias):
        raise NotReadyError(f"{problems[0]} {len(problems)} such in all; manage audit_status tells them")
    return "captures all it should"


CHECKS: dict[str, Question] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "ledger": _ledger,
}
# While a release replaces another, the triggers are one's and not the other's: no reason to take either away.
WARNINGS = frozenset({"ledger"})
