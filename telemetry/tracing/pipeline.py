"""Finished spans on their way out: for each exporter a bounded queue and one thread, and a count of everything lost.

It fails open: a full queue, a Redis that is down or a collector that refuses costs spans, never requests. Each exporter
has a lane of its own, so that a collector that is slow doesn't keep the request page waiting.
"""

import atexit
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from opentelemetry.context import Context as OtelContext
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry.context import current
from telemetry.logs import get_logger
from telemetry.metrics import counter
from telemetry.tracing.attributes import REQUEST_ID
from telemetry.tracing.exporters import default_exporters
from telemetry.tracing.finished import Finished

log = get_logger("telemetry")
CAPACITY = 16_384  # spans that wait, in each lane
# Encoding holds the interpreter's lock, and requests wait for it: more at once would show in their p99.
_BATCH = 64
_INTERVAL_SECONDS = 0.25
_LONGEST_SHUTDOWN_SECONDS = 3.5
_GIVING_UP_SECONDS = 0.5
_MOST_LOST_REQUESTS = 1_000

DROPPED = counter("telemetry_spans_dropped_total", "Spans that were lost, by reason.", ["reason"])
EXPORTED = counter("telemetry_spans_exported_total", "Spans handed on, by exporter.", ["exporter"])


class _Single:
    """A span of the SDK."""

    __slots__ = ("span",)

    def __init__(self, span: ReadableSpan) -> None:
        self.span = span

    def spans(self, resource: Resource) -> Iterator[ReadableSpan]:
        yield self.span


class _Waiting:
    __slots__ = ("count", "finished", "request_id")

    def __init__(self, finished: Finished, count: int, request_id: str) -> None:
        self.finished = finished
        self.count = count
        self.request_id = request_id


class Lane:
    """One exporter, its queue and its thread."""

    def __init__(self, exporter: SpanExporter, resource: Callable[[], Resource], capacity: int = CAPACITY) -> None:
        self.exporter = exporter
        self.name = type(exporter).__name__
        self._resource = resource
        self._capacity = capacity
        self._queue: deque[_Waiting] = deque()
        self._leaving: list[_Waiting] = []  # what the running export holds
        self._count = 0
        self._lost: Counter[str] = Counter()
        self._changing = threading.Lock()
        self._exporting = threading.Lock()
        self._wake = threading.Event()
        self._is_stopped = False
        self._is_failing = False
        self._thread: threading.Thread | None = None

    def put(self, waiting: _Waiting) -> None:
        """Queue what is finished; count it as lost where the queue is full."""
        with self._changing:
            has_room = self._count + waiting.count <= self._capacity
            if has_room:
                self._queue.append(waiting)
                self._count += waiting.count
        if not has_room:
            self._lose([waiting], "queue_full")
            return
        if self._thread is None and not self._is_stopped:
            self._thread = threading.Thread(target=self._run, name=f"telemetry-{self.name}", daemon=True)
            self._thread.start()
        if self._count >= _BATCH * 4:
            self._wake.set()

    def flush(self, timeout_seconds: float) -> bool:
        """Hand on all that waits, in the calling thread."""
        if not self._exporting.acquire(timeout=timeout_seconds):
            return False
        try:
            self._export_waiting()
        finally:
            self._exporting.release()
        return True

    def stop(self, timeout_seconds: float) -> None:
        """Hand on what waits within the time; count the rest as lost."""
        self._is_stopped = True
        self._wake.set()
        flushing = threading.Thread(target=self.flush, args=[timeout_seconds], daemon=True)
        flushing.start()
        flushing.join(timeout_seconds)
        self.exporter.shutdown()  # an export that still waits gives up by this, as a rule
        flushing.join(_GIVING_UP_SECONDS)
        with self._changing:
            left = [*self._leaving, *self._queue]
            self._queue.clear()
            self._leaving = []
            self._count = 0
        self._lose(left, "shutdown")

    def _run(self) -> None:
        while not self._is_stopped:
            self._wake.wait(_INTERVAL_SECONDS)
            self._wake.clear()
            with self._exporting:
                self._export_waiting()

    def _export_waiting(self) -> None:
        with suppress_instrumentation():  # an exporter's own calls would be told of, and exported, for ever
            self._export_all()

    def _export_all(self) -> None:
        if self._lost and (note := getattr(self.exporter, "note_lost", None)) is not None:
            self._tell_lost(note)
        # What comes meanwhile waits for the next round: it would go out in batches of one.
        waiting = self._count
        while waiting > 0 and (batch := self._take()):
            waiting -= sum(one.count for one in batch)
            self._leaving = batch
            reason = ""
            try:
                is_done = self._export([waiting.finished for waiting in batch])
            except Exception as error:
                is_done = False
                reason = type(error).__name__
            with self._changing:
                if not self._leaving:
                    return  # given up, and counted, by the end of the process
                self._leaving = []
            if is_done:
                EXPORTED.labels(self.name).inc(sum(waiting.count for waiting in batch))
            else:
                self._lose(batch, "failed")
            self._note_state(is_failing=not is_done, reason=reason)

    def _export(self, batch: list[Finished]) -> bool:
        """Hand on a batch: whole pieces of work as they are to the exporter that takes them so, which costs a third."""
        export_works = getattr(self.exporter, "export_works", None)
        if export_works is not None:
            works = [one for one in batch if not isinstance(one, _Single)]
            if works and (too_many := export_works(works)):
                DROPPED.labels("request_limit").inc(too_many)
            batch = [one for one in batch if isinstance(one, _Single)]
        spans = [span for one in batch for span in one.spans(self._resource())]
        return not spans or self.exporter.export(spans) is SpanExportResult.SUCCESS

    def _note_state(self, *, is_failing: bool, reason: str) -> None:
        """Log when exports begin to fail and when they work again: losses are counted, a line for each helps nobody."""
        if is_failing is self._is_failing:
            return
        self._is_failing = is_failing
        if is_failing:
            log.warning("telemetry.export_failing", exporter=self.name, reason=reason or None)
        else:
            log.info("telemetry.export_recovered", exporter=self.name)

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        count = 0
        with self._changing:
            while self._queue and (count == 0 or count + self._queue[0].count <= _BATCH):
                batch.append(self._queue.popleft())
                count += batch[-1].count
            self._count -= count
        return batch

    def _lose(self, lost: Iterable[_Waiting], reason: str) -> None:
        for waiting in lost:
            DROPPED.labels(f"{self.name}_{reason}").inc(waiting.count)
            with self._changing:
                if waiting.request_id and (waiting.request_id in self._lost or len(self._lost) < _MOST_LOST_REQUESTS):
                    self._lost[waiting.request_id] += waiting.count

    def _tell_lost(self, note: Callable[[Counter[str]], None]) -> None:
        with self._changing:
            told, self._lost = self._lost, Counter()
        try:
            note(told)
        except Exception:  # later, then
            with self._changing:
                self._lost.update(told)


