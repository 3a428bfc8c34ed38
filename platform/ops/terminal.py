"""A story as text for a terminal: what to look at first, the tree of spans with their bars, tasks, pushes, lines."""

from collections.abc import Callable, Iterator, Sequence

from ops.lookup import Row
from ops.pushes import Push
from ops.runs import Task
from ops.statements import Kind
from ops.steps import Step
from ops.story import Story
from ops.templatetags.waterfall import milliseconds, tag
from telemetry.redaction import clean

Paint = Callable[[str, str], str]  # a text and what it is: `bad`, `warn`, `head`, `faint`

# One for each lane, so that they differ without colour.
_GLYPHS = {
    "request": "█",
    "socket": "█",
    "task": "▓",
    "wait": "·",
    "push": "▒",
    "sql": "━",
    "cache": "╌",
    "call": "▬",
    "log": "◆",
}
_NARROWEST = 60
_TOOK_WIDTH = 9
_MOST_KINDS = 8


def plain(text: str, kind: str) -> str:
    """Paint nothing."""
    return text


def as_text(story: Story, *, width: int = 100, paint: Paint = plain) -> str:
    """Return the story as lines; those of the tree have at most `width` characters."""
    width = max(_NARROWEST, width)
    lines = [*_head(story, paint), *_findings(story, paint), ""]
    lines += [line for step in story.steps for line in _step(step, story, width, paint)]
    lines += _section("SQL", [_kind(kind, paint) for kind in story.statements[:_MOST_KINDS]], paint)
    lines += _section("Tasks", [line for task in story.tasks for line in _task(task, paint)], paint)
    lines += _section("Sockets", [_push(push, paint) for push in story.pushes], paint)
    lines += _section(
        "In the ledger, at no span",
        [clean(f"  {event.action} {event.object_id or ''}") for event in story.events],
        paint,
    )
    said = [clean(f"  {milliseconds(line.at_ms):>9}  {line.level:<8} {line.event}") for line in story.lines]
    lines += _section("Log lines", said, paint)
    lines += _section("Missing", [f"  {sentence}" for sentence in story.missing], paint)
    return "\n".join(lines)


def rows_as_text(rows: Sequence[Row]) -> str:
    """Return a list of requests, one in a line."""
    return "\n".join(
        f"{row.request_id}  {row.begun_at:%Y-%m-%d %H:%M:%S}  {row.status or '—':>3}  "
        f"{milliseconds(row.duration_ms):>9}  {clean(row.name)}  {', '.join(row.actions[:3])}".rstrip()
        for row in rows
        if row.begun_at
    )


def _head(story: Story, paint: Paint) -> Iterator[str]:
    summary = story.summary
    told = [
        f"{summary['status']}" if summary.get("status") else "",
        milliseconds(summary.get("duration_ms")) if summary.get("duration_ms") is not None else "",
        f"by {summary.get('actor') or 'anonymous'}",
        f"at {str(summary.get('started_at', ''))[:23].replace('T', ' ')} UTC" if summary.get("started_at") else "",
        f"in {', '.join(summary['processes'])}" if summary.get("processes") else "",
    ]
    yield paint(clean(str(summary.get("name") or "Request")), "head")
    yield clean("  ".join(filter(None, told)))
    yield paint(f"request {story.request_id}  trace {summary.get('trace_id', '—')}", "faint")


def _findings(story: Story, paint: Paint) -> Iterator[str]:
    yield ""
    for finding in story.findings:
        yield f"{paint(f'{finding.title:<13}', finding.weight)} {clean(finding.text)}"
    if not story.findings:
        yield "Nothing stands out."


def _step(step: Step, story: Story, width: int, paint: Paint) -> Iterator[str]:
    bar_width = max(16, (width - _TOOK_WIDTH) * 2 // 5)
    name_width = width - _TOOK_WIDTH - bar_width - 2
    times = f" {step.count}x" + (" N+1" if step.is_repeated else "") if step.count > 1 else ""
    where = f" [{step.process}]" if step.is_elsewhere else ""
    indent = "  " * step.depth
    text = f"{indent}{'✗ ' if step.is_error else ''}{tag(step.lane)} {step.name}{times}{where}"
    if step.about and len(text) + 3 < name_width:
        text += f"  {step.about}"
    text = clean(text)
    text = text if len(text) <= name_width else f"{text[: name_width - 1]}…"
    took = "" if step.lane == "log" else milliseconds(step.duration_ms)
    kind = "bad" if step.is_error else "warn" if step.is_repeated else "plain"
    bar = _bar(step, story, bar_width)
    yield f"{paint(f'{text:<{name_width}}', kind)} {paint(bar, kind)} {took:>{_TOOK_WIDTH}}"
    for event in step.events:
        yield paint(clean(f"{indent}    ledger: {event.action} {event.object_id or ''}".rstrip()), "faint")


def _bar(step: Step, story: Story, width: int) -> str:
    drawn = [" "] * width
    glyph = _GLYPHS.get(step.lane, "─")
    for pause in story.timeline.pauses:
        drawn[min(width - 1, int((pause.left + pause.width / 2) * width / 100))] = "┊"
    for begin_ms, duration_ms in step.bars:
        first = min(width - 1, int(story.timeline.place(begin_ms) * width / 100))
        last = min(width, max(first + 1, round(story.timeline.place(begin_ms + duration_ms) * width / 100)))
        drawn[first:last] = glyph * (last - first)
    return "".join(drawn)


def _section(title: str, lines: list[str], paint: Paint) -> list[str]:
    return ["", paint(title, "head"), *lines] if lines else []


def _kind(kind: Kind, paint: Paint) -> str:
    mark = paint("  N+1", "warn") if kind.is_repeated else ""
    site = f"  {kind.sites[0][0]}" if kind.sites else ""
    return f"  {kind.count:>4}x  {milliseconds(kind.total_ms):>9}  {clean(kind.summary)}{mark}{clean(site)}"


def _task(task: Task, paint: Paint) -> Iterator[str]:
    state = paint(task.state_label or "not begun", "bad" if task.has_failed else "plain")
    yield f"  {task.name}  {state}  asked for at {milliseconds(task.asked_ms)}  {task.id}"
    for attempt in task.attempts:
        waited = f", waited {milliseconds(attempt.wait_ms)}" if attempt.wait_ms else ""
        ran = f", ran {milliseconds(attempt.duration_ms)}" if attempt.duration_ms is not None else ""
        yield f"    {attempt.number}. {attempt.state}, begun at {milliseconds(attempt.begin_ms)}{waited}{ran}"
        if attempt.reason:
            yield f"       {paint(clean(attempt.reason), 'warn')}"


def _push(push: Push, paint: Paint) -> str:
    where = clean(f" to {push.group}" if push.group else "")
    if not push.was_sent:
        return f"  {push.type}{where}: {paint('not sent', 'bad')}"
    if push.is_missing:
        return f"  {push.type}{where}: {paint('no delivery known', 'warn')}"
    lost = paint(f", {push.dropped} dropped, {push.failed} failed", "bad") if push.lost else ""
    last = f", the last after {milliseconds(push.figures['last'])}" if "last" in push.figures else ""
    return f"  {push.type}{where}: {push.delivered} of {push.sockets} delivered{last}{lost}"
