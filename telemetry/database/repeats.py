"""N+1: one query that runs again and again within one piece of work, as a rule once for each row of another."""

from telemetry import conf
from telemetry.logs import get_logger
from telemetry.metrics import counter
from telemetry.tracing.attributes import REPEATED_STATEMENTS
from telemetry.tracing.work import Work, running

log = get_logger("database")
REPEATED = counter(
    "db_repeated_statements_total", "Pieces of work that ran one query too often (N+1).", ["origin", "operation"]
)


def begin_anew() -> None:
    """Count from zero: what follows does the same for the next of many, such as a page that is made ahead."""
    if (work := running()) is not None:
        work.repeats.clear()


def tell(work: Work, operation: str) -> None:
    """Warn of each query that ran more often than allowed, and mark the work's span with it."""
    if not work.repeat_sites:
        return
    REPEATED.labels(work.origin, operation).inc()
    marks = []
    for statement, site in work.repeat_sites.items():
        count = work.repeats.get(statement, conf.repeats_allowed() + 1)
        marks.append(f"{statement.summary} ({count} times)" + (f" at {site}" if site else ""))
        log.warning(
            "db.repeated_statement",
            operation=operation,
            summary=statement.summary,
            fingerprint=statement.fingerprint,
            count=count,
            allowed=conf.repeats_allowed(),
            call_site=site or None,
        )
    work.span.set_attribute(REPEATED_STATEMENTS, marks)
