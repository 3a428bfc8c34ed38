"""Another project, which takes `telemetry` from the wheel."""
