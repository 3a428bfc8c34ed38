"""Requests, spans, log lines and metrics: cheap, bounded, fails open, and counts what it lost."""
