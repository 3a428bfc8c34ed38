"""Posts, their images and comments.

`body_html` and `excerpt` are made from the Markdown at each write, so that a page costs no rendering. They are
derived, so the ledger leaves them out, and has them made again where it brings an object back.
"""

import secrets
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

import audit
from blog import limits
from blog.search.document import CONFIG, Undocumented, document_of_post


class Status(models.TextChoices):
    DRAFT = "draft", "Draft"
    REVIEW = "review", "In review"
    SCHEDULED = "scheduled", "Scheduled"
    PUBLISHED = "published", "Published"


@audit.track()
class Category(models.Model):
    """A shelf of the blog; each post stands on one of them at most."""

    name = models.CharField(max_length=limits.CATEGORY_CHARACTERS, unique=True)
    slug = models.SlugField(max_length=limits.CATEGORY_CHARACTERS, unique=True)
    description = models.CharField(max_length=limits.DESCRIPTION_CHARACTERS, blank=True)

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("blog:category", args=[self.slug])


@audit.track()
class Tag(models.Model):
    """A word that posts are found by. However it's written, its slug tells whether it's the same."""

    name = models.CharField(max_length=limits.TAG_CHARACTERS)
    slug = models.SlugField(max_length=limits.TAG_CHARACTERS, unique=True, allow_unicode=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("blog:tag", args=[self.slug])


@audit.track(exclude=["body_html", "excerpt", "document"])
class Post(models.Model):
    """An article. A draft is seen by those who write it alone."""

    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="posts")
    coauthors = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="coauthored_posts", blank=True)
    title = models.CharField(max_length=limits.TITLE_CHARACTERS)
    slug = models.SlugField(max_length=limits.SLUG_CHARACTERS, unique=True)
    description = models.CharField(
        max_length=limits.DESCRIPTION_CHARACTERS,
        blank=True,
        help_text="One or two sentences for lists and search engines.",
    )
    body_markdown = models.TextField()
    body_html = models.TextField(editable=False)
    excerpt = models.CharField(max_length=limits.EXCERPT_CHARACTERS, blank=True, editable=False)
    category = models.ForeignKey(Category, on_delete=models.SET_NULL, related_name="posts", null=True, blank=True)
    tags = models.ManyToManyField(Tag, related_name="posts", blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    published_at = models.DateTimeField(null=True, blank=True)
    # When it publishes itself, and for whom.
    publish_at = models.DateTimeField(null=True, blank=True)
    scheduled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    # Why it was sent back from its review, until it's there again.
    review_note = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    # What an imported post is known by in its source; a second import finds it again.
    source_path = models.CharField(max_length=500, unique=True, null=True, blank=True, editable=False)
    document = document_of_post()

    objects = Undocumented()

    class Meta:
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="blog_post_status_known"),
            models.CheckConstraint(
                condition=Q(status=Status.PUBLISHED, published_at__isnull=False)
                | (~Q(status=Status.PUBLISHED) & Q(published_at__isnull=True)),
                name="blog_post_published_at_iff_published",
            ),
            models.CheckConstraint(
                condition=Q(status=Status.SCHEDULED, publish_at__isnull=False, scheduled_by__isnull=False)
                | (~Q(status=Status.SCHEDULED) & Q(publish_at__isnull=True, scheduled_by__isnull=True)),
                name="blog_post_publish_at_iff_scheduled",
            ),
            models.CheckConstraint(condition=~Q(title="") & ~Q(slug=""), name="blog_post_title_and_slug_set"),
        ]
        indexes = [
            models.Index(
                F("published_at").desc(),
                F("id").desc(),
                condition=Q(status=Status.PUBLISHED),
                name="blog_post_published",
            ),
            models.Index("publish_at", condition=Q(status=Status.SCHEDULED), name="blog_post_due"),
            models.Index("author", F("updated_at").desc(), name="blog_post_author_updated"),
            GinIndex(fields=["document"], name="blog_post_document"),
            GinIndex(SearchVector("title", config=CONFIG), name="blog_post_title_words"),
        ]
        permissions = [
            ("publish_post", "Can publish own posts"),
            ("review_post", "Can review posts of others, and publish them"),
            ("unpublish_post", "Can unpublish any post"),
            ("manage_post", "Can see, change, publish and delete any post"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("blog:post", args=[self.slug])

    @property
    def is_published(self) -> bool:
        """Whether everybody may read it."""
        return self.status == Status.PUBLISHED

    @property
    def is_in_review(self) -> bool:
        """Whether it waits for somebody to approve it."""
        return self.status == Status.REVIEW

    @property
    def version(self) -> str:
        """What tells the post as it is from what it was and will be: who saves says which one they changed."""
        return f"{self.updated_at.isoformat()}/{self.status}"

    @property
    def is_scheduled(self) -> bool:
        """Whether it publishes itself at `publish_at`."""
        return self.status == Status.SCHEDULED

    @property
    def summary(self) -> str:
        """What lists say of it: the author's description, or the start of the text."""
        return self.description or self.excerpt


@audit.exempt(reason="What somebody typed and didn't save, for them alone; what they save is recorded.")
class PendingCopy(models.Model):
    """What one person typed into the editor of a post, or of a new one, since they last saved.

    A draft needs none, as it's saved while it's typed; what waits for a review or is public isn't.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="pending_copies", null=True, blank=True)
    title = models.TextField(blank=True)
    description = models.TextField(blank=True)
    body = models.TextField(blank=True)
    category = models.TextField(blank=True)
    tags = models.TextField(blank=True)
    version = models.CharField(max_length=60, blank=True, help_text="Of the post when its editor was opened.")
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "pending copies"
        constraints = [
            models.UniqueConstraint(fields=["user", "post"], name="blog_pending_one_of_post"),
            models.UniqueConstraint(fields=["user"], condition=Q(post__isnull=True), name="blog_pending_one_new"),
        ]

    def __str__(self) -> str:
        return f"pending copy {self.pk}"


@audit.track()
class OldAddress(models.Model):
    """Where a post was once found: its slug before a new one, or its place on the site it came from."""

    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="old_addresses")
    path = models.CharField(max_length=limits.PATH_CHARACTERS, unique=True, help_text="Without slashes around it.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "old addresses"

    def __str__(self) -> str:
        return f"/{self.path}"


def image_path(image: Any, filename: str) -> str:
    """Return a random path for an image's file; nothing of the name it came with gets into the file system."""
    name = secrets.token_hex(16)
    return f"blog/{name[:2]}/{name}{PurePath(filename).suffix}"


@audit.track()
class Image(models.Model):
    """A picture of one post; `name` is what the post's Markdown calls it."""

    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="images")
    file = models.FileField(upload_to=image_path, max_length=200)
    name = models.CharField(max_length=255)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    alt = models.TextField(blank=True)
    checksum_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["post", "name"], name="blog_image_name_of_post"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="blog_image_has_size"),
        ]

    def __str__(self) -> str:
        return self.name


