"""The statements in `sql/`: what a task costs is these, so each is one round trip."""

import time
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection

from tasks import conf

P = ParamSpec("P")
T = TypeVar("T")
_FOLDER = Path(__file__).parent / "sql"
_POLL_SECONDS = 0.25


def rows_of(statement: str, /, **values: Any) -> list[tuple[Any, ...]]:
    """Run `sql/<statement>.sql` and return the rows it gives."""
    with connection.cursor() as cursor:
        cursor.execute(_text(statement), values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def count_of(statement: str, /, **values: Any) -> int:
    """Run `sql/<statement>.sql` and return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(_text(statement), values)
        return int(cursor.rowcount)


def limit_standstill() -> None:
    """Let the database end this transaction where it stands still for two leases.

    A worker that is frozen in the middle of one would keep its locks as long as its machine sleeps.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, true)", [standstill_milliseconds()]
        )


def standstill_milliseconds() -> str:
    """Return how long a transaction that holds locks on runs may stand still, as PostgreSQL takes it."""
    return str(int(2_000 * conf.lease_seconds()))


def reconnecting(patience: Callable[[], float] = lambda: 0.0) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function that may be called twice outlive a database that was restarted since it was last used.

    Where the connection is broken the function is called once more on a new one; where none can be had, that's tried
    for the seconds that `patience` gives. Within a transaction nothing is done twice: that's over as a whole.
    """

    def decorate(work: Callable[P, T]) -> Callable[P, T]:
        @wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            deadline = time.monotonic() + patience()
            while True:
                try:
                    return work(*args, **kwargs)
                except (OperationalError, InterfaceError):
                    if connection.in_atomic_block or not _is_mended(deadline):
                        raise

        return run

    return decorate


def _is_mended(deadline: float) -> bool:
    """Return whether a broken connection was replaced by a new one; False where it's sound, and so not to blame."""
    if connection.connection is not None and connection.is_usable():
        return False
    connection.close()
    while True:
        try:
            connection.ensure_connection()
        except OperationalError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


@cache
def _text(name: str) -> str:
    lines = (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))
