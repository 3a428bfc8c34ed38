"""The pipeline's tasks: a chain, one after the other. Each may run twice, which changes nothing."""

from typing import Any

from celery import chain, shared_task
from django.db import InterfaceError, OperationalError

from images import limits
from images.models import STEPS
from images.pipeline import actions as pipeline
from tasks.progress import report

# The surroundings: a disk that is full, a database that is away. A picture that is bad is refused, and not tried again.
_OPTIONS: dict[str, Any] = {
    "autoretry_for": (OSError, OperationalError, InterfaceError),
    "retry_backoff": True,
    "retry_backoff_max": 300,
    "retry_jitter": True,
    "max_retries": 6,
    "dead_letter": "images.give_up",
}


@shared_task(name="images.validate", **_OPTIONS)  # type: ignore[untyped-decorator]
def validate(picture_id: int) -> None:
    """Decode an upload to its end, and refuse it if it isn't what it has to be."""
    report(0, STEPS, "checking")
    pipeline.validate_picture(picture_id)


@shared_task(name="images.thumbnail", **_OPTIONS)  # type: ignore[untyped-decorator]
def thumbnail(picture_id: int, width: int) -> None:
    """Make one thumbnail."""
    report(1 + limits.THUMBNAIL_WIDTHS.index(width), STEPS, f"thumbnail, {width} px")
    pipeline.add_thumbnail(picture_id, width)


@shared_task(name="images.optimise", **_OPTIONS)  # type: ignore[untyped-decorator]
def optimise(picture_id: int) -> None:
    """Encode the picture anew, without metadata."""
    report(STEPS - 2, STEPS, "optimising")
    pipeline.optimise_picture(picture_id)


@shared_task(name="images.finish", **_OPTIONS)  # type: ignore[untyped-decorator]
def finish(picture_id: int) -> None:
    """Show the picture, tell its uploader, and remove what was uploaded."""
    report(STEPS - 1, STEPS, "finishing")
    pipeline.finish_picture(picture_id)
    report(STEPS, STEPS)


@shared_task(name="images.give_up", autoretry_for=(OperationalError, InterfaceError), retry_backoff=True)  # type: ignore[untyped-decorator]
def give_up(run_id: str) -> None:
    """The dead letter of each step: tell the uploader that nothing came of the picture."""
    pipeline.give_up_picture(run_id)


@shared_task(name="images.give_up_stranded", is_recorded=False, ignore_result=True)  # type: ignore[untyped-decorator]
def give_up_stranded() -> int:
    """Tell the uploaders of pictures on which nobody works any more."""
    return pipeline.give_up_stranded()


def enqueue_pipeline(picture_id: int) -> None:
    """Enqueue the whole chain for a picture, in the caller's transaction."""
    steps = [
        validate.si(picture_id),
        *(thumbnail.si(picture_id, width) for width in limits.THUMBNAIL_WIDTHS),
        optimise.si(picture_id),
        finish.si(picture_id),
    ]
    chain(*(step.set(queue=pipeline.QUEUE) for step in steps)).apply_async()
