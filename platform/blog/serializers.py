"""The blog's shapes in JSON. Texts are Markdown in `body` and safe HTML in `body_html`."""

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from blog import limits
from blog.addressing import absolute
from blog.models import Category, Comment, PendingCopy, Post, Report, Subscription, Tag
from blog.outlines import Outline


class WriterSerializer(serializers.ModelSerializer[User]):
    """Who wrote something; no more of an account than that."""

    name = serializers.CharField(read_only=True)

    class Meta:
        model = User
        fields: ClassVar[list[str]] = ["username", "name"]
        read_only_fields: ClassVar[list[str]] = ["username"]


class CategorySerializer(serializers.ModelSerializer[Category]):
    url = serializers.CharField(source="get_absolute_url", read_only=True)
    post_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Category
        fields: ClassVar[list[str]] = ["slug", "url", "name", "description", "post_count"]


class TagSerializer(serializers.ModelSerializer[Tag]):
    url = serializers.CharField(source="get_absolute_url", read_only=True)
    post_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Tag
        fields: ClassVar[list[str]] = ["slug", "url", "name", "post_count"]


class PostListSerializer(serializers.ModelSerializer[Post]):
    author = WriterSerializer(read_only=True)
    coauthors = WriterSerializer(many=True, read_only=True)
    summary = serializers.CharField(read_only=True)
    url = serializers.CharField(source="get_absolute_url", read_only=True)
    comment_count = serializers.IntegerField(read_only=True)
    category: serializers.SlugRelatedField[Category] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True
    )

    class Meta:
        model = Post
        fields: ClassVar[list[str]] = [
            *("slug", "url", "title", "summary", "status", "author", "coauthors", "category"),
            *("published_at", "publish_at", "created_at", "updated_at", "comment_count"),
        ]


class HeadingSerializer(serializers.Serializer[Any]):
    anchor = serializers.CharField(help_text="Its id in `body_html`.")
    text = serializers.CharField()
    is_under = serializers.BooleanField(help_text="Whether it stands below one of the first level.")


class OutlineSerializer(serializers.Serializer[Any]):
    """What is told of a text beside its words."""

    reading_minutes = serializers.IntegerField(source="minutes")
    table_of_contents = HeadingSerializer(source="headings", many=True, help_text="Empty where headings are few.")


class PostSerializer(serializers.ModelSerializer[Post]):
    author = WriterSerializer(read_only=True)
    coauthors = WriterSerializer(many=True, read_only=True)
    body = serializers.CharField(source="body_markdown", read_only=True)
    url = serializers.CharField(source="get_absolute_url", read_only=True)
    category: serializers.SlugRelatedField[Category] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True
    )
    tags: serializers.ManyRelatedField = serializers.SlugRelatedField(  # type: ignore[assignment]
        slug_field="name", many=True, read_only=True
    )
    version = serializers.CharField(read_only=True, help_text="Changes with each change of the text.")
    canonical_url = serializers.SerializerMethodField(help_text="Where everybody finds it.")
    outline = serializers.SerializerMethodField()

    @extend_schema_field(OpenApiTypes.URI)
    def get_canonical_url(self, post: Post) -> str:
        return absolute(post.get_absolute_url())

    @extend_schema_field(OutlineSerializer)
    def get_outline(self, post: Post) -> Any:
        return OutlineSerializer(Outline(post)).data

    class Meta:
        model = Post
        fields: ClassVar[list[str]] = [
            *("slug", "url", "title", "description", "body", "body_html", "status", "author", "coauthors"),
            *("category", "tags", "version", "review_note", "canonical_url", "outline"),
            *("published_at", "publish_at", "created_at", "updated_at"),
        ]


