"""Tells each transaction who writes and why, and hears from the database what it captured.

A psycopg cursor of ours stands below Django's, so that every way to write through a connection passes it: the ORM,
raw SQL, `executemany`, COPY, and the driver's own cursors. `SET LOCAL audit.context` goes ahead of a transaction's
first write in the same message, so it costs no round trip, reaches the statement in autocommit as well, and is gone
with the transaction. The database's answer, a NOTICE in the reply of the changing statement, becomes
`audit.signals.model_changed` after commit.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import Any, cast

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from psycopg.sql import Composable

from audit import echo, unavailable
from audit.literal import about
from telemetry.context import Actor, Context, current
from telemetry.metrics import counter

_BLANK = r"(?:\s|/\*.*?\*/|--[^\n]*\n)*"
# Transaction control, and what writes no rows or may not share a message with another statement.
_CONTROLS = re.compile(
    _BLANK + r"(?:SAVEPOINT|RELEASE|BEGIN|START|COMMIT|END|ROLLBACK|ABORT|PREPARE\s+TRANSACTION|SET|RESET|SHOW|DISCARD"
    r"|DECLARE|FETCH|MOVE|CLOSE|LISTEN|UNLISTEN|NOTIFY|LOCK|DEALLOCATE|VACUUM|ANALYZE|CHECKPOINT|CLUSTER|REINDEX"
    r"|CREATE|ALTER|DROP|COMMENT|GRANT|REVOKE|REFRESH|SECURITY|IMPORT)\b",
    re.I | re.S,
)
_ENDS = re.compile(_BLANK + r"(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT)\b", re.I | re.S)
# A SELECT that begins with a function may write by it, unless it is one of these; all other first words may as well.
_READS = re.compile(
    r"\s*SELECT\s+(?:(?:count|sum|avg|min|max|array_agg|coalesce|current_setting)\(|(?!(?:[\w\"]+\.)*[\w\"]+\())", re.I
)
_ECHO_STATE = "AU001"
_PARAMETER = "audit_context"
UNTOLD = counter(
    "audit_echoes_untold_total",
    "Echoes that nobody was told, since the transaction is managed by hand and its commit isn't seen.",
)
_STATE = "_audit_state"  # on the psycopg connection, since a pool hands that one from one user to the next


def attach(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Django's `connection_created`: have a PostgreSQL connection's cursors tell and hear."""
    if connection.vendor != "postgresql":
        return
    driver = connection.connection
    state = getattr(driver, _STATE, None)
    if state is None:
        state = State()
        setattr(driver, _STATE, state)
        driver.cursor_factory = _telling(driver.cursor_factory)
        driver.transaction = _noticed(driver.transaction, state)
        driver.add_notice_handler(state.hear)
    state.connection = connection


def state_of(driver: Any) -> "State":
    """Return what the driver's connection has told and heard."""
    state: State = getattr(driver, _STATE)
    return state


class State:
    """What one connection has told and heard; a connection is used by one thread at a time."""

    connection: BaseDatabaseWrapper

    def __init__(self) -> None:
        self.told: tuple[Context, Actor] | None = None  # what the running transaction has been told
        self._about: tuple[Context, Actor, str] | None = None  # the last text made, since contexts repeat
        self._heard: deque[str] = deque()
        self.prepared: set[str] = set()  # the functions whose calls the server knows

    def about(self, running: Context, actor: Actor) -> str:
        """Return what the running transaction is to be told."""
        if self._about is None or self._about[0] is not running or self._about[1] != actor:
            self._about = (running, actor, about(running, actor, echo=True))
        return self._about[2]

    def hear(self, diagnostic: Diagnostic) -> None:
        """psycopg's notice handler: keep an echo until the statement is done; it may not query from here."""
        if diagnostic.sqlstate == _ECHO_STATE and diagnostic.message_detail:
            self._heard.append(diagnostic.message_detail)

    def forget(self) -> None:
        """Drop what was heard of a statement that failed: it changed nothing, whatever its triggers said before."""
        self._heard.clear()

    def dispatch(self) -> None:
        """Have what was heard told to the application after commit."""
        connection = self.connection
        while self._heard:
            tell = partial(echo.send, self._heard.popleft(), using=connection.alias)
            if connection.in_atomic_block or connection.get_autocommit():
                # Robust: a receiver that raises is logged by Django and harms neither the others nor the caller.
                connection.on_commit(tell, robust=True)
            else:
                UNTOLD.inc()


