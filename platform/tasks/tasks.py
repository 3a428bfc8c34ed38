"""Housekeeping of the tasks themselves."""

from celery import shared_task

from tasks import actions


@shared_task(name="tasks.publish_waiting", is_recorded=False, ignore_result=True)  # type: ignore[untyped-decorator]
def publish_waiting() -> int:
    """Publish what stayed queued in the database, because of a crash or a broker that was down."""
    return actions.publish_waiting()
