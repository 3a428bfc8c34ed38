"""Seeded posts into the database, many a statement; and out of it again."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.seeding.copying import copy_in
from accounts.seeding.marks import EMAIL_ENDING, FIRST_ID, LAST_ID, marked_id
from blog import limits
from blog.markdown import excerpt_of
from blog.models import Comment, Image, Post
from blog.seeding.composing import Blog, Plan, Said
from blog.seeding.shelves import Shelves, delete_seeded_shelves, seed_shelves
from blog.slugs import free_slug
from notifications.models import Notification

T = TypeVar("T")
U = TypeVar("U")
Row = dict[str, Any]
Progress = Callable[[int], None]

# A path in a source never begins with a slash, so no imported post has one like it.
SOURCE_BEGINNING = "/seed_data/"
_POSTS_AT_ONCE = 500
_TOLD_FOR = timedelta(days=60)
_UNREAD_FOR = timedelta(days=4)


def seeded_posts() -> QuerySet[Post]:
    """Return the posts that `seed_posts` made."""
    return Post.objects.filter(source_path__startswith=SOURCE_BEGINNING)


def seed_posts(blog: Blog, count: int, *, progress: Progress | None = None) -> Counter[str]:
    """Create what is missing of the blog's first `count` posts, with what is said of them; return how many of each.

    Posts that are there stay as they are, with their comments. Some hundred posts are one transaction, so that an
    interrupted run leaves whole ones, and another goes on. `progress` is told how far it is, in posts.
    """
    shelves, made = seed_shelves()
    for composed in _one_ahead(partial(_compose, blog, shelves), _missing(blog, count)):
        with transaction.atomic():
            made += _write(blog, shelves, composed)
        if progress:
            progress(composed.plans[-1].number)
    return made


@dataclass(frozen=True, slots=True)
class _Composed:
    """Some posts and comments that aren't written yet; a comment stands with the place of its post."""

    plans: list[Plan]
    posts: list[Row]
    said: list[tuple[int, Said]]


def _missing(blog: Blog, count: int) -> Iterator[list[int]]:
    """Give the numbers of the posts that aren't there, some hundred at a time."""
    for numbers in _portions(range(1, count + 1), _POSTS_AT_ONCE):
        paths = {_path(blog, number): number for number in numbers}
        present = set(seeded_posts().filter(source_path__in=paths).values_list("source_path", flat=True))
        if missing := [number for path, number in paths.items() if path not in present]:
            yield missing


def _one_ahead(make: Callable[[T], U], values: Iterable[T]) -> Iterator[U]:
    """Give what `make` makes of each value; a thread makes the next meanwhile, since the database has work too."""
    with ThreadPoolExecutor(1) as thread:
        pending: Future[U] | None = None
        for value in values:
            following = thread.submit(make, value)
            if pending:
                yield pending.result()
            pending = following
        if pending:
            yield pending.result()


def _compose(blog: Blog, shelves: Shelves, numbers: list[int]) -> _Composed:
    composed = _Composed([], [], [])
    for place, number in enumerate(numbers):
        source = blog.source_of(number)
        plan = blog.plan(number, source)
        composed.plans.append(plan)
        composed.posts.append(_post(blog, shelves, plan, source))
        composed.said.extend((place, said) for said in blog.comments(plan, source))
    return composed


def _write(blog: Blog, shelves: Shelves, composed: _Composed) -> Counter[str]:
    plans, said = composed.plans, composed.said
    _give_free_slugs(composed.posts)
    post_ids = copy_in(Post, composed.posts)
    tagged = [
        {"post_id": post_id, "tag_id": shelves.tags[name]}
        for post_id, plan in zip(post_ids, plans, strict=True)
        for name in plan.tags
    ]
    copy_in(Post.tags.through, tagged)
    comment_ids = copy_in(Comment, [_comment(blog, post_ids[place], one) for place, one in said])
    told = [
        _notification(blog, plans[place], one, comment_id)
        for (place, one), comment_id in zip(said, comment_ids, strict=True)
        if one.said_at > blog.until - _TOLD_FOR and one.author != plans[place].author
    ]
    Notification.objects.bulk_create(told)
    return Counter(posts=len(plans), comments=len(said), notifications=len(told))


