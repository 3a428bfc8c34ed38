"""What is read of pictures, and which files belong to none."""

from datetime import timedelta

from django.db.models import QuerySet

import audit
from accounts.models import User
from images import files, rules
from images.models import Picture, Thumbnail

# A file is written just before its row is committed.
ORPHAN_AGE = timedelta(hours=1)


def pictures_of(user: rules.Visitor) -> QuerySet[Picture]:
    """Return what `user` uploaded, newest first, with the thumbnails."""
    if not isinstance(user, User):
        return Picture.objects.none()
    return Picture.objects.filter(uploader=user).prefetch_related("thumbnails").order_by("-id")


def picture_visible_to(user: rules.Visitor, picture_id: int) -> Picture | None:
    """Return one picture if it's `user`'s to look after, else None; that they asked for another's is recorded."""
    pictures = Picture.objects.all() if rules.can_see_all(user) else pictures_of(user)
    picture = pictures.prefetch_related("thumbnails").filter(pk=picture_id).first()
    if picture is None and Picture.objects.filter(pk=picture_id).exists():
        audit.record("images.picture.viewed", target=("images.picture", str(picture_id)), outcome="denied")
    return picture


def orphaned_files(*, age: timedelta = ORPHAN_AGE) -> list[tuple[str, str]]:
    """Return the stored files that belong to no picture, as (storage's alias, name): what crashes left behind.

    Those younger than `age` aren't among them: their rows may be about to be committed.
    """
    stored = list(files.files_older_than(age))  # before the rows are read: what is written meanwhile isn't in it
    known = {("default", name) for name in Picture.objects.exclude(file="").values_list("file", flat=True)}
    known |= {("default", name) for name in Thumbnail.objects.values_list("file", flat=True)}
    uploads = Picture.objects.exclude(incoming="").values_list("incoming", flat=True)
    known |= {(files.INCOMING, name) for name in uploads}
    return [file for file in stored if file not in known]
