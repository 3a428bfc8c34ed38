"""What the execute wrapper doesn't see: opening a connection or waiting for one, COMMIT, ROLLBACK, and fetching on."""

from collections.abc import Callable
from functools import cache, wraps
from time import perf_counter_ns
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.signals import connection_created

from telemetry.database import wrapper
from telemetry.database.call_sites import call_site
from telemetry.database.statements import describe
from telemetry.metrics import DATABASE_BUCKETS, histogram
from telemetry.tracing.attributes import CALL_SITE
from telemetry.tracing.work import running

POOL_WAIT = histogram(
    "db_client_connection_wait_time_seconds",
    "How long it took to get a connection from the pool.",
    ["db_client_connection_pool_name"],
    buckets=DATABASE_BUCKETS,
)
CREATION = histogram(
    "db_client_connection_create_time_seconds",
    "How long it took to open a connection.",
    ["db_client_connection_pool_name"],
    buckets=DATABASE_BUCKETS,
)


@cache
def connect() -> None:
    """Watch every connection from now on; a second call does nothing."""
    connection_created.connect(wrapper.attach, dispatch_uid="telemetry.database")
    for owner, name, make in (
        (BaseDatabaseWrapper, "_commit", _ending("COMMIT")),
        (BaseDatabaseWrapper, "_rollback", _ending("ROLLBACK")),
        (DatabaseWrapper, "get_new_connection", _opening),
        (DatabaseWrapper, "chunked_cursor", _fetching),
    ):
        setattr(owner, name, make(getattr(owner, name)))


def _ending(operation: str) -> Callable[[Any], Any]:
    statement = describe(operation)

    def make(end: Any) -> Any:
        @wraps(end)
        def timed(self: Any) -> Any:
            if self.connection is None:
                return end(self)
            begun = perf_counter_ns()
            error_type = ""
            try:
                return end(self)
            except Exception as error:
                error_type = type(error).__name__
                raise
            finally:
                ended = perf_counter_ns()
                statement.observe((ended - begun) / 1e9)
                if (work := running()) is not None:
                    work.statement_ns += ended - begun
                    names = {"db.namespace": self.alias}
                    work.add_leaf(operation, begun, ended, statement.attributes, names, error_type=error_type)

        return timed

    return make


def _opening(open_connection: Any) -> Any:
    @wraps(open_connection)
    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = perf_counter_ns()
        error_type = ""
        try:
            return open_connection(self, *args, **kwargs)
        except Exception as error:
            error_type = type(error).__name__
            raise
        finally:
            ended = perf_counter_ns()
            is_pooled = bool(self.pool)
            (POOL_WAIT if is_pooled else CREATION).labels(self.alias).observe((ended - begun) / 1e9)
            if (work := running()) is not None:
                fixed = {"db.system.name": "postgresql", "db.client.connection.pool.name": self.alias}
                name = "wait for a connection" if is_pooled else "open a connection"
                work.add_leaf(name, begun, ended, fixed, error_type=error_type)

    return timed


def _fetching(make_cursor: Any) -> Any:
    """Time what `.iterator()` fetches after its statement: a server-side cursor's rows come in many round trips."""

    @wraps(make_cursor)
    def chunked_cursor(self: Any) -> Any:
        cursor = make_cursor(self)
        fetchmany = cursor.fetchmany

        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = perf_counter_ns()
            rows = fetchmany(*args, **kwargs)
            work = running()
            if work is not None and getattr(cursor, "name", None):
                ended = perf_counter_ns()
                work.statement_ns += ended - begun
                varying = {"db.response.returned_rows": len(rows), "db.namespace": self.alias, CALL_SITE: call_site()}
                work.add_leaf("FETCH", begun, ended, {"db.system.name": "postgresql"}, varying)
            return rows

        cursor.fetchmany = timed
        return cursor

    return chunked_cursor
