"""Tells each transaction who writes and why, and hears from the database what it captured.

`SET LOCAL audit.context` goes ahead of a transaction's first write in the same message, so it costs no round trip,
reaches the statement in autocommit as well, and is gone with the transaction. The database's answer, a NOTICE in the
reply of the changing statement, becomes `audit.signals.model_changed` after commit.
"""

import re
from collections import deque
from functools import partial
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus

from audit import echo
from audit.literal import about
from telemetry.context import Actor, Context, current

_WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|MERGE|WITH|TRUNCATE|COPY|DO)\b", re.IGNORECASE)
_ECHO_STATE = "AU001"


def attach(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Django's `connection_created`: put the wrapper around the statements of a new PostgreSQL connection."""
    if connection.vendor != "postgresql":
        return
    wrapper = ContextWrapper(connection)
    connection.execute_wrappers = [w for w in connection.execute_wrappers if not isinstance(w, ContextWrapper)]
    # The innermost: whoever measures or reads statements sees them as they were written.
    connection.execute_wrappers.append(wrapper)
    connection.connection.add_notice_handler(wrapper.hear)


class ContextWrapper:
    """One connection's execute wrapper; a connection is used by one thread at a time."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._told: tuple[Context, Actor] | None = None  # what the running transaction has been told
        self._literal: tuple[Context, Actor, str] | None = None  # the last literal made, since contexts repeat
        self._heard: deque[str] = deque()

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if not isinstance(sql, str):
            sql = sql.as_string(self._connection.connection)
        if self._connection.connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._told = None  # this statement begins a transaction, which knows nothing yet
        if not _WRITES.match(sql):
            if sql.startswith("ROLLBACK TO"):
                self._told = None  # a SET LOCAL made after the savepoint is undone with it
            return execute(sql, params, many, context)
        running = current()
        actor = running.actor
        try:
            if self._told is None or self._told[0] is not running or self._told[1] != actor:
                result = self._execute_told(execute, sql, params, many, context, running, actor)
                self._told = (running, actor)
            else:
                result = execute(sql, params, many, context)
        except BaseException:
            self._heard.clear()  # what failed changed nothing, whatever its triggers said before
            raise
        if self._heard:
            self._dispatch()
        return result

    def _execute_told(
        self,
        execute: Any,
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
        running: Context,
        actor: Actor,
    ) -> Any:
        setting = f"SET LOCAL audit.context = {self._quoted(running, actor)}"
        if many:
            # The statements go one by one, so the setting needs a transaction around them all.
            with transaction.atomic(using=self._connection.alias):
                with self._connection.cursor() as cursor:
                    cursor.execute(setting)
                return execute(sql, params, many, context)
        if params is not None:
            setting = setting.replace("%", "%%")
        result = execute(f"{setting};{sql}", params, many, context)
        context["cursor"].cursor.nextset()  # past the setting's own empty result
        return result

    def _quoted(self, running: Context, actor: Actor) -> str:
        if self._literal is None or self._literal[0] is not running or self._literal[1] != actor:
            text = about(running, actor, echo=True).replace("'", "''")
            self._literal = (running, actor, f"'{text}'")
        return self._literal[2]

    def hear(self, diagnostic: Diagnostic) -> None:
        """psycopg's notice handler: keep an echo until the statement is done; it may not query from here."""
        if diagnostic.sqlstate == _ECHO_STATE and diagnostic.message_detail:
            self._heard.append(diagnostic.message_detail)

    def _dispatch(self) -> None:
        alias = self._connection.alias
        while self._heard:
            change = echo.parse(self._heard.popleft(), using=alias)
            # Robust: a receiver that raises is logged by Django and harms neither the others nor the caller.
            transaction.on_commit(partial(echo.send, change), using=alias, robust=True)
