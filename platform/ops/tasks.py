"""What operations do by themselves, at night."""

from celery import shared_task

from ops.cleanup import actions

# As the longest export: an hour later Redis would take the message for lost, and hand it to another worker.
_LIMITS = {"soft_time_limit": 50 * 60, "time_limit": 55 * 60}


@shared_task(name="ops.clean_up", unique=True, ignore_result=True, **_LIMITS)  # type: ignore[untyped-decorator]
def clean_up() -> int:
    """Remove all that is of no more use, and return how many things it was."""
    return sum(heap.count for heap in actions.clean_up())


@shared_task(name="ops.clean_up_sessions", unique=True, ignore_result=True, **_LIMITS)  # type: ignore[untyped-decorator]
def clean_up_sessions() -> int:
    """Remove expired sessions, and return how many there were."""
    return sum(heap.count for heap in actions.clean_up(["sessions"]))
