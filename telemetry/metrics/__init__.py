"""Prometheus metrics whose counts outlive the process that made them, and are read once for a whole machine.

Every process counts in memory-mapped files named after a slot that it holds by a lock (`slots`, `values`, `exemplars`).
A process that comes takes a free slot and counts on in its files, so files are as many as processes ever ran at once.
A scrape adds them up (`scrape`), and prometheus_client writes them out (`exposition`); what is counted by
prometheus_client itself is among them (`clients`). Owners declare their metrics with `counter`, `gauge` and
`histogram`, in base units.
"""

from telemetry.metrics import clients as _clients
from telemetry.metrics import own as _own  # noqa: F401  # what is lost is counted from the first metric on
from telemetry.metrics.exposition import exposed_registry
from telemetry.metrics.families import Counter, Gauge, Histogram, counter, gauge, histogram
from telemetry.metrics.store import store as _store

_clients.share(_store)

# Buckets of the semantic conventions, in seconds.
HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
DATABASE_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
TASK_BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

__all__ = [
    "DATABASE_BUCKETS",
    "HTTP_BUCKETS",
    "TASK_BUCKETS",
    "Counter",
    "Gauge",
    "Histogram",
    "counter",
    "exposed_registry",
    "gauge",
    "histogram",
]
