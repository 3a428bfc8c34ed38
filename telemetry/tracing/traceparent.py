"""The `traceparent` header: one span named across processes (W3C Trace Context)."""

import re

from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, TraceFlags

# Version ff is forbidden; versions after 00 may have more fields, which are left alone.
_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_LONGEST = 256


def parse(value: str) -> SpanContext | None:
    """Return the remote span that a `traceparent` names; None where it is missing or broken."""
    if not value or len(value) > _LONGEST:
        return None
    match = _FORM.fullmatch(value)
    if match is None or (match[1] == "00" and match[5]):
        return None
    remote = SpanContext(
        int(match[2], 16), int(match[3], 16), is_remote=True, trace_flags=TraceFlags(int(match[4], 16) & 1)
    )
    return remote if remote.is_valid else None


def of(context: SpanContext) -> str:
    """Return the `traceparent` that names `context`; empty where it is no valid span."""
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def of_current() -> str:
    """Return the running span's `traceparent`; empty where there is none."""
    return of(trace.get_current_span().get_span_context())


def links_to(value: str) -> list[Link]:
    """Return the link to the span that a `traceparent` names; none where it is missing or broken."""
    remote = parse(value)
    return [Link(remote)] if remote else []
