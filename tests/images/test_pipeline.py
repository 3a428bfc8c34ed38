"""From an upload to what pages show: each step once, whatever happens, and no file is left over."""

import errno
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from PIL import Image

from accounts.models import User
from audit.models import Event
from images import actions, files, queries, tasks
from images.models import Picture, State
from images.pipeline import actions as pipeline
from images.pipeline import rendering
from notifications.models import Notification
from tasks.actions.operating import cancel_run, retry_run
from tasks.models import State as RunState
from tasks.models import TaskRun
from tasks.schedule import BEAT_SCHEDULE
from tests.images import pictures
from tests.images.conftest import NewUser, Run, Upload, files_in

pytestmark = pytest.mark.django_db(transaction=True)

Folders = tuple[Path, Path]
AT_ONCE = timedelta(seconds=-1)  # however new a file is
STEPS = ["images.validate", *["images.thumbnail"] * 3, "images.optimise", "images.finish"]


def only_picture() -> Picture:
    return Picture.objects.get()


def told(user: User) -> list[tuple[str, str]]:
    return list(Notification.objects.filter(recipient=user).order_by("id").values_list("title", "body"))


def orphans() -> list[tuple[str, str]]:
    return queries.orphaned_files(age=AT_ONCE)


def test_an_upload_becomes_a_picture_with_three_thumbnails(
    upload: Upload, run_pipeline: Run, folders: Folders, author: User
) -> None:
    media, incoming = folders
    picture = upload(pictures.photo((1600, 1200), exif=pictures.exif(orientation=6)), "holiday.jpg", alt="The sea")
    assert (picture.state, picture.file.name, picture.steps_done) == (State.WAITING, "", 0)
    assert files_in(media) == []
    assert len(files_in(incoming)) == 1
    assert run_pipeline() == 6
    picture = only_picture()
    assert (picture.state, picture.format, picture.width, picture.height) == (State.READY, "JPEG", 1200, 1600)
    assert (picture.alt, picture.message, picture.incoming.name, picture.steps_done) == ("The sea", "", "", 6)
    sizes = [(thumbnail.width, thumbnail.height) for thumbnail in picture.thumbnails.all()]
    assert sizes == [(320, 427), (640, 853), (1200, 1600)]
    stored = {picture.file.name, *(thumbnail.file.name for thumbnail in picture.thumbnails.all())}
    assert stored == set(files_in(media))
    assert all("holiday" not in name for name in stored)
    for thumbnail in picture.thumbnails.all():
        with Image.open(thumbnail.file.path) as image:
            assert (image.format, image.size) == ("WEBP", (thumbnail.width, thumbnail.height))
    with Image.open(picture.file.path) as image:
        assert dict(image.getexif()) == {}
        assert image.size == (1200, 1600)
    assert files_in(incoming) == []
    assert orphans() == []
    assert told(author) == [("“holiday.jpg” is ready", "")]
    assert Notification.objects.get().url == f"/images/{picture.pk}/"


def test_each_step_is_a_run_of_the_uploader_in_the_requests_name(
    upload: Upload, run_pipeline: Run, author: User
) -> None:
    upload()
    run_pipeline()
    runs = TaskRun.objects.filter(name__startswith="images.").order_by("started_at")
    assert [run.name for run in runs] == STEPS
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert {run.queue for run in runs} == {"images"}
    assert {run.dead_letter for run in runs} == {"images.give_up"}
    assert len({run.request_id for run in runs}) == 1
    assert [(run.progress_done, run.progress_total) for run in runs][-1] == (6, 6)


def test_the_ledger_holds_the_way_of_a_picture(upload: Upload, run_pipeline: Run) -> None:
    picture = upload()
    run_pipeline()
    events = Event.objects.filter(object_type="images.picture", object_id=str(picture.pk)).order_by("id")
    states = [event.changes["state"] for event in events if "state" in (event.changes or {})]
    assert states[1:] == [["waiting", "processing"], ["processing", "ready"]]
    assert Event.objects.filter(action="images.thumbnail.created").count() == 3


@pytest.mark.parametrize("data", [pictures.animation("GIF"), pictures.animation("WEBP"), pictures.picture("GIF")])
def test_each_format_goes_through(data: bytes, upload: Upload, run_pipeline: Run) -> None:
    kind = "gif" if data[:3] == b"GIF" else "webp"
    upload(data, f"a.{kind}")
    run_pipeline()
    assert only_picture().state == State.READY


