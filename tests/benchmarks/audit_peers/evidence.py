"""What each library must have written: a benchmark of a library that silently records nothing would flatter it."""

from typing import Any

# Events that name who acted, by library; `%(user)s` is the acting user's key.
_EVENTS = {
    "ledger": "SELECT count(*) FROM audit_event WHERE actor_id = %(user)s::text AND request_id IS NOT NULL",
    "pghistory": (
        "SELECT count(*) FROM (SELECT pgh_context_id FROM library_articleevent "
        "UNION ALL SELECT pgh_context_id FROM library_remarkevent) e "
        "JOIN pghistory_context c ON c.id = e.pgh_context_id WHERE c.metadata ->> 'user' = %(user)s::text"
    ),
    "simple_history": (
        "SELECT (SELECT count(*) FROM library_historicalarticle WHERE history_user_id = %(user)s) "
        "+ (SELECT count(*) FROM library_historicalremark WHERE history_user_id = %(user)s)"
    ),
    "auditlog": "SELECT count(*) FROM auditlog_logentry WHERE actor_id = %(user)s AND remote_addr IS NOT NULL",
    "reversion": (
        "SELECT count(*) FROM reversion_version v JOIN reversion_revision r ON r.id = v.revision_id "
        "WHERE r.user_id = %(user)s"
    ),
    "easyaudit": "SELECT count(*) FROM easyaudit_crudevent WHERE user_id = %(user)s",
}
_EVENTS["ledger_telemetry"] = _EVENTS["ledger"]

# One operation's events where the library captures the work; what it isn't named for, it misses.
_PER_OPERATION = {"save": 1, "create": 1, "delete": 4, "update": 5_000, "raw": 1}
_IN_THE_DATABASE = {"ledger", "ledger_telemetry", "pghistory"}
_MISSED = {"reversion": {"delete"}}


def expected(library: str, work: str) -> int:
    """Return how many events one operation must make; 0 where the library is known to capture nothing."""
    if library.startswith("bare") or work in _MISSED.get(library, ()):
        return 0
    if work in ("update", "raw") and library not in _IN_THE_DATABASE:
        return 0
    return _PER_OPERATION[work]


def count(superuser: Any, library: str, user: int) -> int:
    """Return how many events the library holds that name who acted."""
    if library.startswith("bare"):
        return 0
    return int(superuser.execute(_EVENTS[library], {"user": user}).fetchone()[0])
