"""News for followers, told in the background and in batches: a new post once ever, a comment once each.

An announcement's row says how far it has come. Whoever tells the next ones has it locked until they are told, so that
a task that runs twice goes on where the first stopped, and nobody is told twice.
"""

from celery import current_app
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import User
from blog import limits
from blog.mentions import mentioned_in
from blog.models import Announcement, Comment, Post, Subscription
from notifications.actions import request_notification
from telemetry.logs import get_logger

log = get_logger(__name__)


def announce_post(post: Post) -> None:
    """Have the followers of a post's authors and category told that it's published, unless they were before."""
    announcement, is_new = Announcement.objects.get_or_create(post=post)
    if is_new:
        _go_on(announcement)


def announce_comment(comment: Comment) -> None:
    """Have those who follow the post told of a comment."""
    if Subscription.objects.filter(post=comment.post_id).exclude(user=comment.author_id).exists():
        _go_on(Announcement.objects.create(comment=comment))


def tell_next_followers(announcement_id: int) -> int:
    """Tell the next ones, and return how many there were; where there are more, another task goes on."""
    with transaction.atomic():
        rows = Announcement.objects.select_for_update(of=("self",))
        announcement = rows.filter(pk=announcement_id, is_done=False).first()
        if announcement is None:
            return 0
        post, comment = announcement.post, announcement.comment
        followers = _of_comment(comment) if comment else _of_post(post) if post else User.objects.none()
        people = list(followers.filter(pk__gt=announcement.told_up_to).order_by("pk")[: limits.FOLLOWERS_AT_ONCE])
        for person in people:
            if comment:
                _tell_of_comment(person, comment)
            elif post:
                _tell_of_post(person, post)
        if len(people) == limits.FOLLOWERS_AT_ONCE:
            announcement.told_up_to = people[-1].pk
            announcement.save(update_fields=["told_up_to"])
            _go_on(announcement)
        elif comment:
            announcement.delete()
        else:
            announcement.is_done = True
            announcement.save(update_fields=["is_done"])
    log.info("blog.followers_told", announcement_id=announcement_id, count=len(people))
    return len(people)


def _go_on(announcement: Announcement) -> None:
    # By its name: the module of the tasks imports this one.
    current_app.signature("blog.tell_followers", (announcement.pk,)).delay()


def _of_post(post: Post) -> QuerySet[User]:
    if not post.is_published:
        return User.objects.none()
    authors = [post.author_id, *post.coauthors.values_list("pk", flat=True)]
    wanted = Q(author__in=authors)
    if post.category_id:
        wanted |= Q(category=post.category_id)
    return _active(Subscription.objects.filter(wanted)).exclude(pk__in=authors)


def _of_comment(comment: Comment) -> QuerySet[User]:
    if not comment.is_visible or not comment.post.is_published:
        return User.objects.none()
    told = [comment.author_id, comment.post.author_id, *comment.post.coauthors.values_list("pk", flat=True)]
    told += [user.pk for user in mentioned_in(comment.body_markdown)]
    if comment.parent:
        told.append(comment.parent.author_id)
    return _active(Subscription.objects.filter(post=comment.post_id)).exclude(pk__in=told)


def _active(subscriptions: QuerySet[Subscription]) -> QuerySet[User]:
    return User.objects.filter(pk__in=subscriptions.values("user"), is_active=True)


def _tell_of_post(person: User, post: Post) -> None:
    title = f"{post.author.name} published “{post.title}”"
    request_notification(person, kind="subscription", actor=None, title=title, url=post.get_absolute_url())


def _tell_of_comment(person: User, comment: Comment) -> None:
    request_notification(
        person,
        kind="subscription",
        actor=comment.author,
        title=f"{comment.author.name} commented on “{comment.post.title}”",
        url=comment.get_absolute_url(),
        topic=f"blog.post-{comment.post_id}",
        topic_title=f"“{comment.post.title}”",
    )
