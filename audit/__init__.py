"""An append-only ledger of every change, written by the database in the statement that makes the change.

Public: `track`, `register`, `exempt` say which models; `record` writes events that are not rows; `reason` says why.
"""

from audit.recording import reason, record
from audit.registry import exempt, register, track

__all__ = ["exempt", "reason", "record", "register", "track"]
