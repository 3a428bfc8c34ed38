"""Spans: cheap ones of our own, libraries' by OpenTelemetry's SDK; sampled by rule, and out by a bounded pipeline."""
