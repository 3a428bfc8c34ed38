"""What is counted of the processes' own state."""

from itertools import product

from telemetry.metrics import counter, gauge

READINESS_CHECKS = counter(
    "config_readiness_checks_total",
    "Checks that probes of readiness made, by outcome.",
    ["check", "outcome"],
    known=list(product(("database", "migrations", "redis", "ledger"), ("ok", "warning", "failed"))),
)
PROCESSES = gauge(
    "config_processes",
    "Processes that run, by what they are, the release of their code, and where people find the site.",
    ["process", "release", "public_url"],
)
