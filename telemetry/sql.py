"""What may be told of an SQL statement: its operation, its table and its text without literals."""

import re
from functools import lru_cache
from typing import NamedTuple

_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")
_TARGET = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN|TABLE|TRUNCATE)\s+(?:ONLY\s+)?(?:"?\w+"?\.)?"?(\w+)"?', re.IGNORECASE)
_FUNCTION = re.compile(r"SELECT\s+(?:\w+\.)?(\w+)\(", re.IGNORECASE)
_IN_LIST = re.compile(r"\(\s*%s(?:\s*,\s*%s)+\s*\)")


class Statement(NamedTuple):
    """`operation` as `SELECT`, `target` as its first table or function, `text` parametrised and cut."""

    operation: str
    target: str
    text: str

    @property
    def summary(self) -> str:
        """The low-cardinality name of the statement: `{operation} {target}` (semantic conventions)."""
        return f"{self.operation} {self.target}".rstrip()


@lru_cache(maxsize=2_048)
def describe(sql: str) -> Statement:
    """Return what may be told of `sql`; literals become `?`, long lists of parameters one."""
    text = _LITERAL.sub("?", sql[:4_000])
    text = " ".join(_IN_LIST.sub("(%s, …)", text).split())
    operation = text.split(" ", 1)[0].upper() if text else ""
    match = _TARGET.search(text) or _FUNCTION.match(text)
    return Statement(operation[:20], match[1] if match else "", text[:2_000])
