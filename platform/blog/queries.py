"""What is read from the blog. Lists leave the bodies in the database, and fetch authors along."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf

from accounts.models import User
from blog import limits, rules
from blog.models import Category, Comment, OldAddress, PendingCopy, Post, Report, Status, Subscription, Tag
from blog.sanitizing import Picture

_NEWEST_FIRST = (F("published_at").desc(), F("id").desc())
_TEXTS_OF_POST = ("post__body_html", "post__body_markdown", "post__document")
_NAMES = User.objects.only("id", "username", "display_name")


def published_posts() -> QuerySet[Post]:
    """Return the posts that everybody may read, newest first, as lists show them: without bodies."""
    return _for_lists(Post.objects.filter(status=Status.PUBLISHED)).order_by(*_NEWEST_FIRST)


def posts_visible_to(user: rules.Visitor) -> QuerySet[Post]:
    """Return the posts that `user` may read, whole, newest first; drafts come before what is published."""
    posts = _with_authors(_visible_to(user)).prefetch_related("tags")
    return posts.order_by(F("published_at").desc(nulls_first=True), F("id").desc())


def posts_to_show(user: rules.Visitor) -> QuerySet[Post]:
    """Return the posts that `user` may read, for one's page: whole, with `coauthor_ids` and `is_followed`."""
    coauthors = Post.coauthors.through.objects.filter(post=OuterRef("pk")).values("user")
    posts = _visible_to(user).select_related("author", "category").annotate(coauthor_ids=ArraySubquery(coauthors))
    if not isinstance(user, User):
        return posts.annotate(is_followed=Value(False))
    return posts.annotate(is_followed=Exists(Subscription.objects.filter(user=user, post=OuterRef("pk"))))


def drafts_visible_to(user: rules.Visitor) -> QuerySet[Post]:
    """Return the unpublished posts that `user` may read, last changed first, as lists show them."""
    drafts = _for_lists(_visible_to(user).exclude(status=Status.PUBLISHED))
    return drafts.order_by(F("updated_at").desc(), F("id").desc())


def _is_by(user: User) -> Q:
    # A subquery instead of a join, so that no post comes twice.
    return Q(author=user) | Q(pk__in=Post.coauthors.through.objects.filter(user=user).values("post"))


def _visible_to(user: rules.Visitor) -> QuerySet[Post]:
    if rules.can_manage_any_post(user):
        return Post.objects.all()
    visible = Q(status=Status.PUBLISHED)
    if isinstance(user, User):
        # A subquery instead of a join, so that no post comes twice.
        if user.has_perm("blog.review_post"):
            visible |= Q(status=Status.REVIEW) | Q(scheduled_by=user)
        visible |= Q(author=user) | Q(pk__in=Post.coauthors.through.objects.filter(user=user).values("post"))
    return Post.objects.filter(visible)


def posts_in(category: Category) -> QuerySet[Post]:
    """Return the published posts of a category, as `published_posts`."""
    return published_posts().filter(category=category)


def posts_tagged(tag: Tag) -> QuerySet[Post]:
    """Return the published posts with a tag, as `published_posts`."""
    return published_posts().filter(pk__in=Post.tags.through.objects.filter(tag=tag).values("post"))


def posts_by(author: User) -> QuerySet[Post]:
    """Return the published posts that somebody wrote, alone or with others, as `published_posts`."""
    return published_posts().filter(_is_by(author))


def categories() -> QuerySet[Category]:
    """Return all categories, each with `post_count`: how many of its posts are published."""
    return _with_post_counts(Category.objects.all())


def categories_in_use() -> QuerySet[Category]:
    """Return the categories that have published posts, as `categories`."""
    return _with_post_counts(Category.objects.all()).filter(post_count__gt=0)


def tags_in_use() -> QuerySet[Tag]:
    """Return the tags of published posts, each with `post_count`: those of drafts alone stay unknown."""
    return _with_post_counts(Tag.objects.all()).filter(post_count__gt=0)


