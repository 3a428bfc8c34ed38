"""The ledger over REST: `/api/audit/`. Reading it needs a permission, a token a scope, and is recorded."""