@audit.track(exclude=["body_html"])
class Comment(models.Model):
    """What a reader says to a post, or replies to another; replies of a thread stand below its first comment."""

    class State(models.TextChoices):
        VISIBLE = "visible", "Visible"
        HIDDEN = "hidden", "Hidden by a moderator"
        DELETED = "deleted", "Deleted"

    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="comments")
    # What it replies to, and the first comment of that thread; None of a first comment.
    parent = models.ForeignKey("self", on_delete=models.CASCADE, related_name="replies", null=True, blank=True)
    thread = models.ForeignKey("self", on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.VISIBLE, db_default=State.VISIBLE)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="comments")
    body_markdown = models.TextField()
    body_html = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(parent__isnull=True, thread__isnull=True) | Q(parent__isnull=False, thread__isnull=False),
                name="blog_comment_thread_iff_reply",
            )
        ]
        indexes = [
            models.Index(fields=["post", "id"], name="blog_comment_post_order"),
            models.Index(fields=["post", "id"], condition=Q(thread__isnull=True), name="blog_comment_first"),
            models.Index("id", condition=Q(state="hidden"), name="blog_comment_hidden"),
        ]

    def __str__(self) -> str:
        return f"comment {self.pk} on {self.post_id}"

    def get_absolute_url(self) -> str:
        """Return the permanent link; it leads to the page of comments on which this one stands."""
        return reverse("blog:comment", args=[self.pk])

    @property
    def is_visible(self) -> bool:
        """Whether its words are shown: neither hidden nor deleted."""
        return self.state == self.State.VISIBLE

    @property
    def shown_markdown(self) -> str:
        """What readers see of its words, as they were written; empty where it's nothing."""
        return self.body_markdown if self.is_visible else ""

    @property
    def shown_html(self) -> str:
        """What readers see of its words; empty where it's nothing."""
        return self.body_html if self.is_visible else ""

    @property
    def is_edited(self) -> bool:
        """Whether the text was changed after it was first sent."""
        return self.updated_at > self.created_at


