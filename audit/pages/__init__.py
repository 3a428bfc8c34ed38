"""The ledger as pages, below `/audit/`. They extend the project's `base.html`."""