def _post(blog: Blog, shelves: Shelves, plan: Plan, source: Random) -> Row:
    description, lead, markdown, html = blog.text(plan, source)
    return {
        "author_id": blog.people[plan.author].pk,
        "title": plan.title,
        "slug": plan.slug,
        "description": description,
        "body_markdown": markdown,
        "body_html": html,
        "excerpt": lead if len(lead) <= limits.EXCERPT_CHARACTERS else excerpt_of(html),
        "category_id": shelves.categories[plan.topic],
        "status": plan.status.value,
        "published_at": plan.published_at,
        "created_at": plan.created_at,
        "updated_at": plan.updated_at,
        "source_path": _path(blog, plan.number),
    }


def _give_free_slugs(posts: list[Row]) -> None:
    """Change the slugs that others have; among themselves they differ by number."""
    slugs = [post["slug"] for post in posts]
    taken = set(Post.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    for post in posts:
        if post["slug"] in taken:
            post["slug"] = free_slug(post["slug"])


def _comment(blog: Blog, post_id: int, said: Said) -> Row:
    return {
        "post_id": post_id,
        "author_id": blog.people[said.author].pk,
        "body_markdown": said.piece.markdown,
        "body_html": said.piece.html,
        "created_at": said.said_at,
        "updated_at": said.said_at,
    }


def _notification(blog: Blog, plan: Plan, said: Said, comment_id: int) -> Notification:
    is_read = said.said_at < blog.until - _UNREAD_FOR
    return Notification(
        recipient=blog.people[plan.author],
        kind="comment",
        title=f"{blog.people[said.author].name} commented on “{plan.title}”",
        url=Comment(pk=comment_id).get_absolute_url(),
        created_at=said.said_at,
        latest_at=said.said_at,
        read_at=said.said_at + timedelta(hours=9) if is_read else None,
        source_task_id=marked_id(comment_id),
    )


def delete_seeded_posts(*, progress: Progress | None = None) -> Counter[str]:
    """Delete seeded posts with their comments and notifications, and return how many of each.

    A post to which somebody else has given a comment or an image is theirs as well: it stays, as `kept_posts`.
    """
    others = Comment.objects.filter(post=OuterRef("pk")).exclude(author__email__endswith=EMAIL_ENDING)
    deletable = seeded_posts().exclude(Exists(others)).exclude(Exists(Image.objects.filter(post=OuterRef("pk"))))
    deleted: Counter[str] = Counter()
    for ids in _portions(deletable.values_list("pk", flat=True).iterator(), _POSTS_AT_ONCE):
        with transaction.atomic():
            # Locked, so that nobody comments in between; asked again, since somebody may have done so before.
            posts = Post.objects.filter(
                pk__in=list(deletable.filter(pk__in=ids).select_for_update().values_list("pk", flat=True))
            )
            _, rows = posts.delete()
        deleted += Counter(posts=rows.get("blog.Post", 0), comments=rows.get("blog.Comment", 0))
        if progress:
            progress(deleted["posts"])
    _, rows = Notification.objects.filter(source_task_id__range=(FIRST_ID, LAST_ID)).delete()
    deleted += Counter(notifications=rows.get("notifications.Notification", 0))
    return deleted + delete_seeded_shelves() + Counter(kept_posts=seeded_posts().count())


def _path(blog: Blog, number: int) -> str:
    return f"{SOURCE_BEGINNING}{blog.seed}/{number}"


def _portions(values: Iterable[T], size: int) -> Iterator[list[T]]:
    portion: list[T] = []
    for value in values:
        portion.append(value)
        if len(portion) == size:
            yield portion
            portion = []
    if portion:
        yield portion