@audit.track()
class Report(models.Model):
    """Somebody says that a comment shouldn't stand there; a moderator decides."""

    class Reason(models.TextChoices):
        SPAM = "spam", "Spam or advertising"
        ABUSE = "abuse", "Insults or threats"
        OFF_TOPIC = "off_topic", "Has nothing to do with the post"
        OTHER = "other", "Something else"

    class Decision(models.TextChoices):
        OPEN = "", "Waits for a moderator"
        DISMISSED = "dismissed", "Dismissed"
        HIDDEN = "hidden", "The comment was hidden"
        DELETED = "deleted", "The comment was deleted"

    comment = models.ForeignKey(Comment, on_delete=models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=10, choices=Reason.choices)
    note = models.CharField(max_length=limits.REPORT_CHARACTERS, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    decision = models.CharField(max_length=10, choices=Decision.choices, blank=True, default=Decision.OPEN)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comment", "reporter"], condition=Q(decision=""), name="blog_report_one_open"
            ),
        ]
        indexes = [models.Index("comment", condition=Q(decision=""), name="blog_report_open")]

    def __str__(self) -> str:
        return f"report {self.pk} of {self.comment_id}"


@audit.track()
class Subscription(models.Model):
    """Somebody wants to hear of what an author publishes, of a category's new posts, or of what is said to a post."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="subscriptions")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="followers", null=True, blank=True
    )
    category = models.ForeignKey(Category, on_delete=models.CASCADE, related_name="followers", null=True, blank=True)
    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="followers", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(author__isnull=False, category__isnull=True, post__isnull=True)
                | Q(author__isnull=True, category__isnull=False, post__isnull=True)
                | Q(author__isnull=True, category__isnull=True, post__isnull=False),
                name="blog_subscription_to_one_thing",
            ),
            # By what is followed first: that's how followers are found.
            *(
                models.UniqueConstraint(fields=[what, "user"], name=f"blog_subscription_{what}_once")
                for what in ("author", "category", "post")
            ),
        ]

    def __str__(self) -> str:
        return f"subscription {self.pk} of {self.user_id}"


@audit.exempt(reason="How far the followers of a post or comment have been told; what they are told is recorded.")
class Announcement(models.Model):
    """News that followers are told of, in batches: that of a post stays, so that it's told once."""

    post = models.OneToOneField(Post, on_delete=models.CASCADE, related_name="+", null=True)
    comment = models.OneToOneField(Comment, on_delete=models.CASCADE, related_name="+", null=True)
    told_up_to = models.BigIntegerField(default=0, help_text="The id of the last follower who was told.")
    is_done = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"announcement {self.pk}"
