"""`manage audit_report`: a period's summary."""
