"""What the metrics lose, as metrics."""

from telemetry.metrics.families import counter
from telemetry.metrics.store import store

SERIES_REFUSED = counter(
    "telemetry_metric_series_refused_total",
    "Look-ups of series that were one too many for their metric, and are counted under _OTHER.",
    ["metric"],
    known=["_OTHER"],  # where even the metric's own name finds no room
)
EXEMPLARS_REFUSED = counter(
    "telemetry_metric_exemplars_refused_total", "Exemplars that OpenMetrics doesn't take, such as too long ones."
)
FILES_UNREADABLE = counter(
    "telemetry_metrics_files_unreadable_total",
    "Files of metrics that a scrape, or the process that took the slot, found damaged; what it could read counts.",
)


def _count(what: str, name: str = "") -> None:
    if what == "file":
        FILES_UNREADABLE.inc()
    elif what == "exemplar":
        EXEMPLARS_REFUSED.inc()
    elif name != SERIES_REFUSED.family.name:  # which would find no room either
        SERIES_REFUSED.labels(name).inc()


store.tell_losses_to(_count)
