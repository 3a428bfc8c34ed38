"""The forms of the blog's pages. What they let through, the actions check again."""

from typing import Any, cast

from django import forms

from blog import limits
from blog.errors import BlogError, InvalidError
from blog.models import Category, Report


class BlogForm(forms.Form):
    """A form whose errors a screen reader finds at their fields, and that takes the actions' errors too."""

    use_required_attribute = True

    def add_invalid(self, error: BlogError) -> None:
        """Show what an action found wrong, at the field where it named one."""
        if not isinstance(error, InvalidError):
            self.add_error(None, str(error))
            return
        for name, message in error.messages.items():
            self.add_error(name if name in self.fields else None, message)


def _text_area(**attributes: Any) -> forms.Textarea:
    return forms.Textarea(attrs=attributes)


def utc_field(help_text: str) -> forms.DateTimeField:
    """Return a field for a time, which need not be given."""
    return forms.DateTimeField(
        label="Publish at (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "data-utc": ""}, format="%Y-%m-%dT%H:%M"),
        help_text=help_text,
        error_messages={"invalid": "This is no date with a time; write 2030-01-31T09:00."},
    )


class PostForm(BlogForm):
    version = forms.CharField(required=False, widget=forms.HiddenInput)
    title = forms.CharField(max_length=limits.TITLE_CHARACTERS, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    description = forms.CharField(
        max_length=limits.DESCRIPTION_CHARACTERS,
        required=False,
        widget=_text_area(rows=2),
        help_text="A sentence or two for lists and search engines. Left empty, the start of the text is taken.",
    )
    body = forms.CharField(
        label="Text",
        strip=False,
        widget=_text_area(rows=22, spellcheck="true", **{"class": "code"}),
        help_text="Markdown with tables, footnotes and fenced code. HTML is allowed within reason.",
    )
    category = forms.ChoiceField(required=False)
    tags = forms.CharField(
        required=False,
        max_length=limits.TAGS_OF_A_POST * (limits.TAG_CHARACTERS + 2),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="With commas between them.",
    )
    slug = forms.CharField(
        label="Address",
        required=False,
        max_length=limits.SLUG_CHARACTERS,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="What comes after /blog/. Old ones lead to a new one.",
    )
    publish_at = utc_field("For “Schedule”: the post publishes itself then.")

    def __init__(self, *args: Any, is_new: bool = True, can_schedule: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(category.slug, category.name) for category in Category.objects.all()]
        cast(forms.ChoiceField, self.fields["category"]).choices = [("", "None"), *choices]
        if is_new:
            del self.fields["slug"]
        if not can_schedule:
            del self.fields["publish_at"]

    def main_fields(self) -> list[forms.BoundField]:
        """Return what is written."""
        return [self[name] for name in ("title", "description", "body")]

    def more_fields(self) -> list[forms.BoundField]:
        """Return what is said about it, in pairs."""
        return [self[name] for name in ("category", "tags", "slug", "publish_at") if name in self.fields]

    def clean_tags(self) -> list[str]:
        """Return the names."""
        return [name.strip() for name in self.cleaned_data["tags"].split(",") if name.strip()]

    def clean(self) -> dict[str, Any]:
        """Ask for a time where the post is to be scheduled."""
        values = super().clean() or {}
        is_missing = "publish_at" in self.fields and values.get("publish_at") is None
        if "schedule" in self.data and is_missing and not self.has_error("publish_at"):
            self.add_error("publish_at", "Choose when, and schedule again.")
        return values


class ReviewForm(BlogForm):
    """What a reviewer decides; the button says which of the fields counts."""

    version = forms.CharField(widget=forms.HiddenInput)
    publish_at = utc_field("For “Schedule”: the post publishes itself then.")
    note = forms.CharField(
        label="What is to be done",
        max_length=limits.NOTE_CHARACTERS,
        required=False,
        widget=_text_area(rows=3),
        help_text="For “Send back”: the authors see it.",
    )

    def clean(self) -> dict[str, Any]:
        """Ask for what the button needs."""
        values = super().clean() or {}
        if "schedule" in self.data and values.get("publish_at") is None and not self.has_error("publish_at"):
            self.add_error("publish_at", "Choose when, and schedule again.")
        if "send_back" in self.data and not values.get("note") and not self.has_error("note"):
            self.add_error("note", "Say what is to be done; the authors can't guess it.")
        return values


class CommentForm(BlogForm):
    parent = forms.IntegerField(required=False, widget=forms.HiddenInput)
    body = forms.CharField(
        label="Your comment",
        strip=False,
        max_length=limits.COMMENT_BYTES,
        widget=_text_area(rows=5),
        help_text="Markdown: emphasis, links, lists, quotes and code. @name tells somebody of it.",
    )


class ReportForm(BlogForm):
    reason = forms.ChoiceField(label="What is wrong with it", choices=Report.Reason.choices)
    note = forms.CharField(
        label="More about it",
        required=False,
        max_length=limits.REPORT_CHARACTERS,
        widget=_text_area(rows=3),
        help_text="Moderators alone see this, and that it was you.",
    )


class DecisionForm(BlogForm):
    """What a moderator decides; the button says it."""

    decision = forms.ChoiceField(
        choices=[("dismissed", "Leave it"), ("hidden", "Hide"), ("deleted", "Delete"), ("visible", "Show again")]
    )
    note = forms.CharField(required=False, max_length=limits.REPORT_CHARACTERS)
