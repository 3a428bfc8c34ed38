"""What to look at first in a story, in words: errors, retries, missing pushes, repeated and slow queries, waits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audit.models import Event
from ops.exceptions import said
from ops.lines import Line, told
from ops.pushes import Push
from ops.runs import Task
from ops.statements import Kind
from ops.steps import Span
from telemetry.tracing.attributes import REPEATED_STATEMENTS

_SLOW_QUERY_MS = 100.0
_LONG_WAIT_MS = 1_000.0
_MOST_OF_A_KIND = 3
_TIMES = {1: "once", 2: "twice"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: `weight` is `bad`, `warn` or `info`; `key` is the row that shows it, empty for none."""

    weight: str
    title: str
    text: str
    key: str = ""


def findings_of(
    *,
    spans: Sequence[Span],
    kinds: Sequence[Kind],
    tasks: Sequence[Task],
    pushes: Sequence[Push],
    lines: Sequence[Line],
    events: Sequence[Event],
) -> list[Finding]:
    """Return what stands out, the worst first; of each kind a few."""
    found = [
        *_few(_errors(spans)),
        *_few(_tasks(tasks)),
        *_few(_denials(events)),
        *_few(_pushes(pushes)),
        *_few(_lines(lines)),
        *_few(_repeats(spans, kinds)),
        *_few(_waits(tasks)),
        *_slowest(kinds),
    ]
    weights = ("bad", "warn", "info")
    return sorted(found, key=lambda finding: weights.index(finding.weight))


def _few(findings: Iterator[Finding]) -> list[Finding]:
    every = list(findings)
    left = every[_MOST_OF_A_KIND:]
    return [*every[:_MOST_OF_A_KIND], *([Finding(left[0].weight, left[0].title, f"{len(left)} more")] if left else [])]


def _errors(spans: Sequence[Span]) -> Iterator[Finding]:
    seen: set[str] = set()
    # The innermost first: what failed there went up through the others.
    for span in sorted(spans, key=lambda span: span["start_ns"], reverse=True):
        if span["attributes"].get("celery.task"):
            continue  # told with its task
        for note in span["events"]:
            if note["name"] == "exception" and (text := said(note["attributes"])) not in seen:
                seen.add(text)
                yield Finding("bad", "Error", f"{span['name']} failed: {text}", span["span_id"])
    for span in spans:
        status = span["attributes"].get("http.response.status_code")
        if span["kind"] == "server" and isinstance(status, int) and status >= 500 and not seen:
            yield Finding("bad", "Error", f"{span['name']} was answered with {status}.", span["span_id"])


def _tasks(tasks: Sequence[Task]) -> Iterator[Finding]:
    for task in tasks:
        key = next((attempt.key for attempt in reversed(task.attempts) if attempt.key), "")
        last = task.attempts[-1] if task.attempts else None
        if task.has_failed:
            reason = (last.reason if last else "") or task.error
            tried = f" after {len(task.attempts)} attempts" if len(task.attempts) > 1 else ""
            yield Finding("bad", "Task failed", f"{task.name} was given up{tried}: {reason or 'no reason known'}", key)
        elif task.retries:
            count = len(task.retries)
            times = _TIMES.get(count, f"{count} times")
            reason = task.retries[-1].reason or "no reason known"
            text = f"{task.name} was tried again {times}, because of {reason}"
            yield Finding("warn", "Retried", text, task.retries[-1].key or key)


def _denials(events: Sequence[Event]) -> Iterator[Finding]:
    for event in events:
        if event.outcome == "denied":
            about = f" of {event.object_type} {event.object_id}" if event.object_id else ""
            yield Finding("warn", "Denied", f"{event.action}{about} was denied.", f"event-{event.pk}")


def _pushes(pushes: Sequence[Push]) -> Iterator[Finding]:
    for push in pushes:
        where = f"“{push.type}” to {push.group}" if push.group else f"“{push.type}”"
        if not push.was_sent:
            yield Finding("bad", "Push missing", f"{where} could not be sent.", push.key)
        elif push.is_missing:
            # As a rule nobody was there: no fault, but what somebody who waited for it wants to know.
            text = "was sent, and no socket is known to have had it: nobody had that page open, or it was lost."
            yield Finding("info", "Push missing", f"{where} {text}", push.key)
        elif push.lost:
            text = f"{where} did not reach {push.lost:,} of {push.sockets:,} sockets: "
            yield Finding("bad", "Push missing", f"{text}{push.dropped:,} dropped, {push.failed:,} failed.", push.key)


def _lines(lines: Sequence[Line]) -> Iterator[Finding]:
    """What is only told in a log line: a push that was dropped before it was sent, a publish that failed."""
    for line in lines:
        # An exception's line, and a repeated query's, say what the spans say as well.
        if line.is_quiet or line.exception or line.event in ("db.repeated_statement", "task.retry", "task.failed"):
            continue
        title = "Push missing" if "push" in line.event else "Logged"
        about = f" ({told(line.fields)})" if line.fields else ""
        yield Finding("bad" if line.is_error else "warn", title, f"{line.event}{about}", line.key)


def _repeats(spans: Sequence[Span], kinds: Sequence[Kind]) -> Iterator[Finding]:
    seen = False
    for kind in kinds:
        if kind.is_repeated:
            seen = True
            site = f" at {kind.sites[0][0]}" if kind.sites else ""
            text = f"{kind.summary} ran {kind.repeats:,} times{site}, {kind.total_ms:,.0f} ms in all."
            yield Finding("warn", "N+1", text, kind.slowest_key)
    if seen:
        return
    for span in spans:  # whose statements aren't all here
        marks = span["attributes"].get(REPEATED_STATEMENTS)
        for mark in marks if isinstance(marks, list) else ():
            yield Finding("warn", "N+1", str(mark), span["span_id"])


def _waits(tasks: Sequence[Task]) -> Iterator[Finding]:
    for task in tasks:
        for attempt in task.attempts:
            if attempt.number == 1 and (attempt.wait_ms or 0.0) >= _LONG_WAIT_MS:
                text = f"{task.name} waited {(attempt.wait_ms or 0) / 1_000:,.1f} s for a worker of queue {task.queue}."
                yield Finding("warn", "Long wait", text, f"{attempt.key}-wait")


def _slowest(kinds: Sequence[Kind]) -> list[Finding]:
    # To end a transaction or open a connection is no query, and told only where it's slow.
    told = [kind for kind in kinds if kind.is_statement or kind.slowest_ms >= _SLOW_QUERY_MS]
    slowest = max(told, key=lambda kind: kind.slowest_ms, default=None)
    if slowest is None or slowest.slowest_ms < 1:
        return []
    site = f" at {slowest.sites[0][0]}" if slowest.sites else ""
    weight = "warn" if slowest.slowest_ms >= _SLOW_QUERY_MS else "info"
    text = f"{slowest.summary} took {slowest.slowest_ms:,.0f} ms{site}."
    return [Finding(weight, "Slowest query", text, slowest.slowest_key)]
