"""What can go wrong in the ledger; the docstring is the message where none is given."""

import psycopg


class AuditError(Exception):
    """The ledger refused."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.__doc__ or "")


class RegistrationError(AuditError):
    """A model is registered with the ledger in a way that contradicts itself."""


class LedgerUnavailableError(AuditError, psycopg.OperationalError):
    """The ledger can't be written, so the change was not made. Nothing is half-written; try again shortly.

    Django makes its `OperationalError` of it, whatever the database's own error was: code that takes an
    `IntegrityError` for a value that exists already must not take this for one.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(f"The ledger can't be written, so the change was not made: {reason or 'unknown'}")


class PartitionsError(AuditError):
    """No partition could be made. Nothing has changed, and the default partition takes what fits no other."""


class CursorError(AuditError):
    """This cursor is none that the ledger gave, or of another database. Begin anew without one."""


class FilterError(AuditError):
    """A filter of the ledger's search can't be used; `problems` has the messages by the filter's name."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(messages)}" for name, messages in problems.items()))
        self.problems = problems


class SearchTooLongError(AuditError):
    """This search took longer than a search may. Narrow the time with since and until, or add another filter."""


class PeriodError(AuditError):
    """This is no period that a report can be made of."""


class ExportError(AuditError):
    """This export can't be made."""


class TooManyExportsError(ExportError):
    """You have as many unfinished exports as one may have. Wait until one is finished."""


class ExportsUnavailableError(ExportError):
    """Exports in the background need Celery, and a place for their files: STORAGES["audit"]. Stream it instead."""


class ExportDeniedError(ExportError):
    """You may not export the ledger, or may no longer see what this export shows."""


class NotLoggedInError(AuditError):
    """Nobody is logged in here, or not any more."""


class TooManyTailsError(AuditError):
    """You have as many tails of the ledger open as one person may. Close one."""


class RestoreError(AuditError):
    """An object can't be restored; `problems` has the messages by the name of the field or parameter."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(messages)}" for name, messages in problems.items()))
        self.problems = problems


class RowChangedError(AuditError):
    """The row has changed since the plan was made, so nothing was restored. Look at a new plan."""
