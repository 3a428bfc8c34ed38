"""What can be wrong with a task, and how an error is told."""

from celery.exceptions import Ignore

from tasks.messages import storable
from tasks.models import LONGEST_ERROR
from telemetry.redaction import hide


class TasksError(Exception):
    """Something is wrong with a background task."""


class StaleAttemptError(TasksError, Ignore):  # type: ignore[misc]
    """This attempt has lost its lease: another worker has the task by now, and what this one writes doesn't count."""


class TaskCancelledError(TasksError):
    """Somebody cancelled this task."""


class NotAllowedError(TasksError):
    """You may not do that to this task."""


class NotPossibleError(TasksError):
    """The task's state doesn't allow that. The message says why."""


class ReasonMissingError(TasksError, ValueError):
    """Say why: the reason goes into the ledger."""


class FilterError(TasksError):
    """A filter of the list of tasks can't be used; `problems` has the messages by the filter's name."""

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(messages)}" for name, messages in problems.items()))
        self.problems = problems


class KeyFormError(TasksError, ValueError):
    """This is no place in the list of tasks. Begin at its newest."""


class OutsideTaskError(TasksError, RuntimeError):
    """Only a running task can do this."""


def describe_error(error: BaseException) -> str:
    """Return an error's class and message without secrets, capped, in one line that PostgreSQL can store."""
    text = hide(storable(f"{type(error).__name__}: {error}"))
    return " ".join(text.split())[:LONGEST_ERROR]
