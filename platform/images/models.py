"""Pictures that people upload, and the thumbnails made of them."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse

import audit
from images import limits
from images.files import incoming_storage


class State(models.TextChoices):
    """Where a picture is on its way from an upload to what pages show."""

    WAITING = "waiting", "Waiting"
    PROCESSING = "processing", "Processing"
    READY = "ready", "Ready"
    REFUSED = "refused", "Refused"  # something is wrong with it
    FAILED = "failed", "Failed"  # something is wrong here


UNFINISHED_STATES = (State.WAITING, State.PROCESSING)
STEPS = len(limits.THUMBNAIL_WIDTHS) + 3  # validated, each thumbnail, optimised, ready


@audit.track()
class Picture(models.Model):
    """An uploaded picture. `incoming` is what came, which nobody is shown; `file` is what was made of it."""

    uploader = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="pictures")
    name = models.CharField(max_length=limits.NAME_CHARACTERS, help_text="What the uploader's file was called.")
    alt = models.CharField(max_length=limits.ALT_CHARACTERS, blank=True, help_text="For those who can't see it.")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    message = models.CharField(max_length=limits.MESSAGE_CHARACTERS, blank=True, help_text="For the uploader.")
    key = models.CharField(max_length=32, unique=True, editable=False)
    incoming = models.FileField(storage=incoming_storage, max_length=200, blank=True, editable=False)
    file = models.FileField(max_length=200, blank=True, editable=False)
    format = models.CharField(max_length=10, blank=True)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    frames = models.PositiveIntegerField(default=1)
    byte_size = models.PositiveIntegerField(null=True)
    checksum_sha256 = models.CharField(max_length=64, blank=True, help_text="Of what was uploaded.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    request_id = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="images_picture_state_known"),
            models.CheckConstraint(
                condition=~Q(state=State.READY) | (Q(width__gt=0, height__gt=0) & ~Q(file="")),
                name="images_picture_ready_is_whole",
            ),
        ]
        indexes = [
            models.Index("uploader", F("id").desc(), name="images_picture_of_uploader"),
            models.Index(
                fields=["uploader"], condition=Q(state__in=("waiting", "processing")), name="images_picture_unfinished"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("images:picture", args=[self.pk])

    @property
    def is_finished(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state not in UNFINISHED_STATES

    @property
    def steps_done(self) -> int:
        """How many of the `STEPS` are behind it."""
        if self.state == State.READY:
            return STEPS
        return bool(self.format) + len(self.thumbnails.all()) + bool(self.file)

    @property
    def srcset(self) -> str:
        """The thumbnails as a page's `srcset`, each width once."""
        by_width: dict[int, Any] = {thumbnail.width: thumbnail for thumbnail in self.thumbnails.all()}
        return ", ".join(f"{thumbnail.file.url} {width}w" for width, thumbnail in sorted(by_width.items()))


@audit.track()
class Thumbnail(models.Model):
    """A smaller WebP of a picture, still where the picture moves; never larger than it."""

    picture = models.ForeignKey(Picture, on_delete=models.CASCADE, related_name="thumbnails")
    wanted_width = models.PositiveIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    file = models.FileField(max_length=200)
    byte_size = models.PositiveIntegerField()

    class Meta:
        ordering = ("wanted_width",)
        constraints = [
            models.UniqueConstraint(fields=["picture", "wanted_width"], name="images_thumbnail_once"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="images_thumbnail_has_size"),
        ]

    def __str__(self) -> str:
        return f"{self.wanted_width} px of picture {self.picture_id}"
