"""What it looks like when the ledger can't be written: the change it belongs to has not been made."""

import re
from collections.abc import Iterator

import psycopg

from audit.errors import LedgerUnavailableError
from telemetry.logs import get_logger
from telemetry.metrics import counter

log = get_logger("audit")

RETRY_AFTER_SECONDS = 5
DETAIL = "This can't be recorded at the moment, so it was not done. Please try again in a few seconds."

FAILURES = counter("audit_write_failures_total", "Changes undone since the ledger could not be written.", ["reason"])

# The functions that write the ledger, as the server names them in an error's context, in whatever language it speaks.
_WRITERS = re.compile(r"\baudit_(?:capture_[^(\n]*|record_v\d+)\(")
_RECORD = re.compile(r"\baudit_record_v\d+\b")
_REASONS = {
    "42501": "permission",
    "42883": "missing",  # function
    "42P01": "missing",  # table
    "42703": "missing",  # column
    "53100": "disk_full",
    "53200": "out_of_memory",
    "55P03": "lock_timeout",
    "57014": "cancelled",
    "40001": "conflict",
    "40P01": "conflict",
}
_REASONS_BY_CLASS = {"23": "constraint", "53": "resources", "58": "system", "XX": "corruption"}


def is_ledger_failure(error: BaseException) -> bool:
    """Whether `error`, or what it was raised from, is the database's refusal to write the ledger."""
    return any(isinstance(link, LedgerUnavailableError) or _is_of_a_writer(link) for link in _chain(error))


def count(error: BaseException) -> None:
    """Count a ledger failure in `audit_write_failures_total`, once, however often and wrapped in what it comes by."""
    for link in _chain(error):
        if _is_of_a_writer(link):
            if not getattr(link, "is_counted_by_audit", False):
                link.is_counted_by_audit = True  # type: ignore[attr-defined]
                FAILURES.labels(reason_of(link)).inc()
            return


def refuse(error: BaseException) -> None:
    """Count a ledger failure, and raise LedgerUnavailableError from it; return where `error` is none."""
    if _is_of_a_writer(error):
        count(error)
        failure = LedgerUnavailableError(message_of(error))
        failure.sqlstate = getattr(error, "sqlstate", None)  # without one it would mean that no server answered
        raise failure from error


def reason_of(error: BaseException) -> str:
    """Return in a word why the ledger couldn't be written; one of few, for a metric's label."""
    for link in _chain(error):
        if isinstance(link, psycopg.Error) and link.sqlstate:
            return _REASONS.get(link.sqlstate) or _REASONS_BY_CLASS.get(link.sqlstate[:2], "other")
    return "other"


def message_of(error: BaseException) -> str:
    """Return what the database said, for a log line: without its details, which hold the values of the row."""
    for link in _chain(error):
        if isinstance(link, psycopg.Error) and link.diag.message_primary:
            return link.diag.message_primary
    return type(error).__name__


def report(error: BaseException) -> None:
    """Count a ledger failure, and write its log line."""
    count(error)
    log.error("audit.ledger_unavailable", reason=reason_of(error), error=message_of(error))


def _is_of_a_writer(error: BaseException) -> bool:
    if not isinstance(error, psycopg.Error) or not error.sqlstate:
        return False
    if _WRITERS.search(error.diag.context or ""):
        return True
    # A function that is gone or forbidden fails before there is a context, and its name is in the message.
    return error.sqlstate in ("42501", "42883") and _RECORD.search(error.diag.message_primary or "") is not None


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