class PostInput(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=limits.TITLE_CHARACTERS)
    description = serializers.CharField(max_length=limits.DESCRIPTION_CHARACTERS, required=False, allow_blank=True)
    body = serializers.CharField(trim_whitespace=False, help_text="Markdown, at most 500,000 bytes.")
    category = serializers.CharField(required=False, allow_blank=True, help_text="A category's slug; empty for none.")
    tags = serializers.ListField(child=serializers.CharField(), required=False, help_text="Names; new ones are made.")


class PostChange(PostInput):
    title = serializers.CharField(max_length=limits.TITLE_CHARACTERS, required=False)
    body = serializers.CharField(trim_whitespace=False, required=False, help_text="Markdown, at most 500,000 bytes.")
    slug = serializers.CharField(required=False, help_text="A new address; the old one leads to it.")
    version = serializers.CharField(
        required=False, help_text="The `version` that you changed: 409 where somebody saved another one since."
    )


class PendingCopyInput(serializers.Serializer[Any]):
    """What the editor has, finished or not."""

    title = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True)
    body = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    category = serializers.CharField(required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    version = serializers.CharField(required=False, help_text="The post's `version` that the editor was opened with.")


class PendingCopySerializer(serializers.ModelSerializer[PendingCopy]):
    tags = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_tags(self, copy: PendingCopy) -> list[str]:
        return [name.strip() for name in copy.tags.split(",") if name.strip()]

    class Meta:
        model = PendingCopy
        fields: ClassVar[list[str]] = ["title", "description", "body", "category", "tags", "version", "saved_at"]


class AutosavedSerializer(serializers.Serializer[Any]):
    is_saved = serializers.BooleanField(help_text="Whether the post itself was; else a copy that you alone see.")
    version = serializers.CharField(allow_null=True, help_text="The post's, where it was saved.")


class EditorsSerializer(serializers.Serializer[Any]):
    others = WriterSerializer(many=True, help_text="Who else has its editor open.")
    version = serializers.CharField(help_text="The post's: somebody saved it where it isn't what you opened.")


class PreviewInput(serializers.Serializer[Any]):
    body = serializers.CharField(trim_whitespace=False, help_text="Markdown, at most 500,000 bytes.")
    post = serializers.CharField(required=False, help_text="A slug: that post's pictures are shown by their names.")


class PreviewSerializer(serializers.Serializer[Any]):
    body_html = serializers.CharField()
    outline = OutlineSerializer()


class HitSerializer(serializers.Serializer[Any]):
    post = PostListSerializer()
    title_html = serializers.CharField(source="title", help_text="Its title, safe, with each hit in a `<mark>`.")
    piece_html = serializers.CharField(source="piece", help_text="What of its text tells that it's a hit, likewise.")


class FoundSerializer(serializers.Serializer[Any]):
    """A page of a search."""

    words = serializers.CharField(help_text="What was looked for.")
    count = serializers.IntegerField()
    is_more = serializers.BooleanField(help_text="Whether more posts may have the words than were looked at.")
    is_too_broad = serializers.BooleanField(help_text="Whether it was given up, as it takes too long.")
    page = serializers.IntegerField(source="number")
    pages = serializers.IntegerField()
    next = serializers.URLField(allow_null=True, read_only=True, default=None)
    previous = serializers.URLField(allow_null=True, read_only=True, default=None)
    results = HitSerializer(source="hits", many=True)


class CategoryInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=limits.CATEGORY_CHARACTERS)
    slug = serializers.CharField(max_length=limits.CATEGORY_CHARACTERS, help_text="Its address.")
    description = serializers.CharField(max_length=limits.DESCRIPTION_CHARACTERS, required=False, allow_blank=True)


class CategoryChange(CategoryInput):
    name = serializers.CharField(max_length=limits.CATEGORY_CHARACTERS, required=False)
    slug = serializers.CharField(
        max_length=limits.CATEGORY_CHARACTERS, required=False, help_text="A new address; the old one leads nowhere."
    )


class ScheduleInput(serializers.Serializer[Any]):
    publish_at = serializers.DateTimeField(help_text="When the post publishes itself, such as `2030-01-31T09:00Z`.")


