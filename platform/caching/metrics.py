"""What is counted of the caches. `level` is `page`, `fragment` or `value`; `tier` is `memory` (the process) or `redis`.

The hit ratio of a level is its hits, in either tier, over these and its rebuilds.
"""

from telemetry.metrics import counter, gauge, histogram

LOOKUPS = counter(
    "caching_lookups_total",
    "Look-ups: a hit, a miss, stale by a change, or aged, which is served only while another renews it.",
    ["level", "tier", "result"],
)
REBUILD_DURATION = histogram(
    "caching_rebuild_duration_seconds",
    "How long it took to make anew what wasn't there.",
    ["level"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
WAITS = counter(
    "caching_waits_total",
    "Readers that found another one rebuilding: they got the aged copy, waited, or gave up waiting.",
    ["level", "outcome"],
)
BYPASSES = counter(
    "caching_bypasses_total",
    "What was made without the cache: Redis was away, or a transaction was open.",
    ["level", "reason"],
)
UNSTORED = counter("caching_unstored_total", "What was made and may not be kept, by reason.", ["level", "reason"])
INVALIDATIONS = counter("caching_invalidations_total", "Generations moved on, by the kind of thing.", ["kind"])
UNSENT = gauge("caching_invalidations_unsent", "Generations to be moved on once Redis can be reached again.")
FAILURES = counter("caching_redis_failures_total", "Calls to Redis that failed; each opens the fuse for a second.")
