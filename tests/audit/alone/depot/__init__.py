"""A tiny project of somebody else, which knows of audit and telemetry what docs/audit.md says, and of Glasshouse
nothing."""