def test_a_step_that_runs_again_changes_nothing(
    upload: Upload, run_pipeline: Run, folders: Folders, author: User
) -> None:
    picture = upload()
    steps: list[Callable[[], None]] = [
        lambda: tasks.validate(picture.pk),
        *(lambda width=width: tasks.thumbnail(picture.pk, width) for width in (320, 640, 1280)),
        lambda: tasks.optimise(picture.pk),
        lambda: tasks.finish(picture.pk),
    ]
    for step in steps:
        step()
        after, stored = events_of_images(), files_in(folders[0])
        step()
        assert events_of_images() == after
        assert files_in(folders[0]) == stored
    for step in steps:  # also after the end
        step()
    run_pipeline()  # and so does the chain itself
    assert events_of_images() == after
    assert files_in(folders[0]) == stored
    assert len(told(author)) == 1
    assert orphans() == []


def events_of_images() -> int:
    return Event.objects.filter(object_type__startswith="images.").count()


# --- refused ---------------------------------------------------------------------------------------------------------


def test_what_a_decoder_refuses_is_told_and_leaves_no_file(
    upload: Upload, run_pipeline: Run, folders: Folders, author: User
) -> None:
    picture = upload(pictures.png_claiming(400, 400), "small.png")
    run_pipeline()
    picture.refresh_from_db()
    assert picture.state == State.REFUSED
    assert picture.message.startswith("it's broken")
    assert told(author) == [("“small.png” is refused", picture.message)]
    assert files_in(folders[0]) == files_in(folders[1]) == []
    assert {run.state for run in TaskRun.objects.filter(queue="images")} == {RunState.SUCCEEDED}
    assert TaskRun.objects.get(name="images.validate").attempts == 1


# --- the surroundings ------------------------------------------------------------------------------------------------