class SpanPipeline(SpanProcessor):
    """Takes what is finished, and hands it to each exporter."""

    def __init__(
        self,
        resource: Callable[[], Resource],
        exporters: Sequence[SpanExporter] | None = None,
        capacity: int = CAPACITY,
    ) -> None:
        self._resource = resource
        self._capacity = capacity
        self._lanes = None if exporters is None else self._lanes_of(exporters)
        self._is_stopped = False
        self._changing = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)
        atexit.register(self.shutdown)

    def submit(self, finished: Finished, count: int, request_id: str = "") -> None:
        """Take over what is finished: `count` spans of a request."""
        if self._is_stopped:
            DROPPED.labels("shutdown").inc(count)
            return
        lanes = self._lanes
        if lanes is None:
            lanes = self._open()
        waiting = _Waiting(finished, count, request_id)
        for lane in lanes:
            lane.put(waiting)

    def count_dropped(self, reason: str, count: int) -> None:
        """Count spans that never came here."""
        DROPPED.labels(reason).inc(count)

    def on_start(self, span: Span, parent_context: OtelContext | None = None) -> None:
        """Stamp an SDK's span with the id of the request it belongs to."""
        if request_id := current().request_id:
            span.set_attribute(REQUEST_ID, request_id)

    def on_end(self, span: ReadableSpan) -> None:
        """Take over an SDK's span that is sampled."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.submit(_Single(span), 1, str((span.attributes or {}).get(REQUEST_ID, "")))

    def use_exporters(self, exporters: Sequence[SpanExporter]) -> None:
        """Hand on what waits, and use these from now on; for tests."""
        self.force_flush()
        self._lanes = self._lanes_of(exporters)

    def use_default_exporters(self) -> None:
        """Undo `use_exporters`."""
        self.force_flush()
        self._lanes = None

    def force_flush(self, timeout_millis: int = 5_000) -> bool:
        """Hand on all that waits, in the calling thread; for the end of a process and for tests."""
        are_done = [lane.flush(timeout_millis / 1_000) for lane in self._lanes or ()]  # each, whatever the first says
        return all(are_done)

    def shutdown(self) -> None:
        """Hand on what can be within some four seconds, count the rest as lost, and take no more."""
        if self._is_stopped:
            return
        self._is_stopped = True
        stopping = [
            threading.Thread(target=lane.stop, args=[_LONGEST_SHUTDOWN_SECONDS], daemon=True)
            for lane in self._lanes or ()
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join(_LONGEST_SHUTDOWN_SECONDS + 2 * _GIVING_UP_SECONDS)

    def _open(self) -> list[Lane]:
        with self._changing:
            if self._lanes is None:
                self._lanes = self._lanes_of(default_exporters())
            return self._lanes

    def _lanes_of(self, exporters: Sequence[SpanExporter]) -> list[Lane]:
        return [Lane(exporter, self._resource, self._capacity) for exporter in exporters]

    def _after_fork(self) -> None:
        # The parent's threads, locks and connections aren't ours; its waiting spans are its own to hand on.
        self._lanes = None
        self._changing = threading.Lock()
