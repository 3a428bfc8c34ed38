"""An append-only ledger of every change, written by the database in the statement that makes the change.

Public: `track`, `register`, `exempt` say which models, `derives` what is made of their fields; `record` writes events
that are not rows; `reason` says why; `as_of` reads objects as they were.
"""

from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from audit.recording import reason, record
from audit.registry import derives, exempt, register, track

if TYPE_CHECKING:
    from django.db import models

    from audit.history.instances import AsOf

    M = TypeVar("M", bound=models.Model)

__all__ = ["as_of", "derives", "exempt", "reason", "record", "register", "track"]


def as_of(model: "type[M]", at: datetime, *, using: str = "default") -> "AsOf[M]":
    """Return the objects of a tracked model as they were at a time: `as_of(Post, time).get(pk=7)`, or iterate.

    Raises:
        ValueError: the model isn't tracked, or the time has no offset.
    """
    from audit.history.instances import AsOf  # it needs the models

    return AsOf(model, at, using=using)
