"""What is counted of accounts, besides what the ledger records."""

from telemetry.metrics import counter

UNCOUNTED = counter(
    "accounts_sockets_uncounted_total",
    "Sockets let in by the numbers of their own process alone, since Redis was away.",
)
