"""A Django app of the suite: models of every kind, all tracked, so that the ledger can be shown to miss none."""
