"""What people do with pictures: upload and delete. What a worker does with them is in `pipeline`."""

from functools import partial
from typing import Any

from django.db import transaction

from accounts.models import User
from images import checking, files, limits, metrics, rules
from images.errors import NoRoomError, Reason, RefusedError
from images.models import UNFINISHED_STATES, Picture
from images.tasks import enqueue_pipeline
from telemetry import context
from telemetry.logs import get_logger

log = get_logger(__name__)


def upload_picture(file: Any, *, actor: User, alt: str = "") -> Picture:
    """Store an uploaded file (Django's `File`), and have a worker make a picture of it.

    What its bytes tell at once is checked here; the rest by the pipeline, which tells the uploader how it ended.

    Raises:
        NotAllowedError: `actor` may not upload.
        RefusedError: it's no picture that is accepted; nothing of it is kept.
        NoRoomError: the disk is full; nothing of it is kept.
    """
    rules.require(rules.can_upload(actor), None, action="upload_picture")
    name = _clean(str(file.name or ""))
    alt = _checked_alt(alt)
    try:
        _check_queue(actor)
        data = file.read(limits.IMAGE_BYTES + 1)
        checking.check_upload(data, name)
    except RefusedError as error:
        metrics.REFUSALS.labels(reason=error.reason.value).inc()
        log.info("images.upload_refused", reason=error.reason.value, name=name, error=str(error))
        raise
    key = files.new_key()
    incoming = files.incoming_name(key)
    try:
        with transaction.atomic():
            files.write_file(files.incoming_storage(), incoming, data)
            picture = Picture.objects.create(
                uploader=actor,
                name=name,
                alt=alt,
                key=key,
                incoming=incoming,
                checksum_sha256=checking.checksum_of(data),
                request_id=context.current().request_id,
            )
            enqueue_pipeline(picture.pk)
    except BaseException as error:
        files.remove_files([], [incoming])
        if isinstance(error, OSError):
            log.error("images.upload_not_stored", error=str(error))
            raise NoRoomError(NoRoomError.__doc__) from error
        raise
    return picture


def describe_picture(picture: Picture, *, actor: User, alt: str) -> Picture:
    """Change what a picture says to those who can't see it.

    Raises:
        NotAllowedError: it's someone else's.
        RefusedError: the text is too long.
    """
    rules.require(rules.can_change(actor, picture), picture, action="describe_picture")
    alt = _checked_alt(alt)
    with transaction.atomic():
        Picture.objects.filter(pk=picture.pk).exclude(alt=alt).update(alt=alt)
    picture.alt = alt
    return picture


def delete_picture(picture: Picture, *, actor: User) -> None:
    """Delete a picture and its thumbnails; the files go once that is certain.

    Raises:
        NotAllowedError: it's someone else's.
    """
    rules.require(rules.can_change(actor, picture), picture, action="delete_picture")
    with transaction.atomic():
        locked = Picture.objects.select_for_update().filter(pk=picture.pk).first()
        if locked is None:  # twice at once
            return
        media = [locked.file.name or "", *locked.thumbnails.values_list("file", flat=True)]
        transaction.on_commit(partial(files.remove_files, media, [locked.incoming.name or ""]), robust=True)
        locked.delete()


def _check_queue(actor: User) -> None:
    unfinished = Picture.objects.filter(uploader=actor, state__in=UNFINISHED_STATES).count()
    if unfinished >= limits.UNFINISHED_PICTURES:
        raise RefusedError(
            f"{unfinished} pictures of yours are on their way already; upload it once some of them are ready",
            reason=Reason.MANY,
        )


def _clean(name: str) -> str:
    """Return an upload's name for people to recognise it by; where it's long, its start and its suffix."""
    line = " ".join("".join(c for c in name.replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable()).split())
    line = line or "picture"
    return line if len(line) <= limits.NAME_CHARACTERS else f"{line[: limits.NAME_CHARACTERS - 12]}…{line[-11:]}"


def _checked_alt(alt: str) -> str:
    line = " ".join(alt.replace("\0", "").split())
    if len(line) > limits.ALT_CHARACTERS:
        raise RefusedError(
            f"it has {len(line):,} characters; at most {limits.ALT_CHARACTERS} are accepted: shorten it",
            reason=Reason.TEXT,
            field="alt",
        )
    return line
