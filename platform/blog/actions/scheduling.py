"""Posts that publish themselves: planned by a person, done for them by a task when the time has come."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from blog import limits, rules
from blog.actions.posts import locked_post, release
from blog.errors import InvalidError, NotAllowedError
from blog.models import Post, Status
from notifications.actions import request_notification
from telemetry.context import Actor, bind
from telemetry.logs import get_logger

log = get_logger(__name__)

_MOST_A_RUN = 500


def schedule_post(post: Post, *, actor: User, publish_at: datetime, version: str | None = None) -> Post:
    """Have a post published at a time to come, by `actor`; where it's scheduled already, at another time.

    Raises:
        ConflictError: `version` is given, and the post is another one by now.
        InvalidError: on `publish_at`, where the time is past or too far away, or the post is published.
    """
    rules.require(rules.can_publish_post, actor, post, action="schedule_post")
    with transaction.atomic():
        post = locked_post(post, version)
        if post.is_published:
            raise InvalidError(publish_at="This post is published already; take it back to a draft first.")
        plan_release(post, actor, publish_at)
    return post


def plan_release(post: Post, actor: User, publish_at: datetime) -> None:
    """Have a locked post published at a time to come; who may is for the caller to ask. Raises as `schedule_post`."""
    require_time_to_come(publish_at)
    if (post.publish_at, post.scheduled_by_id) != (publish_at, actor.pk):
        post.status, post.publish_at, post.scheduled_by = Status.SCHEDULED, publish_at, actor
        post.save(update_fields=["status", "publish_at", "scheduled_by"])


def unschedule_post(post: Post, *, actor: User, version: str | None = None) -> Post:
    """Take a scheduled post back to a draft; others stay as they are.

    Raises:
        ConflictError: `version` is given, and the post is another one by now.
    """
    rules.require(rules.can_unschedule_post, actor, post, action="unschedule_post")
    with transaction.atomic():
        post = locked_post(post, version)
        if post.is_scheduled:
            _back_to_draft(post)
    return post


def require_time_to_come(publish_at: datetime) -> None:
    """Raise InvalidError on `publish_at` unless a post can be scheduled for it."""
    if publish_at.tzinfo is None:
        raise InvalidError(publish_at="This needs its offset from UTC; write 2030-01-31T09:00Z.")
    now = timezone.now()
    if publish_at <= now:
        raise InvalidError(publish_at=f"This is past: it's {now:%Y-%m-%d %H:%M} UTC now. Choose a time to come.")
    if publish_at > now + timedelta(days=limits.SCHEDULE_DAYS):
        raise InvalidError(publish_at=f"This is more than {limits.SCHEDULE_DAYS:,} days away; choose an earlier time.")


def publish_due_posts() -> int:
    """Publish each scheduled post whose time has come, and return how many were; safe to run twice at once.

    The ledger tells of each as the doing of whoever scheduled it. One that can't be published holds up no other.
    """
    due = Post.objects.filter(status=Status.SCHEDULED, publish_at__lte=timezone.now())
    failures: list[Exception] = []
    count = 0
    for pk in list(due.order_by("publish_at", "id").values_list("pk", flat=True)[:_MOST_A_RUN]):
        try:
            count += _publish_if_due(pk)
        except Exception as error:
            log.exception("blog.scheduled_post_failed", post_id=pk)
            failures.append(error)
    if failures:
        raise failures[0]  # so that the run counts as failed; the next one tries again
    return count


def _publish_if_due(pk: int) -> bool:
    with transaction.atomic():
        # Whatever another run has locked it publishes; what was changed meanwhile isn't found.
        due = Post.objects.select_for_update(skip_locked=True, of=("self",)).select_related("author", "scheduled_by")
        post = due.filter(pk=pk, status=Status.SCHEDULED, publish_at__lte=timezone.now()).first()
        if post is None or post.scheduled_by is None:
            return False
        person = post.scheduled_by
        with bind(actor_source=Actor("user", str(person.pk), person.get_username())):
            try:
                rules.require(rules.can_publish_post, person, post, action="publish_post")
            except NotAllowedError:
                log.warning("blog.scheduled_post_refused", post_id=post.pk, user_id=person.pk)
                _back_to_draft(post)
                _tell(post, person, f"“{post.title}” was not published: {person.name} may no longer publish it")
                return False
            release(post)
            _tell(post, person, f"“{post.title}” is published, as scheduled")
    log.info("blog.scheduled_post_published", post_id=post.pk)
    return True


def _back_to_draft(post: Post) -> None:
    post.status, post.publish_at, post.scheduled_by = Status.DRAFT, None, None
    post.save(update_fields=["status", "publish_at", "scheduled_by"])


def _tell(post: Post, person: User, title: str) -> None:
    """Tell the authors and whoever scheduled it: nobody of them was there."""
    people = {user.pk: user for user in [person, post.author, *post.coauthors.all()] if user.is_active}
    for recipient in people.values():
        request_notification(recipient, kind="schedule", actor=None, title=title, url=post.get_absolute_url())
