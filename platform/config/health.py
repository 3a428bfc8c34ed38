"""Whether this process lives, and whether it's of use: for probes, load balancers and `manage healthcheck`."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import asdict, dataclass
from functools import cache

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
from config.redis_urls import CACHE, with_database
from telemetry.logs import get_logger

log = get_logger(__name__)

TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found; `detail` is for people, without addresses or secrets."""

    name: str
    ok: bool
    detail: str


class NotReadyError(Exception):
    """A part answers but isn't ready; the message says why."""


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
    is_ready = all(check.ok or check.name in WARNINGS for check in checks)
    outcome = "unavailable" if not is_ready else "ok" if all(check.ok for check in checks) else "warning"
    return JsonResponse(
        {"status": outcome, "checks": [asdict(check) for check in checks]}, status=200 if is_ready else 503
    )


def run_checks() -> list[Check]:
    """Run all checks side by side, for at most a second in all."""
    running = [(name, _pool().submit(function)) for name, function in CHECKS.items()]
    deadline = time.monotonic() + TIMEOUT_SECONDS
    return [_outcome(name, future, max(0.0, deadline - time.monotonic())) for name, future in running]


def _outcome(name: str, future: "Future[str]", timeout_seconds: float) -> Check:
    try:
        return Check(name, True, future.result(timeout=timeout_seconds))
    except FutureTimeoutError:
        future.cancel()
        return Check(name, False, f"no answer within {TIMEOUT_SECONDS:g} s")
    except NotReadyError as error:
        return Check(name, False, str(error))
    except Exception as error:
        log.warning("config.health_check_failed", check=name, error=str(error))
        return Check(name, False, f"failed ({type(error).__name__}); the log says more")


@cache
def _pool() -> ThreadPoolExecutor:
    # Checks that hang for longer than their second hold a thread; the next ones wait in vain and say so.
    return ThreadPoolExecutor(max_workers=2 * len(CHECKS), thread_name_prefix="health")


def _with_connection(question: Callable[[], str]) -> Callable[[], str]:
    """Close the thread's own connection afterwards: the pool's threads would hold theirs for ever."""

    def ask() -> str:
        try:
            return question()
        finally:
            connection.close()

    return ask


@_with_connection
def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "answers"


@_with_connection
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
    return "answers"


@_with_connection
def _ledger() -> str:
    if problems := status.recent_problems(connection.alias):
        raise NotReadyError(f"{problems[0]} {len(problems)} such in all; manage audit_status tells them")
    return "captures all it should"


CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "ledger": _ledger,
}
# While a release replaces another, the triggers are one's and not the other's: no reason to take either away.
WARNINGS = frozenset({"ledger"})
