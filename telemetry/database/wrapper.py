"""Every statement through one execute wrapper: a leaf of the running work, a duration, and how often it repeats."""

from time import perf_counter_ns
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from telemetry import conf
from telemetry.database.call_sites import call_site
from telemetry.database.statements import Statement, describe
from telemetry.faults import fails_open
from telemetry.tracing.attributes import CALL_SITE
from telemetry.tracing.work import Work, running


def attach(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Wrap the statements of a connection that has just been opened."""
    if observe not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, observe)


def observe(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement, time it, and note it where a piece of work is running."""
    statement = describe(sql if isinstance(sql, str) else repr(sql))
    begun = perf_counter_ns()
    try:
        result = execute(sql, params, many, context)
    except Exception as error:
        _note(statement, begun, context, type(error).__name__)
        raise
    _note(statement, begun, context, "")
    return result


@fails_open("database")
def _note(statement: Statement, begun: int, context: dict[str, Any], error_type: str) -> None:
    ended = perf_counter_ns()
    statement.observe((ended - begun) / 1e9)
    work = running()
    if work is None:
        return
    work.statements += 1
    work.statement_ns += ended - begun
    site = call_site() if work.span.context.trace_flags.sampled else ""
    if statement.operation == "SELECT":
        _count_repeat(work, statement, site)
    varying: dict[str, Any] = {"db.namespace": context["connection"].alias}
    if site:
        varying[CALL_SITE] = site
    rows = context["cursor"].rowcount
    if not error_type and rows is not None and rows >= 0:
        varying["db.response.returned_rows"] = rows
    if error_type:
        varying["error.type"] = error_type
    work.add_leaf(statement.summary or "SQL", begun, ended, statement.attributes, varying, error_type=error_type)


def _count_repeat(work: Work, statement: Statement, site: str) -> None:
    """Count a query; the first one too many tells where it comes from."""
    repeats = work.repeats
    count = repeats.get(statement, 0) + 1
    repeats[statement] = count
    if count == conf.repeats_allowed() + 1:
        work.repeat_sites[statement] = site or call_site()
