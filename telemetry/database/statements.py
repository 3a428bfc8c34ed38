"""What may be told of an SQL statement: its operation, its table, its text without literals, and its fingerprint."""

import hashlib
import re
from functools import lru_cache
from typing import Any

from telemetry.metrics import DATABASE_BUCKETS, histogram
from telemetry.tracing.attributes import FINGERPRINT

DURATION = histogram(
    "db_client_operation_duration_seconds",
    "Duration of database statements.",
    ["db_operation_name", "db_collection_name"],
    buckets=DATABASE_BUCKETS,
)
_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")
_TARGET = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN|TABLE|TRUNCATE)\s+(?:ONLY\s+)?(?:"?\w+"?\.)?"?(\w+)"?', re.IGNORECASE)
_FUNCTION = re.compile(r"SELECT\s+(?:\w+\.)?(\w+)\(", re.IGNORECASE)
_IN_LIST = re.compile(r"\(\s*%s(?:\s*,\s*%s)+\s*\)")
_ROWS = re.compile(r"(\(%s, …\))(?:\s*,\s*\(%s, …\))+")
_CUT_ROW = re.compile(r"(?<=…),?[\s(%s,]*$")
_LONGEST = 4_000
# Django numbers its savepoints by thread.
_SAVEPOINT = re.compile(r'"?s\d+_x\d+"?')


class Statement:
    """One kind of statement.

    `operation` is as `SELECT`, `target` its first table or function, `summary` both (semantic conventions), `text`
    parametrised and cut, `fingerprint` 16 hexadecimal digits of its digest; `attributes` are those of its spans.
    """

    __slots__ = ("attributes", "fingerprint", "observe", "operation", "summary", "target", "text")

    def __init__(self, operation: str, target: str, text: str) -> None:
        self.operation = operation
        self.target = target
        self.text = text
        self.summary = f"{operation} {target}".rstrip()
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
        # Looked up once for each kind, and not for each statement.
        self.observe = DURATION.labels(operation, target).observe
        self.attributes: dict[str, Any] = {
            "db.system.name": "postgresql",
            "db.operation.name": operation,
            "db.collection.name": target,
            "db.query.summary": self.summary,
            "db.query.text": text,
            FINGERPRINT: self.fingerprint,
        }


@lru_cache(maxsize=2_048)
def describe(sql: str) -> Statement:
    """Return what may be told of `sql`; literals become `?`, long lists of parameters and of rows one."""
    text = _LITERAL.sub("?", _SAVEPOINT.sub("s", sql[:_LONGEST]))
    text = _ROWS.sub(r"\1, …", _IN_LIST.sub("(%s, …)", text))
    if len(sql) > _LONGEST:
        text = _CUT_ROW.sub("", text)
    return _by_text(" ".join(text.split())[:2_000])


@lru_cache(maxsize=2_048)
def _by_text(text: str) -> Statement:
    operation = text.split(" ", 1)[0].upper() if text else ""
    match = _TARGET.search(text) or _FUNCTION.match(text)
    return Statement(operation[:20], match[1] if match else "", text)