def _noticed(begin: Callable[..., Any], state: State) -> Callable[..., Any]:
    """Return the driver's own `transaction()`, whose statements pass no cursor, with its end noticed."""

    @contextmanager
    def transaction(*args: Any, **kwargs: Any) -> Iterator[Any]:
        try:
            with begin(*args, **kwargs) as running:
                yield running
        finally:
            state.told = None

    return transaction


@cache
def _telling(factory: type[psycopg.Cursor[Any]]) -> type[psycopg.Cursor[Any]]:
    """Return `factory` with cursors that tell and hear."""

    class TellingCursor(factory):  # type: ignore[valid-type, misc]
        def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
            state: State = getattr(self.connection, _STATE)
            text = _text_of(query, self)
            to_tell = _what_to_tell(state, self.connection, text)
            try:
                if not to_tell:
                    result = super().execute(query, params, **kwargs)
                elif isinstance(self, psycopg.ClientCursor) and not self.connection.pgconn.pipeline_status:
                    result = self._execute_in_one_message(to_tell, query, text, params, kwargs)
                else:
                    # Bound on the server or in a pipeline, a message holds one statement.
                    with _one_transaction(self.connection):
                        super().execute(_setting(to_tell))
                        result = super().execute(query, params, **kwargs)
            except BaseException as error:
                state.forget()
                unavailable.refuse(error)
                raise
            state.dispatch()
            return result

        def _execute_in_one_message(self, to_tell: str, query: Any, text: str, params: Any, kwargs: Any) -> Any:
            is_alone = self.connection.pgconn.transaction_status == TransactionStatus.IDLE
            # As a parameter, it leaves the statement the same each time: psycopg takes a statement apart once.
            values: dict[str, Any] | tuple[Any, ...] | None
            if params is None:
                message, values = f"{_setting(to_tell)};{text}", None
            elif isinstance(params, Mapping):
                message = f"SET LOCAL audit.context = %({_PARAMETER})s;{text}"
                values = {**params, _PARAMETER: to_tell}
            else:
                message, values = f"SET LOCAL audit.context = %s;{text}", (to_tell, *params)
            try:
                result = super().execute(message, values, **kwargs)
            except psycopg.errors.InvalidTransactionTermination:
                # A procedure that commits wants the message for itself. All of this one was rolled back.
                if not (is_alone and self.connection.autocommit):
                    raise
                return super().execute(query, params, **kwargs)
            self.nextset()  # past the setting's own empty result
            return result

        def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> None:
            with self._told(_text_of(query, self)):
                super().executemany(query, params_seq, **kwargs)

        @contextmanager
        def copy(self, statement: Any, params: Any = None, **kwargs: Any) -> Iterator[Any]:
            with self._told(_text_of(statement, self)), super().copy(statement, params, **kwargs) as copying:
                yield copying

        @contextmanager
        def _told(self, text: str) -> Iterator[None]:
            """Run statements that can't share a message with the setting, in a transaction that knows."""
            state: State = getattr(self.connection, _STATE)
            to_tell = _what_to_tell(state, self.connection, text)
            try:
                with _one_transaction(self.connection) if to_tell else nullcontext():
                    if to_tell:
                        super().execute(_setting(to_tell))
                    yield
            except BaseException as error:
                state.forget()
                unavailable.refuse(error)
                raise
            state.dispatch()

    TellingCursor.__name__ = f"Telling{factory.__name__}"
    return cast("type[psycopg.Cursor[Any]]", TellingCursor)


def _what_to_tell(state: State, driver: Any, text: str) -> str:
    """Return the context that has to go ahead of a statement; empty where the transaction knows, or only reads."""
    if driver.pgconn.transaction_status == TransactionStatus.IDLE:
        state.told = None  # this statement begins a transaction, which knows nothing yet
    if _CONTROLS.match(text):
        if _ENDS.match(text):
            state.told = None  # with the transaction, or the part of it that is undone, the setting goes
        return ""
    told, running = state.told, current()
    if (told is None or told[0] is running) and ";" not in text and _READS.match(text):
        return ""
    actor = running.actor
    if told is not None and told[0] is running and told[1] == actor:
        return ""
    state.told = (running, actor)
    return state.about(running, actor)


def _setting(to_tell: str) -> str:
    literal = to_tell.replace("'", "''")
    return f"SET LOCAL audit.context = '{literal}'"


def _one_transaction(driver: Any) -> AbstractContextManager[Any]:
    """Return a transaction where none is open; the running one serves otherwise."""
    if driver.autocommit and driver.pgconn.transaction_status == TransactionStatus.IDLE:
        return cast("AbstractContextManager[Any]", driver.transaction())
    return nullcontext()


def _text_of(query: Any, cursor: Any) -> str:
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query.decode()
    return query.as_string(cursor) if isinstance(query, Composable) else str(query)