class ApprovalInput(serializers.Serializer[Any]):
    version = serializers.CharField(help_text="The post's `version` that you read.")
    publish_at = serializers.DateTimeField(required=False, help_text="When it's to be published; left out: now.")


class SendBackInput(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=limits.NOTE_CHARACTERS, help_text="What is to be done about it.")


class CommentSerializer(serializers.ModelSerializer[Comment]):
    author = WriterSerializer(read_only=True)
    body = serializers.CharField(source="shown_markdown", read_only=True, help_text="Empty unless it's visible.")
    body_html = serializers.CharField(source="shown_html", read_only=True)
    url = serializers.CharField(source="get_absolute_url", read_only=True)
    parent: serializers.PrimaryKeyRelatedField[Comment] = serializers.PrimaryKeyRelatedField(  # type: ignore[assignment]
        read_only=True, allow_null=True, help_text="What it replies to."
    )
    thread: serializers.PrimaryKeyRelatedField[Comment] = serializers.PrimaryKeyRelatedField(
        read_only=True, allow_null=True, help_text="The first comment of its thread; none of a first one."
    )

    class Meta:
        model = Comment
        fields: ClassVar[list[str]] = [
            *("id", "url", "author", "parent", "thread", "state", "body", "body_html", "created_at", "updated_at")
        ]


class CommentChange(serializers.Serializer[Any]):
    body = serializers.CharField(trim_whitespace=False, help_text="Markdown, at most 10,000 bytes.")


class CommentInput(CommentChange):
    parent = serializers.IntegerField(  # type: ignore[assignment]
        required=False, help_text="The comment that this one replies to."
    )


class ReportInput(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=Report.Reason.choices)
    note = serializers.CharField(max_length=limits.REPORT_CHARACTERS, required=False, allow_blank=True)


class ReportFilters(serializers.Serializer[Any]):
    open = serializers.BooleanField(default=False, help_text="Those alone that wait for a moderator.")


class ReportSerializer(serializers.ModelSerializer[Report]):
    reporter = WriterSerializer(read_only=True)
    decided_by = WriterSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Report
        fields: ClassVar[list[str]] = [
            *("id", "comment", "reporter", "reason", "note", "created_at", "decision", "decided_by", "decided_at")
        ]


class ModeratedCommentSerializer(CommentSerializer):
    """A comment as moderators see it: with its words, hidden or not."""

    body = serializers.CharField(source="body_markdown", read_only=True)
    body_html = serializers.CharField(read_only=True)
    post: serializers.SlugRelatedField[Post] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True
    )
    reports = ReportSerializer(source="open_reports", many=True, read_only=True, default=[], help_text="Open ones.")

    class Meta(CommentSerializer.Meta):
        fields: ClassVar[list[str]] = [*CommentSerializer.Meta.fields, "post", "reports"]


class DecisionInput(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=["dismissed", "hidden", "deleted", "visible"])
    note = serializers.CharField(max_length=limits.REPORT_CHARACTERS, required=False, allow_blank=True)


class SubscriptionSerializer(serializers.ModelSerializer[Subscription]):
    author: serializers.SlugRelatedField[User] = serializers.SlugRelatedField(
        slug_field="username", read_only=True, allow_null=True
    )
    category: serializers.SlugRelatedField[Category] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True
    )
    post: serializers.SlugRelatedField[Post] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True, allow_null=True
    )

    class Meta:
        model = Subscription
        fields: ClassVar[list[str]] = ["id", "author", "category", "post", "created_at"]


class SubscriptionInput(serializers.Serializer[Any]):
    """One of them."""

    author = serializers.CharField(required=False, help_text="A username.")
    category = serializers.CharField(required=False, help_text="A slug.")
    post = serializers.CharField(required=False, help_text="A slug.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse none and several."""
        if len(attrs) != 1:
            raise serializers.ValidationError("Give one of author, category and post.")
        return attrs
