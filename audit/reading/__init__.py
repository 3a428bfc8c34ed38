"""Reads of the ledger: who may see what, what may be asked, and how events are shown."""
