"""Following the ledger as it grows, by socket and by command."""
