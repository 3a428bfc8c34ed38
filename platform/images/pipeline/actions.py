"""What a worker does with an upload, step by step. Each step may run twice, at once too, and has one effect.

A file's name follows from its picture's random key, so that a step that runs again writes over its own. The row
follows the file: a crash between them leaves a file that no row names, which the step's next run takes over, and
`queries.orphaned_files` tells of otherwise.
"""

import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from images import checking, files, limits, metrics
from images.errors import RefusedError
from images.models import UNFINISHED_STATES, Picture, State, Thumbnail
from images.pipeline import rendering
from notifications.delivery.actions import create_notification
from tasks.models import Outcome, TaskRun
from telemetry.logs import get_logger

log = get_logger(__name__)

QUEUE = "images"
# A picture without a run is none that is about to get one: both are written in one transaction.
STRANDED_AGE = timedelta(minutes=1)

_CANCELLED = "its work was cancelled; start it again among your tasks, or upload it anew"
_FAILED = (
    "it couldn't be worked on, because of a fault here and not of the picture; the operators can see it."
    " Try again later"
)


def validate_picture(picture_id: int) -> None:
    """Decode an upload to the end of its last frame; refuse it, and tell its uploader, where that can't be done."""
    picture = _taken_up(picture_id)
    if picture is None or picture.format:
        return
    data = files.read_incoming(str(picture.incoming))
    try:
        outline = checking.check_upload(data, picture.name)
        checked = checking.check_image(data)
        checking.check_alike(outline, checked)
    except RefusedError as error:
        _refuse(picture_id, error)
        return
    size = {"width": checked.width, "height": checked.height, "frames": checked.frames}
    Picture.objects.filter(pk=picture_id, state=State.PROCESSING, format="").update(format=checked.format, **size)


def add_thumbnail(picture_id: int, width: int) -> None:
    """Make the thumbnail of this width."""
    picture = _taken_up(picture_id)
    if picture is None or picture.thumbnails.filter(wanted_width=width).exists():
        return
    made = rendering.thumbnail(files.read_incoming(str(picture.incoming)), width)
    name = files.media_name(picture.key, f"-{width}.webp")

    def add(locked: Picture) -> None:
        values = {"width": made.width, "height": made.height, "file": name, "byte_size": len(made.data)}
        Thumbnail.objects.get_or_create(picture=locked, wanted_width=width, defaults=values)

    _store(picture_id, name, made.data, add)


def optimise_picture(picture_id: int) -> None:
    """Make what pages show: the picture in its own format, with nothing in it but pixels."""
    picture = _taken_up(picture_id)
    if picture is None or picture.file:
        return
    made = rendering.optimised(files.read_incoming(str(picture.incoming)))
    name = files.media_name(picture.key, limits.IMAGE_SUFFIXES[picture.format])

    def add(locked: Picture) -> None:
        if not locked.file:
            locked.file, locked.byte_size = name, len(made.data)
            locked.width, locked.height = made.width, made.height
            locked.save(update_fields=["file", "byte_size", "width", "height"])

    _store(picture_id, name, made.data, add)


@transaction.atomic
def finish_picture(picture_id: int) -> None:
    """Let the picture be shown, tell its uploader, and remove what was uploaded."""
    picture = _locked(picture_id)
    if picture is not None and picture.state == State.PROCESSING:
        _end(picture, State.READY, title=f"“{picture.name}” is ready")


@transaction.atomic
def give_up_picture(run_id: str) -> None:
    """Tell the uploader that a step of the pipeline is given up. The upload is kept: an operator may run it again."""
    run = TaskRun.objects.filter(id=uuid.UUID(run_id)).first()
    picture = _locked(run.arguments["args"][0]) if run is not None else None
    if picture is not None and not picture.is_finished:
        _end(picture, State.FAILED, title=f"“{picture.name}” couldn't be worked on", message=_FAILED)


def give_up_stranded(*, age: timedelta = STRANDED_AGE) -> int:
    """End the pictures on which nobody works any more, because a step was cancelled; returns how many.

    Each step's run is there before the one ahead of it ends, so that a picture on its way always has one.
    """
    unfinished = Picture.objects.filter(state__in=UNFINISHED_STATES, created_at__lt=timezone.now() - age)
    return sum(_give_up_if_stranded(picture_id) for picture_id in unfinished.values_list("pk", flat=True))


@transaction.atomic
def _give_up_if_stranded(picture_id: int) -> bool:
    picture = _locked(picture_id)
    runs = TaskRun.objects.filter(queue=QUEUE, arguments__args__0=picture_id)
    if picture is None or picture.is_finished or runs.filter(outcome="").exists():
        return False
    is_cancelled = runs.filter(outcome=Outcome.CANCELLED, enqueued_at__gte=picture.created_at).exists()
    message = _CANCELLED if is_cancelled else _FAILED
    _end(picture, State.FAILED, title=f"“{picture.name}” couldn't be worked on", message=message)
    return True


def _taken_up(picture_id: int) -> Picture | None:
    """Return a picture to work on; None where it's gone, or at its end."""
    with transaction.atomic():
        picture = _locked(picture_id)
        if picture is None or picture.state in (State.READY, State.REFUSED):
            return None
        if picture.state != State.PROCESSING:
            picture.state, picture.message = State.PROCESSING, ""
            picture.save(update_fields=["state", "message"])
    return picture


def _locked(picture_id: int) -> Picture | None:
    pictures = Picture.objects.select_for_update(of=("self",)).select_related("uploader")
    return pictures.filter(pk=picture_id).first()


def _store(picture_id: int, name: str, data: bytes, add_row: Callable[[Picture], None]) -> None:
    """Write a file, and then its row, unless the picture was deleted meanwhile."""
    files.write_file(default_storage, name, data)
    with transaction.atomic():
        locked = _locked(picture_id)
        if locked is None:
            files.remove_files([name], [])
        else:
            add_row(locked)


@transaction.atomic
def _refuse(picture_id: int, error: RefusedError) -> None:
    picture = _locked(picture_id)
    if picture is None or picture.state != State.PROCESSING:
        return
    log.info("images.picture_refused", picture_id=picture_id, reason=error.reason.value, error=str(error))
    transaction.on_commit(metrics.REFUSALS.labels(reason=error.reason.value).inc)
    _end(picture, State.REFUSED, title=f"“{picture.name}” is refused", message=str(error))


def _end(picture: Picture, state: State, *, title: str, message: str = "") -> None:
    """Bring a picture to its end; what was uploaded goes, unless there may be use for it."""
    picture.state, picture.message = state, message[: limits.MESSAGE_CHARACTERS]
    if state != State.FAILED:
        transaction.on_commit(partial(files.remove_files, [], [str(picture.incoming)]), robust=True)
        picture.incoming = ""
    picture.save(update_fields=["state", "message", "incoming"])
    create_notification(picture.uploader, kind="task_result", title=title, body=message, url=picture.get_absolute_url())
    transaction.on_commit(metrics.FINISHED.labels(outcome=state.value).inc)