def _with_post_counts(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.annotate(  # type: ignore[no-any-return]
        post_count=Count("posts", filter=Q(posts__status=Status.PUBLISHED))
    )


def authors() -> QuerySet[User]:
    """Return who has published posts, alone or with others."""
    published = Post.objects.filter(status=Status.PUBLISHED).values("pk")
    coauthored = Post.coauthors.through.objects.filter(user=OuterRef("pk"), post__in=published)
    own = Post.objects.filter(author=OuterRef("pk"), status=Status.PUBLISHED)
    return User.objects.filter(Exists(own) | Exists(coauthored)).order_by("username")


def addresses_of_posts() -> QuerySet[Post, tuple[str, datetime]]:
    """Return the slug of each published post and when it was changed, in an order that stays."""
    return Post.objects.filter(status=Status.PUBLISHED).order_by("id").values_list("slug", "updated_at")


def address_now(path: str) -> str:
    """Return where the published post is that once was at `path`; empty where there's none."""
    slug = slug_now(path)
    return Post(slug=slug).get_absolute_url() if slug else ""


def slug_now(path: str) -> str:
    """Return the slug of the published post that once was at `path`; empty where there's none."""
    path = path.strip("/")
    if not path or len(path) > limits.PATH_CHARACTERS:
        return ""
    old = OldAddress.objects.filter(path=path, post__status=Status.PUBLISHED)
    return old.values_list("post__slug", flat=True).first() or ""


def pending_copy_of(post: Post | None, user: User) -> PendingCopy | None:
    """Return what `user` typed into the editor of a post, or of a new one, and didn't save."""
    return PendingCopy.objects.filter(user=user, post=post).first()


def reviewers_of(post: Post) -> QuerySet[User]:
    """Return who may review the post: some of them, where they are many."""
    authors = [post.author_id, *post.coauthors.values_list("pk", flat=True)]
    reviewers = User.objects.with_perm("blog.review_post", is_active=True, include_superusers=False)
    return reviewers.exclude(pk__in=authors).order_by("pk")[: limits.REVIEWERS_TOLD]


def with_comment_counts(posts: QuerySet[Post]) -> QuerySet[Post]:
    """Return `posts`, each with `comment_count`."""
    visible = Q(comments__state=Comment.State.VISIBLE)
    return posts.annotate(comment_count=Count("comments", distinct=True, filter=visible))


def comments_of(post: Post) -> QuerySet[Comment]:
    """Return a post's comments with their authors, oldest first, replies among them."""
    names = ("author__username", "author__display_name")
    comments = Comment.objects.filter(post=post).select_related("author")
    return comments.only(
        *("id", "post_id", "parent_id", "thread_id", "state", "body_markdown", "body_html", "created_at", "updated_at"),
        *("author_id", *names),
    ).order_by("id")


def threads_of(post: Post) -> QuerySet[Comment]:
    """Return the first comments of a post's threads, as `comments_of`."""
    return comments_of(post).filter(thread__isnull=True)


def replies_in(post: Post, threads: Iterable[int]) -> QuerySet[Comment]:
    """Return the replies in some threads, as `comments_of`, each with the name of whom it replies to."""
    replies = comments_of(post).filter(thread__in=list(threads))
    name = Coalesce(NullIf("parent__author__display_name", Value("")), "parent__author__username")
    return replies.annotate(replies_to=name)


def comments_visible_to(user: rules.Visitor) -> QuerySet[Comment]:
    """Return the comments on posts that `user` may read."""
    return Comment.objects.filter(post__in=_visible_to(user).values("pk")).select_related("author", "post__author")


def reported_comments() -> QuerySet[Comment]:
    """Return the comments that wait for a moderator, what was reported first before the others, with `open_reports`."""
    waiting = Report.objects.filter(decision=Report.Decision.OPEN)
    first = waiting.filter(comment=OuterRef("pk")).order_by("pk").values("pk")[:1]
    reports = waiting.select_related("reporter").order_by("pk")
    comments = Comment.objects.filter(pk__in=waiting.values("comment")).annotate(first_report=Subquery(first))
    shown = comments.select_related("author", "post").defer(*_TEXTS_OF_POST)
    return shown.prefetch_related(Prefetch("reports", reports, to_attr="open_reports")).order_by("first_report")


def hidden_comments() -> QuerySet[Comment]:
    """Return the comments that moderators have hidden, newest first."""
    hidden = Comment.objects.filter(state=Comment.State.HIDDEN).select_related("author", "post")
    return hidden.defer(*_TEXTS_OF_POST).order_by("-id")


def reports_visible_to(user: rules.Visitor) -> QuerySet[Report]:
    """Return what was reported: to moderators all of it, to others what they reported."""
    reports = Report.objects.select_related("reporter", "decided_by", "comment")
    if rules.can_see_reports(user):
        return reports
    return reports.filter(reporter=user) if isinstance(user, User) else reports.none()


def subscriptions_of(user: User) -> QuerySet[Subscription]:
    """Return what `user` follows, the latest first."""
    found = Subscription.objects.filter(user=user).select_related("author", "category", "post")
    return found.defer(*_TEXTS_OF_POST).order_by("-id")


def is_following(user: rules.Visitor, what: User | Category | Post) -> bool:
    """Whether `user` is told of its news."""
    if not isinstance(user, User):
        return False
    if hasattr(what, "is_followed"):  # fetched along, by `posts_to_show`
        return bool(what.is_followed)
    field = "author" if isinstance(what, User) else "category" if isinstance(what, Category) else "post"
    return Subscription.objects.filter(user=user, **{field: what}).exists()


def page_of_comment(comment: Comment) -> int:
    """Return the number of the page of comments on which `comment` stands, below the first of its thread."""
    first = comment.thread_id or comment.pk
    before = Comment.objects.filter(post_id=comment.post_id, thread__isnull=True, id__lt=first).count()
    return before // limits.COMMENTS_PER_PAGE + 1


def pictures_of(post: Post) -> dict[str, Picture]:
    """Return the post's images by the names that its Markdown uses."""
    return {image.name: Picture(image.file.url, image.width, image.height) for image in post.images.all()}


def _with_authors(posts: QuerySet[Post]) -> QuerySet[Post]:
    return posts.select_related("author", "category").prefetch_related(Prefetch("coauthors", queryset=_NAMES))


def _for_lists(posts: QuerySet[Post]) -> QuerySet[Post]:
    return _with_authors(posts).only(
        *("id", "slug", "title", "description", "excerpt", "status", "published_at", "created_at", "updated_at"),
        *("publish_at", "author_id", "author__username", "author__display_name"),
        *("category__name", "category__slug"),
    )