def no_space(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_waited_out_and_leaves_nothing_half_done(
    upload: Upload, run_pipeline: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload()
    with monkeypatch.context() as full:
        full.setattr(files.os, "fsync", fails_times(no_space, 2))
        run_pipeline()
    assert only_picture().state == State.READY
    run = TaskRun.objects.filter(name="images.thumbnail").order_by("started_at").first()
    assert run is not None
    assert {one.outcome for one in run.tries} == {"retried", "succeeded"}
    assert orphans() == []


def fails_times(fail: Callable[..., Any], times: int) -> Callable[..., Any]:
    """Return a function that fails so often, and then does nothing."""
    left = [times]

    def call(*args: Any, **kwargs: Any) -> None:
        if left[0]:
            left[0] -= 1
            fail()

    return call


def test_a_step_that_dies_is_told_and_can_be_taken_up_again(
    upload: Upload,
    run_pipeline: Run,
    work_off: Callable[..., Any],
    folders: Folders,
    author: User,
    new_user: NewUser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload()
    with monkeypatch.context() as full:
        full.setattr(files.os, "fsync", no_space)
        run_pipeline()
    dead = TaskRun.objects.get(queue="images", outcome="dead")
    assert (dead.name, dead.attempts) == ("images.thumbnail", 7)
    assert only_picture().state == State.PROCESSING
    work_off()  # its dead letter
    picture = only_picture()
    assert (picture.state, told(author)) == (
        State.FAILED,
        [("“photo.png” couldn't be worked on", picture.message)],
    )
    assert "fault here" in picture.message
    assert len(files_in(folders[1])) == 1
    assert files_in(folders[0]) == []
    assert orphans() == []
    tasks.give_up(str(dead.id))
    assert len(told(author)) == 1

    retry_run(dead, actor=new_user("oscar", "operator"), reason="There is room again.")
    run_pipeline()
    picture = only_picture()
    assert (picture.state, picture.message) == (State.READY, "")
    assert files_in(folders[1]) == []
    assert told(author)[1] == ("“photo.png” is ready", "")


def test_a_step_that_is_cancelled_is_told_and_can_be_taken_up_again(
    upload: Upload, run_pipeline: Run, author: User, new_user: NewUser
) -> None:
    upload(name="stopped.png")
    upload(name="waits.png")
    run = TaskRun.objects.filter(queue="images").order_by("enqueued_at").first()
    assert run is not None
    operator = new_user("oscar", "operator")
    cancel_run(run, actor=operator, reason="The wrong one.")
    assert pipeline.give_up_stranded() == 0  # they are too young to tell
    assert pipeline.give_up_stranded(age=AT_ONCE) == 1
    assert pipeline.give_up_stranded(age=AT_ONCE) == 0
    picture = Picture.objects.get(name="stopped.png")
    assert (picture.state, "cancelled; start it again" in picture.message) == (State.FAILED, True)
    assert told(author) == [("“stopped.png” couldn't be worked on", picture.message)]
    retry_run(run, actor=operator, reason="The right one after all.")
    run_pipeline()
    assert {picture.state for picture in Picture.objects.all()} == {State.READY}


def test_a_step_whose_row_is_gone_is_told_as_a_fault(upload: Upload, author: User) -> None:
    upload()
    TaskRun.objects.all().delete()
    assert pipeline.give_up_stranded(age=AT_ONCE) == 1
    assert "fault here" in only_picture().message


def test_beat_looks_for_stranded_pictures_each_minute(celery_app: Any) -> None:
    entry = BEAT_SCHEDULE["images.give_up_stranded"]
    assert (entry["schedule"], entry["task"] in celery_app.tasks) == (60.0, True)
    assert tasks.give_up_stranded() == 0


def test_a_dead_letter_of_nothing_does_nothing(author: User) -> None:
    tasks.give_up(str(uuid.uuid4()))
    assert told(author) == []


STEPS_WITH_FILES = {
    "thumbnail": lambda picture: pipeline.add_thumbnail(picture.pk, 320),
    "optimise": lambda picture: pipeline.optimise_picture(picture.pk),
}


@pytest.mark.parametrize("name", STEPS_WITH_FILES)
def test_a_crash_between_file_and_row_leaves_a_file_that_is_named_and_the_next_run_takes_over(
    name: str, upload: Upload, run_pipeline: Run, monkeypatch: pytest.MonkeyPatch, folders: Folders
) -> None:
    picture, step = upload(), STEPS_WITH_FILES[name]
    pipeline.validate_picture(picture.pk)
    real = pipeline._locked
    with monkeypatch.context() as crashing:
        calls: list[int] = []

        def crash(picture_id: int) -> Picture | None:
            calls.append(picture_id)
            if len(calls) > 1:  # the file is written by now
                raise OperationalError("the server closed the connection")
            return real(picture_id)

        crashing.setattr(pipeline, "_locked", crash)
        with pytest.raises(OperationalError):
            step(picture)
    (left,) = files_in(folders[0])
    assert orphans() == [("default", left)]
    assert queries.orphaned_files() == []  # its row may be about to come
    step(picture)
    assert files_in(folders[0]) == [left]
    assert orphans() == []
    run_pipeline()
    assert only_picture().state == State.READY
    assert orphans() == []


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_file_is_there_whole_or_not_at_all(
    where: str, upload: Upload, monkeypatch: pytest.MonkeyPatch, folders: Folders
) -> None:
    picture = upload()
    pipeline.validate_picture(picture.pk)
    if where == "fsync":
        monkeypatch.setattr(files.os, "fsync", no_space)
    else:
        monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(OSError, match="No space"):
        pipeline.add_thumbnail(picture.pk, 320)
    assert files_in(folders[0]) == []


def test_a_writer_that_was_killed_leaves_a_part_that_is_named(upload: Upload, folders: Folders) -> None:
    upload()
    part = folders[0] / "images" / "ab" / "abc.webp.1234.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    stray = folders[1] / "cd" / "cdef"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"whole")
    assert orphans() == [("default", "images/ab/abc.webp.1234.part"), ("incoming", "cd/cdef")]


def test_a_picture_that_is_deleted_while_a_step_runs_leaves_no_file(
    upload: Upload, run_pipeline: Run, author: User, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = upload()
    pipeline.validate_picture(picture.pk)
    real = rendering.thumbnail

    def deleted_meanwhile(data: bytes, width: int) -> rendering.Rendered:
        actions.delete_picture(picture, actor=author)
        return real(data, width)

    monkeypatch.setattr(rendering, "thumbnail", deleted_meanwhile)
    pipeline.add_thumbnail(picture.pk, 320)
    run_pipeline()
    assert files_in(folders[0]) == files_in(folders[1]) == []
    assert {run.state for run in TaskRun.objects.filter(queue="images")} == {RunState.SUCCEEDED}
