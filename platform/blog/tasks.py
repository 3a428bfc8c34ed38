"""What the blog does by itself."""

from celery import shared_task

from blog import actions
from blog.actions.announcing import tell_next_followers
from blog.caching import warming
from caching.errors import AwayError


# Not recorded as a run: what it publishes is in the ledger, and most minutes there's nothing.
@shared_task(name="blog.publish_due_posts", is_recorded=False, ignore_result=True)  # type: ignore[untyped-decorator]
def publish_due_posts() -> int:
    """Publish the scheduled posts whose time has come, and return how many were."""
    return actions.publish_due_posts()


# Not recorded as a run: it changes nothing, and beat sends it every two minutes.
@shared_task(name="blog.warm_cache", is_recorded=False, ignore_result=True)  # type: ignore[untyped-decorator]
def warm_cache() -> int:
    """Make the pages that visitors ask for most before they are over, and return how many were made."""
    try:
        return warming.warm_cache().made
    except AwayError:  # the next one comes soon, and pages are made without a cache meanwhile
        return 0


@shared_task(name="blog.tell_followers")  # type: ignore[untyped-decorator]
def tell_followers(announcement_id: int) -> int:
    """Tell the next followers of some news, and return how many there were."""
    return tell_next_followers(announcement_id)
