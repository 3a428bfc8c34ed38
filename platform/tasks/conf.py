"""The settings of background tasks, one function each."""

from django.conf import settings


def lease_seconds() -> float:
    """Return `TASKS_LEASE_SECONDS`: how long a worker has a task without a sign of life from it; 30 by default.

    Workers renew it all along, so it says how soon a task goes on whose worker was lost.
    """
    return float(getattr(settings, "TASKS_LEASE_SECONDS", 30))


def round_seconds() -> float:
    """Return `TASKS_ROUND_SECONDS`: how often a worker renews its leases, and sweeps; 5 by default.

    A worker may miss some rounds: it should be a fifth of the lease at the most.
    """
    return float(getattr(settings, "TASKS_ROUND_SECONDS", 5))


def unsent_seconds() -> float:
    """Return `TASKS_UNSENT_SECONDS`: how old a task is before the sweep sends it for its caller; 10 by default."""
    return float(getattr(settings, "TASKS_UNSENT_SECONDS", 10))


def lost_seconds() -> float:
    """Return `TASKS_LOST_SECONDS`: how long a message is waited for before it may count as lost; 30 by default."""
    return float(getattr(settings, "TASKS_LOST_SECONDS", 30))


def backoff_seconds() -> float:
    """Return `TASKS_BACKOFF_SECONDS`: how long to wait after a first lost attempt; 2 by default.

    Each further one doubles it.
    """
    return float(getattr(settings, "TASKS_BACKOFF_SECONDS", 2))
