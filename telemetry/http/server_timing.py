"""The `Server-Timing` header, which browsers' developer tools draw (W3C Server Timing)."""

from telemetry.tracing.work import Work


def server_timing(work: Work, elapsed_ns: int) -> str:
    """Return what the answer took, in milliseconds, and what of it the database and the caches."""
    parts = [f"total;dur={elapsed_ns / 1e6:.1f}"]
    for name, nanoseconds, count, of_what in (
        ("db", work.statement_ns, work.statements, "statements"),
        ("cache", work.cache_ns, work.cache_operations, "cache operations"),
        ("http", work.call_ns, work.calls, "calls out"),
    ):
        if count:
            parts.append(f'{name};dur={nanoseconds / 1e6:.1f};desc="{count} {of_what}"')
    return ", ".join(parts)
