"""What the blog does by itself."""

from celery import shared_task

from blog import actions


# Not recorded as a run: what it publishes is in the ledger, and most minutes there's nothing.
@shared_task(name="blog.publish_due_posts", is_recorded=False, ignore_result=True)  # type: ignore[untyped-decorator]
def publish_due_posts() -> int:
    """Publish the scheduled posts whose time has come, and return how many were."""
    return actions.publish_due_posts()
